"""Model stores: finished model folders under content-addressed names, on a local path or S3.

What belongs here: keeping and fetching folders, whole and checked. What does not: what is in them (the stages), the
client and its errors (`object_store.py`).

A stored folder holds a manifest, written last: without it the folder does not exist.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from datashop_assets.durable import files_below, new_directory, sha256_of, sole_writer
from datashop_assets.lineage import content_id
from datashop_assets.seams import ModelStore, PermanentError
from resources.object_store import clear_errors, s3_client, split_url, status_of

MANIFEST = "_COMPLETE.json"


class ModelStoreError(PermanentError):
    """A folder that cannot be stored or fetched as it should be; the message names it and says what to do."""


def open_model_store(uri: str, cache: Path, storage_options: Mapping[str, str] | None = None) -> ModelStore:
    """The model store at a local path or s3:// URL. Nothing is opened or listed yet.

    `cache` keeps what is fetched from S3; `storage_options` are delta-rs's (see `object_store.s3_client`).
    """
    if uri.startswith(("s3://", "s3a://")):
        return S3ModelStore(uri.rstrip("/"), cache, dict(storage_options or {}))
    if "://" in uri and not uri.startswith("file://"):
        raise ModelStoreError(f"models cannot be kept at {uri}; give a local path or s3://bucket/prefix")
    return LocalModelStore(Path(uri.removeprefix("file://")))


@dataclass(frozen=True)
class LocalModelStore:
    """Models in folders below `root`; a fetched model is the stored folder itself, so never write there."""

    root: Path

    def put(self, name: str, directory: Path) -> str:
        """See `seams.ModelStore`. Raises ModelStoreError where the name holds other content."""
        final = (self.root / _checked_name(name)).resolve()
        checksums = _checksums(directory)
        with sole_writer(final):
            if (final / MANIFEST).is_file():
                _same_or_raise(str(final), json.loads((final / MANIFEST).read_text(encoding="utf-8")), checksums)
                return name
            with new_directory(final) as partial:
                shutil.copytree(directory, partial, dirs_exist_ok=True)
                (partial / MANIFEST).write_text(_manifest_text(checksums), encoding="utf-8")
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


@dataclass(frozen=True)
class S3ModelStore:
    """Models below an s3:// prefix; fetched ones are kept in `cache` by content. `repr` shows no credentials."""

    uri: str
    cache: Path
    storage_options: Mapping[str, str] = field(default_factory=dict, repr=False)

    def put(self, name: str, directory: Path) -> str:
        """See `seams.ModelStore`. Raises ModelStoreError where the name holds other content."""
        target = f"{self.uri}/{_checked_name(name)}"
        bucket, prefix = split_url(target)
        checksums = _checksums(directory)
        client = s3_client(self.storage_options)
        with clear_errors(target, self.storage_options):
            stored = self._manifest(client, bucket, prefix)
            if stored is not None:
                _same_or_raise(target, stored, checksums)
                return name
            for relative in checksums:
                client.upload_file(str(directory / relative), bucket, f"{prefix}/{relative}")
            client.put_object(Bucket=bucket, Key=f"{prefix}/{MANIFEST}", Body=_manifest_text(checksums).encode())
        return name

    def place(self, uri: str) -> str:
        """See `seams.ModelStore`."""
        return uri if "://" in uri else f"{self.uri}/{uri}"

    def fetch(self, uri: str) -> Path:
        """See `seams.ModelStore`. Raises ModelStoreError where a downloaded file is not what was put."""
        uri = self.place(uri)
        bucket, prefix = split_url(uri)
        client = s3_client(self.storage_options)
        with clear_errors(uri, self.storage_options):
            checksums = self._manifest(client, bucket, prefix)
            if checksums is None:
                raise FileNotFoundError(f"no model at {uri}; materialize the asset that makes it again")
            final = self.cache / "models" / content_id(checksums)
            with sole_writer(final):
                if final.is_dir():
                    return final
                with new_directory(final) as partial:
                    for relative, expected in checksums.items():
                        local = partial / relative
                        local.parent.mkdir(parents=True, exist_ok=True)
                        client.download_file(bucket, f"{prefix}/{relative}", str(local))
                        if sha256_of(local) != expected:
                            raise ModelStoreError(
                                f"{uri}/{relative} is not what was stored (its checksum differs). Remove {uri} and "
                                "materialize the asset that makes it again."
                            )
        return final

    def _manifest(self, client: Any, bucket: str, prefix: str) -> dict[str, str] | None:
        from botocore.exceptions import ClientError

        try:
            body = client.get_object(Bucket=bucket, Key=f"{prefix}/{MANIFEST}")["Body"].read()
        except ClientError as error:
            if status_of(error) == 404 and error.response["Error"]["Code"] != "NoSuchBucket":
                return None
            raise
        manifest: dict[str, str] = json.loads(body)
        return manifest


def _checked_name(name: str) -> str:
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or any(part.startswith(".") for part in parts):
        raise ModelStoreError(f"{name!r} cannot name a model; use parts like classifiers/<lens>/<id>")
    return "/".join(parts)


def _checksums(directory: Path) -> dict[str, str]:
    checksums = {relative: sha256_of(path) for relative, path in files_below(directory).items()}
    if not checksums or MANIFEST in checksums:
        raise ModelStoreError(f"{directory} is no finished model folder: it is empty, missing, or holds a {MANIFEST}")
    return checksums


def _manifest_text(checksums: Mapping[str, str]) -> str:
    return json.dumps(checksums, indent=1, sort_keys=True)


def _same_or_raise(uri: str, stored: Mapping[str, str], checksums: Mapping[str, str]) -> None:
    differing = sorted(name for name in stored.keys() | checksums.keys() if stored.get(name) != checksums.get(name))
    if differing:
        raise ModelStoreError(
            f"{uri} holds other content ({', '.join(differing[:3])}); a stored model never changes. "
            "Store under another name, or remove it if no record refers to it."
        )
