"""Which shards are a new crawl, and which ones it is compared with.

What belongs here: that choice. What does not: what is compared.

The reference of a lens are the shards that its cut-off in force was decided over; what came later is new. Of both a
bounded number is looked at: the newest of the new ones, and reference shards chosen by hash, the same ones every time.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import polars as pl

from datashop_assets.corpus.registry import active_shards
from datashop_assets.drift_settings import DriftSettings
from datashop_assets.filtering.state import current_cutoff
from datashop_assets.lineage import stable_fraction
from datashop_assets.project import Project
from datashop_assets.records import SHARDS
from datashop_assets.seams import Lake


@dataclass(frozen=True)
class Crawl:
    """The shards that are looked at, oldest first, and how many there are of each kind."""

    reference: tuple[str, ...]
    new: tuple[str, ...]
    all_reference: int
    all_new: int


def choose(shards: Sequence[str], reference: Collection[str], settings: DriftSettings) -> Crawl:
    """Divide `shards`, oldest first, and choose those that are looked at."""
    inside = set(reference)
    old, new = [s for s in shards if s in inside], [s for s in shards if s not in inside]
    drawn = set(
        sorted(old, key=lambda shard: stable_fraction(f"drift reference\n{shard}"))[: settings.reference_shards]
    )
    return Crawl(tuple(s for s in old if s in drawn), tuple(new[-settings.newest_shards :]), len(old), len(new))


def by_age(lake: Lake, project: Project) -> list[str]:
    """The shards that can be released, in the order of their registration."""
    rows = lake.scan(SHARDS).select("shard", "registered_at", "sequence").sort("registered_at", "sequence").collect()
    releasable = {shard.shard for shard in active_shards(lake, project) if not shard.pool_only}
    return [shard for shard in rows["shard"].unique(maintain_order=True) if shard in releasable]


def decided_over(lake: Lake, lenses: Collection[str]) -> set[str]:
    """The shards that any of the lenses' cut-offs in force was decided over."""
    records = [current_cutoff(lake, lens) for lens in lenses]
    return {shard for record in records if record is not None for shard in record.shards}


def shift_table(rows: Sequence[dict[str, object]]) -> pl.DataFrame:
    """Rows of figures for people, of the same keys."""
    return pl.DataFrame(list(rows), infer_schema_length=None)
