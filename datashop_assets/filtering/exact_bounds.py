"""Bounds that are shares of the corpus, where scores have a reduced precision: those of exact scores.

What belongs here: which documents have to be scored again so that a bound is that of exact scores, and knowing that it
is. What does not: deciding bounds from summaries (`decide.py`), the documents of a shard (`exact_decisions.py`).

Why a bound is that of exact scores although few documents are scored exactly: let no score be off by more than e, and
let all documents within e of a value v have their exact score. Every other document is on the same side of v with its
reduced score as with its exact one, so that as many documents are above v, and as many below, as there are by exact
scores; and the k-th largest of all, or of a summary, is v of the one where it is v of the other. So documents around a
bound are scored again, the bound is decided anew among what is known then, and that is repeated until it lies where
everything around it is known. The same holds for the share that the record in force keeps.

A few documents are scored again by the run that decides. More are left to those that filter by the record, shard by
shard: until they have, the record is one whose share is known the less exactly, and then it is decided anew.
"""

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from datashop_assets.cellwork import Target, have
from datashop_assets.filter_settings import Threshold
from datashop_assets.filtering.cutoff import CutoffRecord
from datashop_assets.filtering.decide import Corpus, Decision, decide
from datashop_assets.filtering.drift import Looks, looks_at
from datashop_assets.filtering.exact_decisions import BEYOND, ExactDecisions, exact_decisions, near_bounds
from datashop_assets.filtering.rule import Ranking
from datashop_assets.filtering.sketches import ranked_corpus, sketched
from datashop_assets.filtering.state import filtered_versions
from datashop_assets.lineage import stale_cells
from datashop_assets.project import Project
from datashop_assets.records import FILTERED, Cell
from datashop_assets.scoring.exact_scores import Exactness, commits_so_far
from datashop_assets.seams import Lake

# So many documents at most are scored again by the run that decides a bound: some 20 minutes of a core with
# all-MiniLM-L6-v2, float32. More are left to the runs that filter, which are divided over shards.
MOST_HERE = 10_000
UNFILTERED = 0.01


@dataclass(frozen=True)
class DecidedCutoff:
    """A decision, the corpus that it was made over, and what people should know of how.

    Where exact scores were lacking, `lacked_at` is `exact_scores.commits_so_far` of before: the decision is one until
    `filtered_documents` has made them, and is then made again.
    """

    decision: Decision
    corpus: Corpus
    facts: Mapping[str, Any]
    lacked_at: int | None = None


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
    same = previous is not None and (previous.classifier, previous.policy) == (ranking.classifier, ranking.rule.text)
    standing = previous if same else None
    around = [standing] if standing else []
    looks = Looks((), ()) if standing is None else looks_at(lake, standing)
    commits = commits_so_far(lake, ranking.names)
    shards = sketched(lake, ranking, project).scored
    few = sum(shards.values()) <= MOST_HERE
    # What nearly all of the runs that filter have not made around the record in force is made here, however much.
    lacked = looks.last_lacked_at is not None
    rest = standing is not None and lacked and _is_filtered(lake, standing, project, shards)
    made = 0
    while True:
        known = _Known(exact, around, make=few)
        asks = bool(around) or ranking.rule.condition is not None
        corpus = ranked_corpus(lake, ranking, project, known.candidates if asks else None)
        first = around == [standing]
        if known.lacking and (known.lacking <= MOST_HERE or (rest and first)):
            known = _Known(exact, around, make=True)
            corpus = ranked_corpus(lake, ranking, project, known.candidates)
        if looks.is_provisional and not (known.lacking and first):
            decision = _decided_anew(corpus, ranking, standing)
        else:
            decision = decide(corpus, ranking.rule, ranking.lens, ranking.classifier, previous)
        made += known.made
        if not known.covers(decision.record):
            around.append(decision.record)
            continue
        facts = {"scored again in float32": made, "error bound": exact.error}
        if not known.lacking:
            return DecidedCutoff(decision, corpus, facts)
        facts |= {"left to `filtered_documents` to score": known.lacking}
        return DecidedCutoff(_unsettled(decision, corpus, known.lacking), corpus, facts, commits)


def _is_filtered(lake: Lake, cutoff: CutoffRecord, project: Project, shards: Collection[str]) -> bool:
    """Whether all shards but one, or one in a hundred, are filtered by the record."""
    cells = [Cell(shard, cutoff.lens) for shard in shards]
    wanted, missing = filtered_versions(lake, cutoff, project, cells)
    there = {cell: version for cell, (version, _) in have(lake, Target(FILTERED.of(cutoff.lens)), cells).items()}
    return len(missing) + len(stale_cells(wanted, there)) <= max(1, UNFILTERED * len(cells))


def _decided_anew(corpus: Corpus, ranking: Ranking, provisional: CutoffRecord | None) -> Decision:
    """See `decide.decide`. A provisional record does not stand because it is within the tolerance of a share, which is
    for a corpus that grows, but only where the same bounds come out."""
    decision = decide(corpus, ranking.rule, ranking.lens, ranking.classifier, None)
    if provisional is None or _bounds(decision.record) != _bounds(provisional):
        return replace(decision, why="new: exact scores were lacking when the last one was decided")
    stands = replace(provisional, share_error=decision.record.share_error)
    return replace(decision, record=stands, is_new=False, why="unchanged: the same bounds come out")


def _unsettled(decision: Decision, corpus: Corpus, lacking: int) -> Decision:
    """The decision, where so many documents may be on either side of a bound."""
    why = f"{decision.why}; to be decided again when `filtered_documents` has {lacking:,} float32 scores near the bound"
    if not decision.is_new:
        return replace(decision, why=why)
    error = min(1.0, decision.record.share_error + lacking / corpus.documents)
    return replace(decision, record=replace(decision.record, share_error=error), why=why)


class _Known:
    """The corpus with exact scores around the bounds of some records: all of them with `make`, else those that are kept
    already."""

    def __init__(self, exact: ExactDecisions, around: Sequence[CutoffRecord], *, make: bool) -> None:
        self.exact, self.around, self.make = exact, around, make
        self.made = self.lacking = 0

    def candidates(self, shard: str, read: pl.DataFrame) -> pl.DataFrame:
        """A shard's candidates out of its rows as they were read."""
        error = (1 + BEYOND) * self.exact.error

        def near(rows: pl.DataFrame) -> Any:
            found = [near_bounds(rows, record, error) for record in self.around]
            return np.unique(np.concatenate([np.empty(0, np.int64), *found]))

        again = self.exact.resolved(shard, read, near, make=self.make)
        self.made += again.facts["scored again in float32"]
        self.lacking += again.lacking
        return again.candidates

    def covers(self, record: CutoffRecord) -> bool:
        """Whether all keys within the error's bound of each of the record's bounds were asked for. A tenth of what is
        scored again beyond it is left for rounding."""
        if self.exact.ranking.lens not in self.exact.scorers:
            return True  # the condition alone was in doubt
        most = 0.9 * BEYOND * self.exact.error
        return all(
            any(math.isclose(bound, _bounds(known)[group], rel_tol=0, abs_tol=most) for known in self.around)
            for group, bound in _bounds(record).items()
        )


def _bounds(record: CutoffRecord) -> defaultdict[str, float]:
    """The bound of each group; of one that has none, nothing is kept."""
    one = {} if record.lower is None else {"": record.lower}
    return defaultdict(lambda: math.inf, {**record.lower_by_source, **one})
