"""Folders and files that appear whole or not at all, also when the machine loses power.

What belongs here: writing beside the place and renaming, checksums of files. What does not: what is written
(releases: `filtering/release.py`, models: `resources/model_store.py`, exports of ratings: `rating/exports.py`).
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_below(directory: Path) -> dict[str, Path]:
    """All files below a folder by relative path with forward slashes, in the order of their paths."""
    found = {path.relative_to(directory).as_posix(): path for path in directory.rglob("*") if path.is_file()}
    return dict(sorted(found.items()))


@contextmanager
def sole_writer(final: Path) -> Iterator[None]:
    """Wait until no other process writes `final`. A killed process holds it no longer; the lock file beside stays."""
    final.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(final.parent / f".{final.name}.lock"):
        yield


@contextmanager
def new_directory(final: Path) -> Iterator[Path]:
    """An empty folder beside `final` that becomes it when the block ends well, and is removed when it raises.

    What a killed process left there is removed first, so hold `sole_writer(final)`. Files and folders are synced
    before the rename: after a power cut there is the whole folder or none. Raises FileExistsError where `final` is
    there already.
    """
    partial = final.parent / f".{final.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        for path in [*partial.rglob("*"), partial]:
            _sync(path)
        if final.exists():
            raise FileExistsError(f"{final} exists already; it is never written over")
        partial.rename(final)
        _sync(final.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def made_once(final: Path, make: Callable[[Path], None]) -> Path:
    """The folder `final`: there already, or what `make` writes to an empty folder. Two processes at once make it once;
    where `make` raises, nothing is left."""
    with sole_writer(final):
        if not final.is_dir():
            with new_directory(final) as folder:
                make(folder)
    return final


@contextmanager
def replaced_file(final: Path) -> Iterator[Path]:
    """A path beside `final`, in a folder that is there, for a file that replaces it when the block ends well.

    When the block raises, `final` is as it was. Two processes that write it at once do not mix: the later one wins.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    partial = final.parent / f".{final.name}.{os.getpid()}.partial"
    try:
        yield partial
        _sync(partial)
        partial.replace(final)
        _sync(final.parent)
    finally:
        partial.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
