"""Verdicts on scores of a reduced precision, as float32 gives them: what is near a bound is decided by exact scores.

What belongs here: which candidates are near a bound of the cut-off, their exact keys, what that changed; the part that
it has in a filtered cell's version. What does not: making exact scores (`scoring/exact_scores.py`).

The bounds themselves are those of the record, taken from the scores as they stand. A condition is asked of the scores
as they stand, too.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets.cellwork import Target, have
from datashop_assets.classifier.registry import find_classifier
from datashop_assets.filtering.cutoff import CutoffRecord
from datashop_assets.filtering.filter import apply
from datashop_assets.lineage import content_id
from datashop_assets.project import Project
from datashop_assets.records import FILTERED, SCORES, Cell
from datashop_assets.scoring.exact_band import near_cutoff
from datashop_assets.scoring.exact_scores import ExactScorer
from datashop_assets.scoring.precision_sample import reduced_encoder, sample_version
from datashop_assets.seams import Lake

RECIPE = 1


def decides_exactly(lake: Lake, cutoff: CutoffRecord, project: Project) -> bool:
    """Whether documents near this cut-off are scored again in float32: its classifier reads the vectors of the
    project's encoder, and that has a reduced precision. Scores of another encoder stand as they are: those of float32
    are exact already, and no others can be made again."""
    if project.encoder.precision == "float32":
        return False
    return find_classifier(lake, cutoff.lens, cutoff.classifier).encoder == reduced_encoder(lake, project.encoder)


def exactly_filtered(
    lake: Lake, cutoff: CutoffRecord, project: Project, versions: Mapping[Cell, str]
) -> dict[Cell, str]:
    """Filtered cells' versions together with what decides which of their documents are scored again, where any are.

    A cell that was decided so before the project's encoder became another one stays as it is.
    """
    sample = sample_version(lake, find_classifier(lake, cutoff.lens, cutoff.classifier).encoder)
    exact = {cell: content_id("exactly filtered", RECIPE, version, sample) for cell, version in versions.items()}
    if decides_exactly(lake, cutoff, project):
        return exact
    if sample is None:
        return dict(versions)
    there = have(lake, Target(FILTERED.of(cutoff.lens)), list(versions))
    return {
        cell: exact[cell] if there.get(cell, (None, 0))[0] == exact[cell] else version
        for cell, version in versions.items()
    }


@dataclass(frozen=True)
class ExactDecisions:
    """The verdicts of one cut-off, by exact scores where `scorer`'s bound leaves a doubt."""

    cutoff: CutoffRecord
    scorer: ExactScorer

    def keys(self, cell: Cell, scores_version: str, candidates: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, Any]]:
        """The candidates of a cell with exact keys for those near a bound, and what people should know of it."""
        near = candidates[near_bounds(candidates, self.cutoff, self.scorer.bound.error)]
        if near.is_empty():
            return candidates, self._facts(0, 0, 0, pl.Series([], dtype=pl.Float64))
        exact, made = self.scorer.of(cell, scores_version, self._reduced(cell, near))
        moved = exact["score"].cast(pl.Float64) - exact["reduced"]
        # With a draw the key is score plus noise; without one this is the exact score.
        keys = near.select("id", exact_key=(near["key"] + moved).cast(pl.Float32))
        better = candidates.join(keys, on="id", how="left", maintain_order="left")
        better = better.with_columns(key=pl.coalesce("exact_key", "key")).drop("exact_key")
        before, after = (apply(rows, self.cutoff, pool_only=False)["kept"] for rows in (candidates, better))
        facts = self._facts(near.height, made, int((before != after).sum()), moved.abs())
        if facts["errors above the bound"]:
            self.scorer.means.log(
                f"WARNING: {cell.shard}: float32 moved {facts['errors above the bound']} of {near.height} scores by up "
                f"to {facts['largest error of those']:.3g}, more than the bound of {self.scorer.bound.error:.3g} that "
                "was measured on a sample: this shard is unlike it, and documents beyond the bound may be decided by "
                "their reduced score. Set `encoder.precision` to float32 if that matters."
            )
        return better, facts

    def _facts(self, near: int, made: int, otherwise: int, errors: pl.Series) -> dict[str, Any]:
        bound = self.scorer.bound.error
        return {
            "near a bound": near,
            "scored again in float32": made,
            "decided otherwise in float32": otherwise,
            "largest error of those": float(errors.max() or 0.0),  # type: ignore[arg-type]
            "error bound": bound,
            "errors above the bound": int((errors > bound).sum()),
        }

    def _reduced(self, cell: Cell, near: pl.DataFrame) -> pl.DataFrame:
        """Id and reduced score of the candidates, in their order."""
        if not self.cutoff.ranking.rule.draw:  # the key is the score
            return near.select("id", reduced="key")
        where = {"shard": [cell.shard], "classifier": [self.cutoff.classifier]}
        scores = self.scorer.lake.scan(SCORES.of(self.cutoff.lens), where).select("id", reduced="score")
        found = scores.filter(pl.col("id").is_in(near["id"].implode())).collect()
        return near.select("id").join(found, on="id", how="left", maintain_order="left")


def near_bounds(candidates: pl.DataFrame, cutoff: CutoffRecord, error: float) -> NDArray[np.int64]:
    """The rows, ascending, whose key is within `error` of a bound that it is compared with; none that is not ranked."""
    rows = np.flatnonzero(candidates["key"].is_not_null().to_numpy())
    ranked = candidates[rows]
    keys = ranked["key"].to_numpy()
    bounds: list[NDArray[np.float64]] = []
    if cutoff.lower_by_source:
        lowers = [cutoff.lower_by_source.get(source, math.inf) for source in ranked["source"].to_list()]
        bounds.append(np.array(lowers, np.float64))
    bounds += [np.full(len(keys), bound) for bound in (cutoff.lower, cutoff.upper) if bound is not None]
    near = [near_cutoff(keys, bound, error) for bound in bounds]
    found: NDArray[np.int64] = rows[np.unique(np.concatenate([np.empty(0, np.int64), *near]))]
    return found
