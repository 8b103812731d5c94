"""Landing areas: the crawl files that somebody else writes and datashop only reads.

What belongs here: listing, identifying and opening files below a landing's URL, on any store that fsspec reaches
(local folders, s3://, gs://, hf://, memory://, ...). What does not: bundling (`corpus/bundling.py`) and parsing
(`corpus/readers.py`). Credentials and endpoints are fsspec's own configuration (`FSSPEC_S3_ENDPOINT_URL`, ...).
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem
from fsspec.registry import known_implementations
from fsspec.utils import get_protocol

from datashop_assets.corpus.readers import format_of
from datashop_assets.project import Landing
from datashop_assets.records import CrawlFile

# By store: S3, Google, Azure and WebDAV, hub repositories. The first that is there identifies the content.
ETAG_KEYS = ("ETag", "etag", "md5Hash", "content_md5", "blob_id", "sha")
MODIFIED_KEYS = ("mtime", "LastModified", "last_modified", "updated", "created", "modified")
UNFINISHED = (".tmp", ".temp", ".part", ".partial", ".crdownload", ".inprogress")
# Stores that list from a key on, in the order of the keys, which is crawl order. S3 gives 1,000 keys a request.
LISTED_FROM_A_KEY = ("s3", "s3a")
KEYS_A_REQUEST = 1000


class LandingError(RuntimeError):
    """A landing area that cannot be listed; the message names the landing, the fault and the mend."""


@dataclass(frozen=True)
class Listing:
    """What lies in a landing: its crawl files in crawl order, which is by path, and files of no known format.

    Hidden, unfinished and cache files are in neither. The listing tells of every path behind `after` and up to `end`;
    with an `end` of None, of all behind `after`. Of what lies in the `unreadable` folders (ending in a slash) nothing
    is known.
    """

    files: tuple[CrawlFile, ...]
    unknown: tuple[str, ...]
    after: str = ""
    end: str | None = None
    unreadable: tuple[str, ...] = ()

    def covers(self, path: str) -> bool:
        """Whether a file at the path would be in the listing."""
        inside = self.after < path and (self.end is None or path <= self.end)
        return inside and not path.startswith(self.unreadable)


class LandingArea(Protocol):
    """What the stages need of the landing areas. Paths are relative to the landing's URL, with forward slashes."""

    def look(self, landing: Landing, after: str = "", most: int | None = None) -> Listing:
        """List the landing once: what lies behind the path `after`, at most about so many files. Stores that cannot
        list so give all that there is. Raises LandingError."""
        ...

    def open_file(self, landing: Landing, path: str) -> BinaryIO:
        """Open one file to read its bytes; seekable. Raises FileNotFoundError."""
        ...

    def stat(self, landing: Landing, path: str) -> CrawlFile:
        """The file as a listing would show it now. Raises FileNotFoundError."""
        ...


class FsspecLandingArea:
    """Landing areas on every store that fsspec knows. `storage_options` are handed to it, by protocol."""

    def __init__(self, storage_options: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self.storage_options = dict(storage_options or {})

    def look(self, landing: Landing, after: str = "", most: int | None = None) -> Listing:
        """Crawl files are those with the ending of a known format; of a `datasets.save_to_disk` folder each
        `data-*.arrow`. Of an S3 landing, what lies behind `after` alone is listed; every other store gives the whole
        (local disks: 200,000 files in 1.5 s). An S3 landing with no key yet is empty. Raises LandingError where the
        place does not exist or cannot be listed.
        """
        found, after, end, unreadable = self._find(landing, after, most)
        known = {file.path for file in found if format_of(file.path)}
        unknown = tuple(file.path for file in found if file.path not in known)
        return Listing(tuple(file for file in found if file.path in known), unknown, after, end, unreadable)

    def list_files(self, landing: Landing) -> list[CrawlFile]:
        """The crawl files alone."""
        return list(self.look(landing).files)

    def open_file(self, landing: Landing, path: str) -> BinaryIO:
        """See LandingArea."""
        fs, root = self._filesystem(landing)
        return cast(BinaryIO, fs.open(f"{root}/{path}", "rb"))

    def stat(self, landing: Landing, path: str) -> CrawlFile:
        """See LandingArea."""
        fs, root = self._filesystem(landing)
        fs.invalidate_cache(root)
        return _crawl_file(fs, root, fs.info(f"{root}/{path}"))

    def _find(
        self, landing: Landing, after: str, most: int | None
    ) -> tuple[list[CrawlFile], str, str | None, tuple[str, ...]]:
        """Files in crawl order, the paths that the listing begins behind and ends at, and unreadable folders."""
        fs, root = self._filesystem(landing)
        end: str | None = None
        unreadable: tuple[str, ...] = ()
        try:
            if get_protocol(landing.url) in LISTED_FROM_A_KEY:
                files, end = _keys(fs, root, after, most)
                there = True
            else:
                after = ""
                fs.invalidate_cache(root)  # object stores' listings are cached for the life of the process
                there = fs.exists(root)
                files, unreadable = _all_files(fs, root) if there else ([], ())
        except Exception as error:  # every store's driver has kinds of its own: a refused key, an unknown host, a fault
            raise LandingError(
                f"landing {landing.dataset!r}: {landing.url} cannot be listed ({type(error).__name__}: {error}); look "
                "at its address, its credentials and the connection"
            ) from error
        if not there:
            raise LandingError(
                f"landing {landing.dataset!r}: there is nothing at {landing.url} yet; put crawl files there"
            )
        saved = {_folder(file.path) for file in files if _name(file.path) == "state.json"}
        data = (file for file in files if _is_data(file.path, saved))
        return sorted(data, key=lambda file: file.path), after, end, unreadable

    def _filesystem(self, landing: Landing) -> tuple[AbstractFileSystem, str]:
        protocol = get_protocol(landing.url)
        try:
            fs, root = url_to_fs(landing.url, **self.storage_options.get(protocol, {}))
        except ImportError as error:
            package = known_implementations[protocol]["class"].split(".")[0]
            raise LandingError(
                f"landing {landing.dataset!r}: reading {protocol}:// needs the package {package} "
                f"(pip install {package}): {error}"
            ) from error
        except ValueError as error:
            raise LandingError(f"landing {landing.dataset!r}: {landing.url} cannot be used: {error}") from error
        return fs, root.rstrip("/")


def _all_files(fs: AbstractFileSystem, root: str) -> tuple[list[CrawlFile], tuple[str, ...]]:
    """All files below the root, and the folders that cannot be read."""
    if isinstance(fs, LocalFileSystem):
        return _local_files(root)
    return [_crawl_file(fs, root, info) for info in fs.find(root, detail=True).values()], ()


def _local_files(root: str) -> tuple[list[CrawlFile], tuple[str, ...]]:
    """Files below a folder of a local disk, and the folders in it that cannot be read. fsspec's own takes six times as
    long, most of it for facts that nobody reads.

    Each folder is listed once, under its own path; links to folders come last, in the order of their paths, so that a
    link to a parent or to a folder beside it adds nothing. Raises OSError where the root itself cannot be read.
    """
    files: list[CrawlFile] = []
    unreadable: list[str] = []
    listed: set[tuple[int, int]] = set()
    folders, links = [""], list[str]()
    while folders or links:
        folder = folders.pop() if folders else links.pop(links.index(min(links)))
        try:
            status = Path(root, folder).stat()
            if (status.st_dev, status.st_ino) in listed:
                continue
            listed.add((status.st_dev, status.st_ino))
            with os.scandir(f"{root}/{folder}") as entries:
                for entry in entries:
                    path = folder + entry.name
                    if not entry.is_dir():
                        files += _local_entry(path, entry)
                    elif not entry.name.startswith((".", "_")):
                        (links if entry.is_symlink() else folders).append(f"{path}/")
        except OSError as error:
            if not folder:
                raise
            if not isinstance(error, FileNotFoundError):  # one that vanished meanwhile is left out
                unreadable.append(folder)
    return files, tuple(sorted(unreadable))


def _local_entry(path: str, entry: "os.DirEntry[str]") -> Iterator[CrawlFile]:
    """The file, unless it has vanished meanwhile."""
    try:
        yield _local_file(path, entry.stat())
    except FileNotFoundError:
        return


def _keys(fs: Any, root: str, after: str, most: int | None) -> tuple[list[CrawlFile], str | None]:
    """Objects below the root behind the path `after`, and the last path where more follow. A listing that is cut short
    ends with a whole folder where it has several: what a folder is shows in its last files."""
    bucket, key, _ = fs.split_path(root)
    start = f"{key}/" if key else ""
    request = {"Bucket": bucket, "Prefix": start, "MaxKeys": KEYS_A_REQUEST} | (
        {"StartAfter": start + after} if after else {}
    )
    files: list[CrawlFile] = []
    more = True
    while more and (most is None or len(files) < most):
        page = fs.call_s3("list_objects_v2", **request)
        files += [
            _crawl_file(fs, start, {**each, "name": each["Key"], "size": each["Size"]})
            for each in page.get("Contents", [])
            if not each["Key"].endswith("/")
        ]
        more = bool(page.get("IsTruncated"))
        request["ContinuationToken"] = page.get("NextContinuationToken", "")
    if not more or not files:
        return files, None
    whole = [file for file in files if _folder(file.path) != _folder(files[-1].path)]
    files = whole or files
    return files, files[-1].path


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _is_data(path: str, saved_folders: set[str]) -> bool:
    """False for files that are hidden, still being written, or a `save_to_disk` folder's own bookkeeping."""
    name = _name(path)
    if any(part.startswith((".", "_")) for part in path.split("/")) or name.lower().endswith(UNFINISHED):
        return False
    in_saved = _folder(path) in saved_folders
    return name != "dataset_dict.json" and (not in_saved or (name.startswith("data-") and name.endswith(".arrow")))


def _crawl_file(fs: AbstractFileSystem, root: str, info: Mapping[str, Any]) -> CrawlFile:
    """Identity of a listed file: the store's own checksum or, where it keeps none, size and time of change."""
    name = str(info["name"])
    path = name.removeprefix(root).lstrip("/")
    size = int(info["size"])
    if isinstance(fs, LocalFileSystem):
        return _local_file(path, Path(name).stat())
    modified = next((_seconds(info[key]) for key in MODIFIED_KEYS if info.get(key)), 0.0)
    etag = next((str(info[key]).strip('"') for key in ETAG_KEYS if info.get(key)), None)
    return CrawlFile(path, size, etag or f"{size}-{modified}", modified)


def _local_file(path: str, status: os.stat_result) -> CrawlFile:
    return CrawlFile(path, status.st_size, f"{status.st_size}-{status.st_mtime_ns}", status.st_mtime_ns / 1e9)


def _seconds(value: Any) -> float:
    """Epoch seconds of what stores give as times: numbers, datetimes, ISO 8601 text."""
    if isinstance(value, int | float):
        return float(value)
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
