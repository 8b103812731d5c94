"""The cut-off in force, and the versions that the cells of `filtered_documents` should have.

What belongs here: reading and appending `cutoffs`, wanted versions. What does not: deciding a cut-off (`cutoff.py`),
applying it (`filter.py`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from datashop_assets.corpus.registry import shards_by_key
from datashop_assets.embedding.inputs import versions
from datashop_assets.filtering.cutoff import CutoffRecord
from datashop_assets.lineage import filtered_version
from datashop_assets.records import CUTOFFS, Cell
from datashop_assets.scoring.state import scores_target
from datashop_assets.seams import Lake


def current_cutoff(lake: Lake, lens: str) -> CutoffRecord | None:
    """The lens's newest cut-off record."""
    rows = lake.scan(CUTOFFS).filter(pl.col("lens") == lens).sort("created_at").collect()
    return CutoffRecord.from_row(rows.to_dicts()[-1]) if rows.height else None


def require_cutoff(lake: Lake, lens: str) -> CutoffRecord:
    """Raises LookupError saying which asset makes one."""
    cutoff = current_cutoff(lake, lens)
    if cutoff is None:
        raise LookupError(f"lens {lens!r} has no cut-off yet; materialize `cutoff` for it first")
    return cutoff


def record_cutoff(lake: Lake, cutoff: CutoffRecord, lineage: Mapping[str, Any]) -> None:
    lake.commit(CUTOFFS, pl.DataFrame([cutoff.to_row()], schema=CUTOFFS.schema), None, lineage)


def wanted_filtered(lake: Lake, cutoff: CutoffRecord, cells: Sequence[Cell]) -> dict[Cell, str]:
    """The filtered version of each cell, from its scores as they are now. Raises MissingUpstreamError."""
    shards = shards_by_key(lake)
    made = versions(lake, scores_target(cutoff.lens, cutoff.classifier), cells, "scores")
    return {
        cell: filtered_version(version, cutoff.cutoff, shards[cell.shard].pool_only) for cell, version in made.items()
    }
