"""Does a new crawl score as the crawl did that the cut-off was decided over?

What belongs here: reading both as summaries and comparing them. What does not: summaries (`scoring/sketch.py`,
`filtering/sketches.py`), measures (`measures.py`).

The summaries that `cutoff` keeps are read where they are of the scores as they are; of other shards, the new ones
mostly, the scores are read. Either way the number of shards is bounded by the settings, whatever the corpus has.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets.attributes.distribution import distribution
from datashop_assets.cellwork import have
from datashop_assets.drift.crawl import Crawl, by_age, choose
from datashop_assets.drift.measures import Shift, shift
from datashop_assets.drift_settings import DriftSettings
from datashop_assets.filtering.candidates import Candidates
from datashop_assets.filtering.rule import Ranking
from datashop_assets.filtering.sketches import sketch_rows, sketches_target
from datashop_assets.filtering.state import current_cutoff, ranking_versions
from datashop_assets.filtering.tables import SCORE_SKETCHES
from datashop_assets.project import Project
from datashop_assets.records import SCORES, Cell
from datashop_assets.scoring.sketch import ScoreSketch, merge
from datashop_assets.seams import Lake

# Bins of equally many reference documents, as is usual for the stability index.
BINS = 10


@dataclass(frozen=True, eq=False)
class ScoreDrift:
    """A lens's new crawl against its reference. `shift` is of all new documents that were looked at together, and
    `distance` the largest difference in the share below any score (Kolmogorov and Smirnov's); `by_shard` has one row
    [shard, part, documents, index] a shard, oldest first, reference shards too: how far shards are apart anyway."""

    lens: str
    crawl: Crawl
    shift: Shift
    distance: float
    by_shard: pl.DataFrame
    reference: ScoreSketch
    new: ScoreSketch


def score_drift(lake: Lake, project: Project, lens: str, settings: DriftSettings) -> ScoreDrift | None:
    """None where there is no cut-off, or no shard was scored by its classifier since it was decided."""
    record = current_cutoff(lake, lens)
    if record is None:
        return None
    cells = lake.cells(SCORES.of(lens)).filter(pl.col("classifier") == record.classifier, pl.col("rows") > 0)
    documents = dict(cells.select("shard", "rows").iter_rows())
    crawl = choose([s for s in by_age(lake, project) if s in documents], record.shards, settings)
    summaries = shard_sketches(lake, record.ranking, project, {s: documents[s] for s in (*crawl.reference, *crawl.new)})
    there = {shard: one for shard, one in summaries.items() if one.n}
    reference = merge(there[shard] for shard in crawl.reference if shard in there)
    new = merge(there[shard] for shard in crawl.new if shard in there)
    if not reference.n or not new.n:
        return None
    edges = np.unique([reference.quantile(q) for q in np.linspace(0, 1, BINS + 1)[1:-1]])
    expected = _counts(reference, edges)
    rows = [
        (shard, part, there[shard].n, shift(expected, _counts(there[shard], edges)).index)
        for part, shards in (("reference", crawl.reference), ("new", crawl.new))
        for shard in shards
        if shard in there
    ]
    schema = {"shard": pl.String, "part": pl.String, "documents": pl.Int64, "index": pl.Float64}
    by_shard = pl.DataFrame(rows, schema=schema, orient="row")
    far = distribution(reference).shift(distribution(new))
    return ScoreDrift(lens, crawl, shift(expected, _counts(new, edges)), far, by_shard, reference, new)


def shard_sketches(
    lake: Lake, ranking: Ranking, project: Project, documents: Mapping[str, int]
) -> dict[str, ScoreSketch]:
    """The summary of each shard's ranked scores; `documents` are those of each shard. Shards without something that the
    ranking asks about are left out."""
    wanted, _ = ranking_versions(lake, ranking, project, [Cell(shard, ranking.lens) for shard in documents])
    stored = have(lake, sketches_target(ranking), list(wanted))
    current = [cell.shard for cell, version in wanted.items() if stored.get(cell, (None, 0))[0] == version]
    where = {"ranking": [ranking.id], "shard": current}
    found = lake.scan(SCORE_SKETCHES.of(ranking.lens), where).collect().partition_by("shard", as_dict=True)
    sketches = {str(shard): _merged(rows) for (shard,), rows in found.items()}
    others = {cell.shard: documents[cell.shard] for cell in wanted if cell.shard not in sketches}
    seen = Candidates(lake, ranking, project, others)
    return sketches | {s: _merged(sketch_rows(seen.of(s), ranking.rule.policy.share_error)) for s in others}


def _merged(rows: pl.DataFrame) -> ScoreSketch:
    parts = zip(rows["values"], rows["weights"], rows["uncertain"], strict=True)
    return merge(ScoreSketch(values.to_numpy(), weights.to_numpy(), sure) for values, weights, sure in parts)


def _counts(sketch: ScoreSketch, edges: NDArray[np.float64]) -> list[int]:
    """Documents below the first edge, between each two, and at or above the last."""
    below = [0, *(sketch.below(float(edge)) for edge in edges), sketch.n]
    return [int(count) for count in np.diff(below)]
