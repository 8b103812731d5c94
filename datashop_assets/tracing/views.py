"""The moment that a trace looks at: the lake as it is, as it was, or as a release read it.

What belongs here: finding releases and choosing the tables' versions. What does not: reading tables at a version
(`seams.LakeHistory`), what is said of a document (`why.py`).
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from datashop_assets.records import RELEASES
from datashop_assets.seams import Lake, LakeHistory


class TraceError(LookupError):
    """Something that was asked for is not there, or not any more; one sentence that says what there is."""


@dataclass(frozen=True)
class ReleaseRow:
    """A row of `releases`. `tables` are the versions that its manifest names, `manifest` all that it says."""

    release: str
    lens: str
    cutoff: str
    classifier: str
    documents: int
    created_at: datetime
    manifest: Mapping[str, Any]

    @property
    def tables(self) -> dict[str, int]:
        return {name: int(version) for name, version in self.manifest["tables"].items()}


@dataclass(frozen=True)
class View:
    """The lake as it stood at one moment, which `words` name; `cutoff` is that of the release, if it is one."""

    lake: Lake
    words: str
    moment: datetime | None = None
    release: ReleaseRow | None = None


def releases_of(lake: Lake, lens: str | None = None) -> list[ReleaseRow]:
    """The releases (of one lens), oldest first."""
    rows = lake.scan(RELEASES).sort("created_at").collect()
    columns = ("release", "lens", "cutoff", "classifier", "documents", "created_at")
    return [
        ReleaseRow(**{name: row[name] for name in columns}, manifest=json.loads(row["manifest"]))
        for row in rows.to_dicts()
        if lens is None or row["lens"] == lens
    ]


def find_release(lake: Lake, release: str) -> ReleaseRow:
    """The release of this id, or of the only id that begins so. Raises TraceError naming those that there are."""
    known = releases_of(lake)
    found = [row for row in known if row.release.startswith(release)] if release else []
    if len(found) != 1:
        shown = ", ".join(f"{row.release} ({row.lens})" for row in reversed(known[-10:])) or "none yet"
        raise TraceError(f"{len(found) or 'no'} release is called {release!r}; the newest releases are: {shown}")
    return found[0]


def current(history: LakeHistory) -> View:
    """The lake as it is now."""
    return View(history.as_of({}, None), "as of now")


def at_release(history: LakeHistory, release: str) -> View:
    """The lake as the release read it: the tables that its manifest names at their versions, the others as they stood
    when it was recorded. Raises TraceError where there is no such release."""
    row = find_release(history.as_of({}, None), release)
    words = f"as of release {row.release}, recorded {row.created_at:%Y-%m-%d %H:%M} UTC"
    return View(history.as_of(row.tables, row.created_at), words, row.created_at, row)


def at_time(history: LakeHistory, moment: datetime) -> View:
    """The lake as it stood at the moment."""
    return View(history.as_of({}, moment), f"as of {moment:%Y-%m-%d %H:%M:%S} UTC", moment)


def gone(error: Exception) -> bool:
    """Whether the error says that a file, or on an object store an object, is not there."""
    return isinstance(error, FileNotFoundError) or "not found" in str(error).lower()


@contextmanager
def readable(words: str) -> Iterator[None]:
    """Says in one sentence that files of an earlier version are gone, where reading them fails."""
    try:
        yield
    except (OSError, pl.exceptions.ComputeError) as error:
        if not gone(error):
            raise
        why = str(error).splitlines()[0]
        raise TraceError(
            f"{words}: a file of a table is not there any more, as it is where a version was vacuumed away ({why})"
        ) from error
