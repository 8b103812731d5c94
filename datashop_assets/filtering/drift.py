"""Whether the corpus has grown away from its cut-off, so cheaply that a sensor can ask all the time.

What belongs here: that question, and the record of what `cutoff` has looked at. What does not: deciding a cut-off
(`decide.py`), recording it (`state.py`).

The sensor compares versions and counts alone. Scores are read, and summaries merged, where `cutoff` is materialized: it
summarises what is new once, keeps that, decides, and records how much it has looked at. So a look at 10,000 shards is
paid once for each tenth that the corpus grows, and never by the sensor.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl

from datashop_assets.filter_settings import Threshold
from datashop_assets.filtering.cutoff import CutoffRecord
from datashop_assets.filtering.rule import Ranking, Rule
from datashop_assets.filtering.sketches import sketched
from datashop_assets.filtering.tables import CUTOFF_LOOKS
from datashop_assets.project import Project
from datashop_assets.records import CUTOFFS, SCORES
from datashop_assets.scoring.exact_scores import commits_so_far
from datashop_assets.seams import Lake

LOOK_AFTER_CHANGE = 0.1


def cutoff_has_drifted(lake: Lake, cutoff: CutoffRecord, rule: Rule, project: Project) -> bool:
    """Whether `cutoff` has to look again: more than `LOOK_AFTER_CHANGE` of the documents that it last looked at came,
    went, or are ranked by something that was made anew. A share can hardly move before. No rows of scores and no
    summaries are read.
    """
    if isinstance(rule.policy, Threshold):
        return False
    state = sketched(lake, Ranking(cutoff.lens, cutoff.classifier, rule), project)
    seen, outdated = sum(state.current.values()), sum(state.outdated.values())
    if outdated > LOOK_AFTER_CHANGE * (seen + outdated) or not seen + outdated:
        return bool(state.wanted)
    before, now = _last_seen(lake, cutoff, looks_at(lake, cutoff)), seen + outdated + sum(state.missing.values())
    return abs(now - before) > LOOK_AFTER_CHANGE * before


@dataclass(frozen=True)
class Looks:
    """The looks at the corpus after which a record was in force, in their order: the documents of each, and its
    `lacked_at` as in `exact_bounds.DecidedCutoff`. None is noted of a record from before looks were."""

    documents: Sequence[int]
    lacked_at: Sequence[int | None]

    @property
    def last_lacked_at(self) -> int | None:
        """Where the last look was without exact scores that it asked for."""
        return self.lacked_at[-1] if self.lacked_at else None

    @property
    def is_provisional(self) -> bool:
        """Whether the record was made without exact scores that it asked for, and no look has had them all since."""
        return bool(self.lacked_at) and None not in self.lacked_at


def looks_at(lake: Lake, cutoff: CutoffRecord) -> Looks:
    """What was noted for the record."""
    mine = (pl.col("lens") == cutoff.lens) & (pl.col("cutoff") == cutoff.cutoff)
    noted = lake.scan(CUTOFF_LOOKS).filter(mine).sort("looked_at").select("documents", "lacked_at").collect()
    return Looks(noted["documents"].to_list(), noted["lacked_at"].to_list())


def cutoff_is_settled(lake: Lake, cutoff: CutoffRecord) -> bool:
    """Whether another look can tell no more: the last one had all exact scores that it asked for, or none was made
    since. If not, `cutoff` looks again once everything is filtered: the runs that filter make those scores."""
    lacked_at = looks_at(lake, cutoff).last_lacked_at
    return lacked_at is None or lacked_at == commits_so_far(lake, cutoff.ranking.names)


def record_look(
    lake: Lake,
    cutoff: CutoffRecord,
    shards: Collection[str],
    lineage: Mapping[str, Any],
    lacked_at: int | None = None,
) -> None:
    """Note that this record is in force after a look at the shards' scores, unless that is what was noted last;
    `lacked_at` as in `exact_bounds.DecidedCutoff`. To be called before the record is, where that is new."""
    before, documents = looks_at(lake, cutoff), _scored_documents(lake, cutoff, shards)
    if (documents, lacked_at) == (_last_seen(lake, cutoff, before), before.last_lacked_at):
        return
    looks = [(documents, datetime.now(UTC), lacked_at)]
    if lacked_at is not None and not before.documents and _is_recorded(lake, cutoff):
        # It was made with all scores, of which nothing had to be noted then: it does not become provisional now.
        looks.insert(0, (_scored_documents(lake, cutoff, cutoff.shards), cutoff.created_at, None))
    rows = [
        {"lens": cutoff.lens, "cutoff": cutoff.cutoff, "documents": seen, "looked_at": when, "lacked_at": lacked}
        for seen, when, lacked in looks
    ]
    lake.commit(CUTOFF_LOOKS, pl.DataFrame(rows, schema=CUTOFF_LOOKS.schema), None, lineage)


def _is_recorded(lake: Lake, cutoff: CutoffRecord) -> bool:
    mine = (pl.col("lens") == cutoff.lens) & (pl.col("cutoff") == cutoff.cutoff)
    return not lake.scan(CUTOFFS).filter(mine).select("cutoff").collect().is_empty()


def _last_seen(lake: Lake, cutoff: CutoffRecord, looks: Looks) -> int:
    """How many documents the last look was at; where none was noted, those that the record was decided over."""
    return looks.documents[-1] if looks.documents else _scored_documents(lake, cutoff, cutoff.shards)


def _scored_documents(lake: Lake, cutoff: CutoffRecord, shards: Collection[str]) -> int:
    rows = lake.cells(SCORES.of(cutoff.lens)).filter(classifier=cutoff.classifier)
    return int(rows.filter(rows["shard"].is_in(list(shards)))["rows"].sum())
