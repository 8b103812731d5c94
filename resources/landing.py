"""Landing areas: the crawl files that somebody else writes and datashop only reads.

What belongs here: listing, identifying and opening files below a landing's URL, on any store that fsspec reaches
(local folders, s3://, gs://, hf://, memory://, ...). What does not: bundling (`corpus/bundling.py`) and parsing
(`corpus/readers.py`). Credentials and endpoints are fsspec's own configuration (`FSSPEC_S3_ENDPOINT_URL`, ...).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
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


class LandingError(RuntimeError):
    """A landing area that cannot be listed; the message names the landing, the fault and the mend."""


@dataclass(frozen=True)
class Listing:
    """What lies in a landing: its crawl files in crawl order, which is by path, and files of no known format.

    Hidden, unfinished and cache files are in neither.
    """

    files: tuple[CrawlFile, ...]
    unknown: tuple[str, ...]


class LandingArea(Protocol):
    """What the stages need of the landing areas. Paths are relative to the landing's URL, with forward slashes."""

    def look(self, landing: Landing) -> Listing:
        """List the landing once. Raises LandingError."""
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

    def look(self, landing: Landing) -> Listing:
        """Crawl files are those with the ending of a known format; of a `datasets.save_to_disk` folder each
        `data-*.arrow`. Raises LandingError where the place does not exist or cannot be listed."""
        found = self._find(landing)
        files = tuple(file for file in found if format_of(file.path))
        return Listing(files, tuple(file.path for file in found if not format_of(file.path)))

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

    def _find(self, landing: Landing) -> list[CrawlFile]:
        fs, root = self._filesystem(landing)
        try:
            fs.invalidate_cache(root)  # object stores' listings are cached for the life of the process
            there = fs.exists(root)
            listed = list(fs.find(root, detail=True).values()) if there else []
            files = [_crawl_file(fs, root, info) for info in listed]
        except Exception as error:  # every store's driver has kinds of its own: a refused key, an unknown host, a fault
            raise LandingError(
                f"landing {landing.dataset!r}: {landing.url} cannot be listed ({type(error).__name__}: {error}); look "
                "at its address, its credentials and the connection"
            ) from error
        if not there:
            raise LandingError(
                f"landing {landing.dataset!r}: there is nothing at {landing.url} yet; put crawl files there"
            )
        saved = {str(PurePosixPath(f.path).parent) for f in files if PurePosixPath(f.path).name == "state.json"}
        return sorted((file for file in files if _is_data(file.path, saved)), key=lambda file: file.path)

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


def _is_data(path: str, saved_folders: set[str]) -> bool:
    """False for files that are hidden, still being written, or a `save_to_disk` folder's own bookkeeping."""
    place = PurePosixPath(path)
    if any(part.startswith((".", "_")) for part in place.parts) or place.name.lower().endswith(UNFINISHED):
        return False
    in_saved = str(place.parent) in saved_folders
    return place.name != "dataset_dict.json" and (not in_saved or place.match("data-*.arrow"))


def _crawl_file(fs: AbstractFileSystem, root: str, info: Mapping[str, Any]) -> CrawlFile:
    """Identity of a listed file: the store's own checksum or, where it keeps none, size and time of change."""
    name = str(info["name"])
    path = name.removeprefix(root).lstrip("/")
    size = int(info["size"])
    if isinstance(fs, LocalFileSystem):
        changed_ns = Path(name).stat().st_mtime_ns
        return CrawlFile(path, size, f"{size}-{changed_ns}", changed_ns / 1e9)
    modified = next((_seconds(info[key]) for key in MODIFIED_KEYS if info.get(key)), 0.0)
    etag = next((str(info[key]).strip('"') for key in ETAG_KEYS if info.get(key)), None)
    return CrawlFile(path, size, etag or f"{size}-{modified}", modified)


def _seconds(value: Any) -> float:
    """Epoch seconds of what stores give as times: numbers, datetimes, ISO 8601 text."""
    if isinstance(value, int | float):
        return float(value)
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
