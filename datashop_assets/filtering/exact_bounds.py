"""Bounds that are shares of the corpus, where scores have a reduced precision: those of exact scores.

What belongs here: which documents have to be scored again so that a bound is that of exact scores, and knowing that it
is. What does not: deciding bounds from summaries (`decide.py`), the documents of a shard (`exact_decisions.py`).

Why a bound is that of exact scores although few documents are scored exactly: let no score be off by more than e, and
let all documents within e of a value v have their exact score. Every other document is on the same side of v with its
reduced score as with its exact one, so that as many documents are above v, and as many below, as there are by exact
scores; and the k-th largest of all, or of a summary, is v of the one where it is v of the other. So documents around a
bound are scored again, the bound is decided anew among what is known then, and that is repeated until it lies where
everything around it is known. The same holds for the share that the record in force keeps.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from datashop_assets.filter_settings import Threshold
from datashop_assets.filtering.cutoff import CutoffRecord
from datashop_assets.filtering.decide import Corpus, Decision, decide
from datashop_assets.filtering.exact_decisions import ExactDecisions, exact_decisions, near_bounds
from datashop_assets.filtering.rule import Ranking
from datashop_assets.filtering.sketches import ranked_corpus
from datashop_assets.project import Project
from datashop_assets.scoring.exact_scores import Exactness
from datashop_assets.seams import Lake

# Documents are scored again a little beyond the error's bound, as a part of it, so that a bound that moves a little is
# still among them: errors that are as often up as down move it by far less than the largest of them.
BEYOND = 0.25


@dataclass(frozen=True)
class DecidedCutoff:
    """A decision, the corpus that it was made over, and what people should know of how."""

    decision: Decision
    corpus: Corpus
    facts: Mapping[str, Any]


def decide_cutoff(
    lake: Lake,
    ranking: Ranking,
    project: Project,
    previous: CutoffRecord | None,
    lineage: Mapping[str, Any],
    exactness: Exactness | None = None,
) -> DecidedCutoff:
    """The cut-off of the corpus as it is scored now, see `decide.decide`: of exact scores, where a policy asks for a
    share and the project's encoder has a reduced precision.

    Fixed bounds are compared with exact scores when documents are filtered; nothing is scored again for them here, and
    the share that they keep is told as the reduced scores have it. Raises as `decide` and `ranked_corpus` do, and
    ValueError where `exactness` is needed and not given.
    """
    fixed = isinstance(ranking.rule.policy, Threshold)
    exact = None if fixed else exact_decisions(lake, ranking, project, exactness, lineage)
    if exact is None:
        corpus = ranked_corpus(lake, ranking, project)
        return DecidedCutoff(decide(corpus, ranking.rule, ranking.lens, ranking.classifier, previous), corpus, {})
    stands = previous is not None and (previous.classifier, previous.policy) == (ranking.classifier, ranking.rule.text)
    around = [previous] if previous is not None and stands else []
    made = 0
    while True:
        known = _Known(exact, around)
        corpus = ranked_corpus(lake, ranking, project, known.candidates)
        decision = decide(corpus, ranking.rule, ranking.lens, ranking.classifier, previous)
        made += known.made
        if known.covers(decision.record):
            return DecidedCutoff(decision, corpus, {"scored again in float32": made, "error bound": exact.error})
        around.append(decision.record)


class _Known:
    """The corpus with exact scores around the bounds of some records."""

    def __init__(self, exact: ExactDecisions, around: Sequence[CutoffRecord]) -> None:
        self.exact, self.around = exact, around
        self.made = 0

    def candidates(self, shard: str, read: pl.DataFrame) -> pl.DataFrame:
        """A shard's candidates out of its rows as they were read."""
        error = (1 + BEYOND) * self.exact.error

        def near(rows: pl.DataFrame) -> Any:
            found = [near_bounds(rows, record, error) for record in self.around]
            return np.unique(np.concatenate([np.empty(0, np.int64), *found]))

        again = self.exact.resolved(shard, read, near)
        self.made += again.facts["scored again in float32"]
        return again.candidates

    def covers(self, record: CutoffRecord) -> bool:
        """Whether all keys within the error's bound of each of the record's bounds are exact. Half of what is scored
        again beyond it is left for rounding."""
        if self.exact.ranking.lens not in self.exact.scorers:
            return True  # the condition alone was in doubt
        most = BEYOND / 2 * self.exact.error
        return all(
            any(math.isclose(bound, _bounds(known)[group], rel_tol=0, abs_tol=most) for known in self.around)
            for group, bound in _bounds(record).items()
        )


def _bounds(record: CutoffRecord) -> defaultdict[str, float]:
    """The bound of each group; of one that has none, nothing is kept."""
    one = {} if record.lower is None else {"": record.lower}
    return defaultdict(lambda: math.inf, {**record.lower_by_source, **one})
