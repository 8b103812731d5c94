"""Finding a document by its id, or by the file and the row that it came from.

What belongs here: from what a person knows to (shard, id), or to the quarantine. What does not: what became of it.

An id does not say its shard, so the column of ids is read, and no other, shard by shard. Naming the shard reads that
shard's alone. What a search over a whole lake costs stands in docs/tracing.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from datashop_assets.corpus.registry import read_registry
from datashop_assets.records import DOCUMENTS, QUARANTINE
from datashop_assets.seams import Lake
from datashop_assets.tracing.views import TraceError


@dataclass(frozen=True)
class Found:
    """Where documents of an id stand, and what the quarantine has: its rows as they are."""

    shards: tuple[str, ...]
    quarantined: tuple[dict[str, object], ...] = ()


def shards_with(lake: Lake, document: str, shard: str | None = None) -> list[str]:
    """The shards that have a document of this id (equal texts of a landing without ids share one), in order."""
    where = None if shard is None else {"shard": [shard]}
    rows = lake.scan(DOCUMENTS, where).filter(pl.col("id") == document).select("shard")
    return sorted(rows.collect(engine="streaming")["shard"].to_list())


def document_at(lake: Lake, file: str, row: int, shard: str | None = None) -> tuple[str, str] | None:
    """(shard, id) of the document that came from a row of a file: by the files' statistics only its shard is read."""
    where = None if shard is None else {"shard": [shard]}
    rows = lake.scan(DOCUMENTS, where).filter(pl.col("file") == file, pl.col("row") == row).select("shard", "id")
    found = rows.collect(engine="streaming")
    return (found["shard"][0], found["id"][0]) if found.height else None


def quarantined(
    lake: Lake, document: str | None = None, file: str | None = None, row: int | None = None, shard: str | None = None
) -> list[dict[str, object]]:
    """The quarantined rows of a place, or those whose detail names the document's id, which a repeat of it does."""
    rows = lake.scan(QUARANTINE, None if shard is None else {"shard": [shard]})
    if document is not None:
        rows = rows.filter(pl.col("detail").str.starts_with(f"{document} stands already"))
    else:
        # A file that cannot be read at all is in quarantine as a whole, without a row.
        rows = rows.filter(pl.col("file") == file, (pl.col("row") == row) | pl.col("row").is_null())
    return list(rows.collect(engine="streaming").sort("shard", "file", "row").to_dicts())


def require_shard(lake: Lake, shard: str) -> None:
    """Raises TraceError where no such shard was ever registered."""
    registry = read_registry(lake)
    known = [each.shard for each in (*registry.shards, *registry.withdrawn)]
    if shard not in known:
        raise TraceError(f"the lake has no shard {shard!r}; it has {_shown(known)}")


def _shown(names: Sequence[str]) -> str:
    return "none" if not names else f"{names[0]} to {names[-1]} ({len(names)})" if len(names) > 5 else ", ".join(names)
