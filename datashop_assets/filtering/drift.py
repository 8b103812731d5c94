"""Whether the corpus has grown away from its cut-off, so cheaply that a sensor can ask all the time.

What belongs here: that question, and the record of what `cutoff` has looked at. What does not: deciding a cut-off
(`decide.py`), recording it (`state.py`).

The sensor compares versions and counts alone. Scores are read, and summaries merged, where `cutoff` is materialized: it
summarises what is new once, keeps that, decides, and records how much it has looked at. So a look at 10,000 shards is
paid once for each tenth that the corpus grows, and never by the sensor.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl

from datashop_assets.filter_settings import Threshold
from datashop_assets.filtering.cutoff import CutoffRecord
from datashop_assets.filtering.rule import Ranking, Rule
from datashop_assets.filtering.sketches import sketched
from datashop_assets.filtering.tables import CUTOFF_LOOKS
from datashop_assets.project import Project
from datashop_assets.records import SCORES
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
    before, now = _looked_at(lake, cutoff), seen + outdated + sum(state.missing.values())
    return abs(now - before) > LOOK_AFTER_CHANGE * before


def record_look(lake: Lake, cutoff: CutoffRecord, shards: Collection[str], lineage: Mapping[str, Any]) -> None:
    """Note that this record is in force after a look at the shards' scores, unless that is what was noted last."""
    documents = _scored_documents(lake, cutoff, shards)
    if documents != _looked_at(lake, cutoff):
        row = {"lens": cutoff.lens, "cutoff": cutoff.cutoff, "documents": documents, "looked_at": datetime.now(UTC)}
        lake.commit(CUTOFF_LOOKS, pl.DataFrame([row], schema=CUTOFF_LOOKS.schema), None, lineage)


def _looked_at(lake: Lake, cutoff: CutoffRecord) -> int:
    """How many documents the last look was at; where none was noted, those that the record was decided over."""
    mine = (pl.col("lens") == cutoff.lens) & (pl.col("cutoff") == cutoff.cutoff)
    looks = lake.scan(CUTOFF_LOOKS).filter(mine).sort("looked_at").select("documents").collect()
    return int(looks["documents"][-1]) if looks.height else _scored_documents(lake, cutoff, cutoff.shards)


def _scored_documents(lake: Lake, cutoff: CutoffRecord, shards: Collection[str]) -> int:
    rows = lake.cells(SCORES.of(cutoff.lens)).filter(classifier=cutoff.classifier)
    return int(rows.filter(rows["shard"].is_in(list(shards)))["rows"].sum())
