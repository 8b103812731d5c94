"""The documents of a run's shards: parse what is not parsed, keep what is wrong with the others.

What belongs here: the order of the steps, and what becomes of a shard that cannot be read. What does not: parsing
(`documents.py`), the asset (`assets.py`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from datashop_assets.cellwork import Outcome, Produced, Target, refresh
from datashop_assets.corpus.documents import ChangedFileError, ParsedShard, documents_version, parse_shard
from datashop_assets.corpus.readers import UNREADABLE, UnreadableFileError
from datashop_assets.corpus.registry import RestingShardError, UnknownShardError, find_active_shard, shards_by_key
from datashop_assets.project import Project
from datashop_assets.records import DOCUMENTS, QUARANTINE, Cell, Shard
from datashop_assets.seams import Lake
from resources.landing import LandingArea

NOT_READABLE = (UnreadableFileError, ChangedFileError)


def parse_cells(
    lake: Lake,
    project: Project,
    cells: Sequence[Cell],
    landing: LandingArea,
    describe: Callable[[ParsedShard], Mapping[str, Any]],
    lineage: Mapping[str, Any],
) -> Iterator[Outcome]:
    """Parse the shards that are not at their wanted version, one commit each. `describe` adds to a shard's facts.

    A shard with a file that cannot be read, that this lake does not know or that rests does not hold up the others:
    CellsFailedError names them at the end. What is wrong with a file is kept in the quarantine until it is read.
    """
    shards = shards_by_key(lake)
    wanted: dict[Cell, str] = {}
    missing: dict[Cell, Exception] = {}
    for cell in cells:
        try:
            shard = find_active_shard(shards, cell.shard, project)
        except (UnknownShardError, RestingShardError) as error:
            missing[cell] = error
            continue
        wanted[cell] = documents_version(shard, project.landing(shard.dataset))

    def quarantine(cell: Cell, rows: pl.DataFrame, version: str) -> None:
        list(refresh(lake, Target(QUARANTINE), {cell: version}, lambda _: Produced(rows), lineage))

    def produce(cell: Cell) -> Produced:
        shard = shards[cell.shard]
        try:
            parsed = parse_shard(shard, project.landing(shard.dataset), landing.open_file, landing.stat)
        except NOT_READABLE as error:
            quarantine(cell, _with_fault(lake, shard, error), f"{UNREADABLE}-{wanted[cell]}")
            raise
        # Quarantine first: a crash between the two commits leaves the shard stale, and both are made again.
        quarantine(cell, parsed.quarantine, wanted[cell])
        facts = {
            "quarantined": parsed.quarantine.height,
            **{f"quarantined: {reason}": count for reason, count in parsed.reasons.items()},
            "files": len(shard.files),
            "characters": int(parsed.documents["chars"].sum()),
            **describe(parsed),
        }
        return Produced(parsed.documents, facts)

    yield from refresh(
        lake, Target(DOCUMENTS), wanted, produce, lineage, batch_cells=1, tolerate=NOT_READABLE, missing=missing
    )


def _with_fault(lake: Lake, shard: Shard, error: UnreadableFileError | ChangedFileError) -> pl.DataFrame:
    """The shard's quarantine (of documents from before, if any) with what is wrong now in place of earlier faults."""
    before = lake.scan(QUARANTINE, {"shard": [shard.shard]}).filter(pl.col("reason") != UNREADABLE).drop("version")
    place = {"shard": shard.shard, "dataset": shard.dataset, "file": error.path, "row": None}
    fault = pl.DataFrame([place | {"reason": UNREADABLE, "detail": str(error)}], schema=before.collect_schema())
    return pl.concat([before.collect(), fault])
