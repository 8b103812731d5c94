"""Finished folders on S3: uploaded whole with a manifest last, downloaded and checked.

What belongs here: the transfer and its proof. What does not: the names of such folders and what they are for
(`model_store.py`, `exports.py`), the client and its errors (`object_store.py`).

The manifest holds the checksum of every file and is written last: without it there is no folder, whatever files there
are. A transfer outlives a break of the connection of some two minutes, file by file.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from datashop_assets.durable import files_below, new_directory, sha256_of
from datashop_assets.seams import PermanentError
from resources.object_store import objects_below, patiently, s3_client, split_url, status_of

MANIFEST = "_COMPLETE.json"
CHUNK = 1 << 20


class StoredFolderError(PermanentError):
    """A folder that cannot be stored or fetched as it should be; the message names it and says what to do."""


def checksums_of(directory: Path) -> dict[str, str]:
    """The SHA-256 of every file by its path. Raises StoredFolderError for a folder that is no finished one."""
    checksums = {relative: sha256_of(path) for relative, path in files_below(directory).items()}
    if not checksums or MANIFEST in checksums:
        raise StoredFolderError(f"{directory} is no finished folder: it is empty, missing, or holds a {MANIFEST}")
    return checksums


def manifest_text(checksums: Mapping[str, str]) -> str:
    """The manifest's content."""
    return json.dumps(checksums, indent=1, sort_keys=True)


def same_or_raise(url: str, stored: Mapping[str, str], checksums: Mapping[str, str]) -> None:
    """Raises StoredFolderError where the two are not the same files."""
    differing = sorted(name for name in stored.keys() | checksums.keys() if stored.get(name) != checksums.get(name))
    if differing:
        raise StoredFolderError(
            f"{url} holds other content ({', '.join(differing[:3])}); what is stored never changes. "
            "Store under another name, or remove it if no record refers to it."
        )


def stored_checksums(url: str, options: Mapping[str, str]) -> dict[str, str] | None:
    """What the manifest of the folder at the URL says, or None where no finished folder is there."""
    from botocore.exceptions import ClientError

    bucket, prefix = split_url(url)
    client = s3_client(options)

    def read() -> bytes | None:
        try:
            body: bytes = client.get_object(Bucket=bucket, Key=f"{prefix}/{MANIFEST}")["Body"].read()
        except ClientError as error:
            if status_of(error) == 404 and error.response["Error"]["Code"] != "NoSuchBucket":
                return None
            raise
        return body

    body = patiently(read, url, options)
    return None if body is None else json.loads(body)


def upload(directory: Path, url: str, options: Mapping[str, str]) -> None:
    """Store the folder at the URL; a no-op where the same is there. Raises StoredFolderError where another is."""
    bucket, prefix = split_url(url)
    checksums = checksums_of(directory)
    stored = stored_checksums(url, options)
    if stored is not None:
        same_or_raise(url, stored, checksums)
        return
    client = s3_client(options)
    for relative in checksums:
        send = partial(client.upload_file, str(directory / relative), bucket, f"{prefix}/{relative}")
        patiently(send, f"{url}/{relative}", options)
    manifest = manifest_text(checksums).encode()
    patiently(partial(client.put_object, Bucket=bucket, Key=f"{prefix}/{MANIFEST}", Body=manifest), url, options)


def download(url: str, checksums: Mapping[str, str], final: Path, options: Mapping[str, str]) -> None:
    """Make `final` the folder at the URL, whole or not at all; hold `sole_writer(final)`.

    Raises StoredFolderError where a file is not what the checksums say.
    """
    bucket, prefix = split_url(url)
    client = s3_client(options)
    with new_directory(final) as unfinished:
        for relative, expected in checksums.items():
            local = unfinished / relative
            local.parent.mkdir(parents=True, exist_ok=True)
            fetch = partial(client.download_file, bucket, f"{prefix}/{relative}", str(local))
            patiently(fetch, f"{url}/{relative}", options)
            if sha256_of(local) != expected:
                raise StoredFolderError(
                    f"{url}/{relative} is not what was stored (its checksum differs). Remove {url} and materialize "
                    "the asset that makes it again."
                )


def faults(url: str, options: Mapping[str, str]) -> list[str]:
    """What is wrong with the folder at the URL, each fault naming its file; every byte of it is read, none kept."""
    checksums = stored_checksums(url, options)
    if checksums is None:
        return [f"there is no finished folder at {url}"]
    bucket, prefix = split_url(url)
    client = s3_client(options)
    there = {each["Key"].removeprefix(f"{prefix}/") for each in objects_below(url, options)}
    found = [f"{name} is not listed in {MANIFEST}" for name in sorted(there - checksums.keys() - {MANIFEST})]
    for name, expected in checksums.items():
        if name not in there:
            found.append(f"{name} is missing")
            continue
        read = partial(_sha256_of_object, client, bucket, f"{prefix}/{name}")
        if patiently(read, f"{url}/{name}", options) != expected:
            found.append(f"{name} was altered")
    return found


def _sha256_of_object(client: Any, bucket: str, key: str) -> str:
    digest = hashlib.sha256()
    for chunk in client.get_object(Bucket=bucket, Key=key)["Body"].iter_chunks(CHUNK):
        digest.update(chunk)
    return digest.hexdigest()
