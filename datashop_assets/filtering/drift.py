"""Whether the corpus has grown away from its cut-off, so cheaply that a sensor can ask all the time.

What belongs here: that question. What does not: deciding a cut-off (`cutoff.py`), recording it (`state.py`).
"""

import polars as pl

from datashop_assets.filter_settings import Threshold
from datashop_assets.filtering.cutoff import CutoffRecord, Policy, decide
from datashop_assets.filtering.produce import releasable_shards, scored_corpus
from datashop_assets.project import Project
from datashop_assets.records import SCORES
from datashop_assets.seams import Lake

LOOK_AFTER_GROWTH = 0.1


def cutoff_has_drifted(lake: Lake, cutoff: CutoffRecord, policy: Policy, project: Project) -> bool:
    """Whether deciding anew, over the corpus as it is scored now, would make another cut-off of the same policy.

    The scores are read only once the corpus is `LOOK_AFTER_GROWTH` larger or smaller than the one that the cut-off
    was made over: a share can hardly move before, and a sensor asks this every half minute.
    """
    table = SCORES.of(cutoff.lens)
    cells = lake.cells(table).filter(pl.col("classifier") == cutoff.classifier)
    documents = int(cells.filter(pl.col("shard").is_in(releasable_shards(lake, project)))["rows"].sum())
    if isinstance(policy, Threshold) or abs(documents / cutoff.documents - 1) <= LOOK_AFTER_GROWTH:
        return False
    scored = scored_corpus(lake, cutoff.lens, cutoff.classifier, project)
    if not scored["score"].is_finite().any():
        return False
    return decide(scored, policy, cutoff.lens, cutoff.classifier, cutoff).is_new
