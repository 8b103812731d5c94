"""Verdicts on scores of a reduced precision, as float32 gives them: what is in doubt is decided by exact scores.

What belongs here: which documents are in doubt (near a bound, or near to where a condition changes), their exact
scores, what those changed; the part that this has in a filtered cell's version. What does not: making exact scores
(`scoring/exact_scores.py`), bounds that are shares of the corpus (`exact_bounds.py`).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets.cellwork import Target, have
from datashop_assets.classifier.registry import ClassifierRecord, find_classifier, promoted
from datashop_assets.conditions import Condition
from datashop_assets.filter_settings import Threshold
from datashop_assets.filtering.candidates import judged
from datashop_assets.filtering.cutoff import CutoffRecord, Reason
from datashop_assets.filtering.exact_rows import ExactRows
from datashop_assets.filtering.filter import apply
from datashop_assets.filtering.rule import Ranking
from datashop_assets.lineage import content_id
from datashop_assets.project import Project
from datashop_assets.records import FILTERED, Cell
from datashop_assets.scoring.exact_band import near_cutoff
from datashop_assets.scoring.exact_scores import Exactness, ExactScorer, exact_scorer
from datashop_assets.scoring.precision_sample import record_reduced_encoder, reduced_encoder, sample_version
from datashop_assets.seams import Lake

RECIPE = 2
SHARE_RECIPE = 3  # filtering scores what deciding such a bound anew asks for, too
# Around a bound that is a share, documents are scored again a little beyond the error's bound, as a part of it, so that
# a bound that moves a little is still among them: errors that are as often up as down move it by far less than the
# largest of them.
BEYOND = 0.25

Rows = NDArray[np.int64]


def reduced_names(lake: Lake, ranking: Ranking, project: Project) -> dict[str, ClassifierRecord]:
    """The lenses, of those whose scores the filter compares, whose classifier reads the vectors of the project's
    encoder, where that has a reduced precision: their scores are made again where they leave a doubt. Scores of another
    encoder stand as they are: those of float32 are exact already, and no others can be made again."""
    if project.encoder.precision == "float32":
        return {}
    encoder = reduced_encoder(lake, project.encoder)
    compared = _compared(lake, ranking, project)
    return {name: classifier for name, classifier in compared.items() if classifier.encoder == encoder}


def _compared(lake: Lake, ranking: Ranking, project: Project) -> dict[str, ClassifierRecord]:
    """The classifier of each lens whose scores the filter compares: its own, and those in its condition."""
    classifiers = {ranking.lens: ranking.classifier}
    for name in ranking.names:
        if name in project.lenses and name not in classifiers and (promotion := promoted(lake, name)) is not None:
            classifiers[name] = promotion.classifier
    return {name: find_classifier(lake, name, classifier) for name, classifier in classifiers.items()}


def exactly_filtered(
    lake: Lake, cutoff: CutoffRecord, project: Project, versions: Mapping[Cell, str]
) -> dict[Cell, str]:
    """Filtered cells' versions together with what decides which of their documents are scored again, where any are.

    A cell that was decided so before the project's encoder became another one stays as it is.
    """
    encoders = {classifier.encoder for classifier in _compared(lake, cutoff.ranking, project).values()}
    samples = [sample for encoder in sorted(encoders) if (sample := sample_version(lake, encoder)) is not None]
    recipe = RECIPE if isinstance(cutoff.ranking.rule.policy, Threshold) else SHARE_RECIPE
    exact = {cell: content_id("exactly filtered", recipe, version, samples) for cell, version in versions.items()}
    if reduced_names(lake, cutoff.ranking, project):
        return exact
    if not samples:
        return dict(versions)
    there = have(lake, Target(FILTERED.of(cutoff.lens)), list(versions))
    return {
        cell: exact[cell] if there.get(cell, (None, 0))[0] == exact[cell] else version
        for cell, version in versions.items()
    }


def exact_decisions(
    lake: Lake, ranking: Ranking, project: Project, exactness: Exactness | None, lineage: Mapping[str, Any]
) -> "ExactDecisions | None":
    """What decides a ranking's documents exactly; None where no score that it compares is of a reduced precision.

    The error bounds are measured first where that was not done. Raises ValueError where the project's encoder has a
    reduced precision and `exactness` is not given.
    """
    if project.encoder.precision == "float32":
        return None
    if exactness is None:
        raise ValueError(f"encoder.precision is {project.encoder.precision}: filtering needs `exactness`")
    record_reduced_encoder(lake, project.encoder, exactness.encoder.id, lineage)
    scorers = {
        name: exact_scorer(lake, classifier, exactness, lineage)
        for name, classifier in reduced_names(lake, ranking, project).items()
    }
    return ExactDecisions(ranking, scorers) if scorers else None


@dataclass(frozen=True)
class ExactDecisions:
    """The candidates of a ranking with exact scores where a doubt is left. `scorers` are those of the lenses whose
    scores are of a reduced precision, by name."""

    ranking: Ranking
    scorers: Mapping[str, ExactScorer]

    @property
    def error(self) -> float:
        """How far the keys of documents may be off, which are the lens's own scores; 0 where these are exact."""
        own = self.scorers.get(self.ranking.lens)
        return own.bound.error if own else 0.0

    def filtered(self, shard: str, read: pl.DataFrame, cutoff: CutoffRecord) -> tuple[pl.DataFrame, dict[str, Any]]:
        """The shard's candidates out of its rows as they were read, so that the cut-off gives each of them the verdict
        of its exact scores, and what people should know of it."""
        error = self.error
        if not isinstance(self.ranking.rule.policy, Threshold):
            # What deciding the bound anew asks for: this run is one of many, and that is one over the whole corpus.
            error *= 1 + BEYOND
        again = self.resolved(shard, read, lambda rows: near_bounds(rows, cutoff, error))
        otherwise = 0
        if again.facts["near a bound"]:
            both = judged(read, self.ranking), again.candidates
            before, after = (apply(rows, cutoff, pool_only=False)["kept"] for rows in both)
            otherwise = int((before != after).sum())
        return again.candidates, again.facts | {"decided otherwise in float32": otherwise}

    def resolved(
        self, shard: str, read: pl.DataFrame, near: Callable[[pl.DataFrame], Rows], *, make: bool = True
    ) -> "Resolved":
        """The same with exact scores wherever the condition is in doubt, and then for those rows of the candidates that
        are `near` a bound; without `make` with those alone that are kept already."""
        scores = ExactRows(shard, read, self.scorers, make=make)
        if self.ranking.rule.condition:
            self._resolve_condition(scores, self.ranking.rule.condition)
        candidates = judged(scores.frame, self.ranking)
        if self.ranking.lens in self.scorers and scores.replace(self.ranking.lens, near(candidates)):
            candidates = judged(scores.frame, self.ranking)
        return Resolved(candidates, scores.facts(self.ranking.lens), scores.lacking)

    def _resolve_condition(self, scores: ExactRows, condition: Condition) -> None:
        """Exact scores where the condition may be true and may be false: first of those names that leave it open by
        themselves, then, where several do so together, of each until it is decided."""
        reasons = judged(scores.frame, self.ranking)["reason"]
        asked = (reasons.is_null() | (reasons == Reason.CONDITION.value)).to_numpy()
        names = [name for name in condition.names if name in self.scorers]
        for alone in (True, False):
            for name in names:
                doubt = asked & scores.doubt(condition, [name] if alone else names)
                scores.replace(name, np.flatnonzero(doubt & ~scores.exact[name]))


@dataclass(frozen=True)
class Resolved:
    """Candidates, see `candidates.candidates`, what people should know of how they were decided, and how many exact
    scores were asked for that are not kept yet."""

    candidates: pl.DataFrame
    facts: dict[str, Any]
    lacking: int


def near_bounds(candidates: pl.DataFrame, cutoff: CutoffRecord, error: float) -> Rows:
    """The rows, ascending, whose key is within `error` of a bound that it is compared with; none that is not ranked."""
    rows = np.flatnonzero(candidates["key"].is_not_null().to_numpy())
    ranked = candidates[rows]
    keys = ranked["key"].to_numpy()
    if len(keys) and cutoff.ranking.rule.draw:  # score plus noise is rounded to float32, once for each score
        error += float(np.spacing(np.abs(keys).max()))
    bounds: list[NDArray[np.float64]] = []
    if cutoff.lower_by_source:
        lowers = [cutoff.lower_by_source.get(source, math.inf) for source in ranked["source"].to_list()]
        bounds.append(np.array(lowers, np.float64))
    bounds += [np.full(len(keys), bound) for bound in (cutoff.lower, cutoff.upper) if bound is not None]
    near = [near_cutoff(keys, bound, error) for bound in bounds]
    found: Rows = rows[np.unique(np.concatenate([np.empty(0, np.int64), *near]))]
    return found
