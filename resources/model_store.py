"""Model stores: finished model folders under content-addressed names, on a local path or S3.

What belongs here: keeping and fetching folders, whole and checked. What does not: what is in them (the stages), the
transfer to S3 (`stored_folders.py`).

A stored folder holds a manifest, written last: without it the folder does not exist.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from datashop_assets.durable import files_below, new_directory, sole_writer
from datashop_assets.lineage import content_id
from datashop_assets.seams import ModelStore
from resources import stored_folders
from resources.object_store import clear_errors, objects_below, s3_client, split_url
from resources.stored_folders import MANIFEST, StoredFolderError, checksums_of, manifest_text, same_or_raise


def open_model_store(uri: str, cache: Path, storage_options: Mapping[str, str] | None = None) -> ModelStore:
    """The model store at a local path or s3:// URL. Nothing is opened or listed yet.

    `cache` keeps what is fetched from S3; `storage_options` are delta-rs's (see `object_store.s3_client`).
    """
    if uri.startswith(("s3://", "s3a://")):
        return S3ModelStore(uri.rstrip("/"), cache, dict(storage_options or {}))
    if "://" in uri and not uri.startswith("file://"):
        raise StoredFolderError(f"models cannot be kept at {uri}; give a local path or s3://bucket/prefix")
    return LocalModelStore(Path(uri.removeprefix("file://")))


@dataclass(frozen=True)
class StoredModel:
    """A finished model folder in the store. `modified` is when it was finished, in epoch seconds."""

    name: str
    files: int
    bytes: int
    modified: float


@dataclass(frozen=True)
class LocalModelStore:
    """Models in folders below `root`; a fetched model is the stored folder itself, so never write there."""

    root: Path

    def put(self, name: str, directory: Path) -> str:
        """See `seams.ModelStore`. Raises StoredFolderError where the name holds other content."""
        final = (self.root / _checked_name(name)).resolve()
        checksums = checksums_of(directory)
        with sole_writer(final):
            if (final / MANIFEST).is_file():
                same_or_raise(str(final), json.loads((final / MANIFEST).read_text(encoding="utf-8")), checksums)
                return name
            with new_directory(final) as partial:
                shutil.copytree(directory, partial, dirs_exist_ok=True)
                (partial / MANIFEST).write_text(manifest_text(checksums), encoding="utf-8")
        return name

    def place(self, uri: str) -> str:
        """See `seams.ModelStore`. A full path of before the store was moved leads to where it is now."""
        given = Path(uri.removeprefix("file://"))
        tails = (self.root.joinpath(*given.parts[start:]) for start in range(1, len(given.parts)))
        if given.is_absolute() and not given.exists():
            given = next((tail for tail in tails if (tail / MANIFEST).is_file()), given)
        return str((self.root / given).resolve())

    def fetch(self, uri: str) -> Path:
        """See `seams.ModelStore`."""
        folder = Path(self.place(uri))
        if not (folder / MANIFEST).is_file():
            raise FileNotFoundError(f"no model at {folder}; materialize the asset that makes it again")
        return folder

    def stored(self) -> list[StoredModel]:
        """Every finished model, by name."""
        found = []
        for manifest in sorted(self.root.rglob(MANIFEST)):
            sizes = [file.stat().st_size for file in files_below(manifest.parent).values()]
            name = manifest.parent.relative_to(self.root).as_posix()
            found.append(StoredModel(name, len(sizes), sum(sizes), manifest.stat().st_mtime))
        return found

    def remove(self, name: str) -> None:
        """Remove a model: first its manifest, so that half a removed model is none."""
        final = (self.root / _checked_name(name)).resolve()
        with sole_writer(final):
            (final / MANIFEST).unlink(missing_ok=True)
            shutil.rmtree(final, ignore_errors=True)


@dataclass(frozen=True)
class S3ModelStore:
    """Models below an s3:// prefix; fetched ones are kept in `cache` by content. `repr` shows no credentials."""

    uri: str
    cache: Path
    storage_options: Mapping[str, str] = field(default_factory=dict, repr=False)

    def put(self, name: str, directory: Path) -> str:
        """See `seams.ModelStore`. Raises StoredFolderError where the name holds other content."""
        stored_folders.upload(directory, f"{self.uri}/{_checked_name(name)}", self.storage_options)
        return name

    def place(self, uri: str) -> str:
        """See `seams.ModelStore`."""
        return uri if "://" in uri else f"{self.uri}/{uri}"

    def fetch(self, uri: str) -> Path:
        """See `seams.ModelStore`. Raises StoredFolderError where a downloaded file is not what was put."""
        uri = self.place(uri)
        checksums = stored_folders.stored_checksums(uri, self.storage_options)
        if checksums is None:
            raise FileNotFoundError(f"no model at {uri}; materialize the asset that makes it again")
        final = self.cache / "models" / content_id(checksums)
        with sole_writer(final):
            if not final.is_dir():
                stored_folders.download(uri, checksums, final, self.storage_options)
        return final

    def stored(self) -> list[StoredModel]:
        """Every finished model, by name."""
        files: dict[str, dict[str, Any]] = {}
        _, prefix = split_url(self.uri)
        for each in objects_below(self.uri, self.storage_options):
            files[each["Key"].removeprefix(f"{prefix}/")] = each
        found = []
        for manifest in sorted(name for name in files if PurePosixPath(name).name == MANIFEST):
            folder = str(PurePosixPath(manifest).parent)
            sizes = [each["Size"] for name, each in files.items() if name.startswith(f"{folder}/")]
            modified = files[manifest]["LastModified"].timestamp()
            found.append(StoredModel(folder, len(sizes), sum(sizes), modified))
        return found

    def remove(self, name: str) -> None:
        """Remove a model: first its manifest, so that half a removed model is none."""
        target = f"{self.uri}/{_checked_name(name)}"
        bucket, prefix = split_url(target)
        client = s3_client(self.storage_options)
        with clear_errors(target, self.storage_options):
            client.delete_object(Bucket=bucket, Key=f"{prefix}/{MANIFEST}")
            for each in objects_below(target, self.storage_options):
                client.delete_object(Bucket=bucket, Key=each["Key"])


def _checked_name(name: str) -> str:
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or any(part.startswith(".") for part in parts):
        raise StoredFolderError(f"{name!r} cannot name a model; use parts like classifiers/<lens>/<id>")
    return "/".join(parts)
