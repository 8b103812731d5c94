"""Where results lie that people take away: releases, subsets, summaries; in a local folder or on S3.

What belongs here: making them locally and putting them where they belong. What does not: what is in them (the stages),
models (`model_store.py`), the transfer (`stored_folders.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath

from datashop_assets.durable import files_below, sole_writer
from datashop_assets.seams import Exports
from resources import stored_folders
from resources.object_store import patiently, s3_client, split_url


def open_exports(uri: str, local: Path, storage_options: Mapping[str, str]) -> Exports:
    """The exports at a local path or s3:// URL; those for S3 are made in `local`. Nothing is opened or listed yet."""
    if uri.startswith("s3://"):
        return S3Exports(local, uri.rstrip("/"), dict(storage_options))
    return LocalExports(Path(uri.removeprefix("file://")))


@dataclass(frozen=True)
class LocalExports:
    """Exports in folders below `root`: they are made where they stay."""

    root: Path

    def place(self, name: str) -> str:
        """See `seams.Exports`."""
        return str(self.folder(name))

    def folder(self, name: str) -> Path:
        """See `seams.Exports`."""
        return self.root / _name(name)

    def publish(self, name: str) -> None:
        """See `seams.Exports`: it is there already."""

    def refresh(self, name: str) -> None:
        """See `seams.Exports`: they are there already."""

    def faults(self, name: str) -> list[str]:
        """See `seams.Exports`."""
        return [] if self.folder(name).is_dir() else [f"there is no folder {self.folder(name)}"]


@dataclass(frozen=True)
class S3Exports:
    """Exports below an s3:// prefix, made in folders below `root` first. `repr` shows no credentials."""

    root: Path
    uri: str
    storage_options: Mapping[str, str] = field(default_factory=dict, repr=False)

    def place(self, name: str) -> str:
        """See `seams.Exports`."""
        return f"{self.uri}/{_name(name)}"

    def folder(self, name: str) -> Path:
        """See `seams.Exports`. Raises StoredFolderError where a downloaded file is not what was published."""
        local = self.root / _name(name)
        with sole_writer(local):
            if not local.is_dir():
                stored = stored_folders.stored_checksums(self.place(name), self.storage_options)
                if stored is not None:
                    stored_folders.download(self.place(name), stored, local, self.storage_options)
        return local

    def publish(self, name: str) -> None:
        """See `seams.Exports`. Raises StoredFolderError where other content was published under the name."""
        stored_folders.upload(self.root / _name(name), self.place(name), self.storage_options)

    def refresh(self, name: str) -> None:
        """See `seams.Exports`. A file of S3 is replaced whole."""
        bucket, prefix = split_url(self.place(name))
        client = s3_client(self.storage_options)
        for relative, path in files_below(self.root / _name(name)).items():
            send = partial(client.upload_file, str(path), bucket, f"{prefix}/{relative}")
            patiently(send, self.place(name), self.storage_options)

    def faults(self, name: str) -> list[str]:
        """See `seams.Exports`. Every byte is read from the store."""
        return stored_folders.faults(self.place(name), self.storage_options)


def _name(uri: str) -> str:
    """A name as it is; older tables have the full path, of which the last two parts are the name."""
    path = PurePosixPath(uri)
    return "/".join(path.parts[-2:]) if path.is_absolute() else uri
