"""Whether the corpus has grown away from its cut-off, so cheaply that a sensor can ask all the time.

What belongs here: that question. What does not: deciding a cut-off (`decide.py`), recording it (`state.py`).
"""

from datashop_assets.filter_settings import Threshold
from datashop_assets.filtering.cutoff import CutoffRecord
from datashop_assets.filtering.decide import decide
from datashop_assets.filtering.rule import Ranking, Rule
from datashop_assets.filtering.sketches import ranked_corpus, sketched
from datashop_assets.project import Project
from datashop_assets.records import SCORES
from datashop_assets.seams import Lake

LOOK_AFTER_CHANGE = 0.1


def cutoff_has_drifted(lake: Lake, cutoff: CutoffRecord, rule: Rule, project: Project) -> bool:
    """Whether deciding anew, over the corpus as it is scored now, would make another cut-off of the same rule, or has
    to be tried: where what more than `LOOK_AFTER_CHANGE` of the documents are ranked by was made anew.

    No scores are read until the corpus is as much larger or smaller than the one that was summarised, and then those of
    new shards alone: a share can hardly move before, and a sensor asks this every half minute.
    """
    if isinstance(rule.policy, Threshold):
        return False
    ranking = Ranking(cutoff.lens, cutoff.classifier, rule)
    state = sketched(lake, ranking, project)
    seen = sum(state.current.values()) + sum(state.outdated.values())
    if sum(state.outdated.values()) > LOOK_AFTER_CHANGE * seen or not seen:
        return bool(state.wanted)
    rows = lake.cells(SCORES.of(cutoff.lens)).filter(classifier=cutoff.classifier)
    before = int(rows.filter(rows["shard"].is_in(cutoff.shards))["rows"].sum())
    now = seen + sum(state.missing.values())
    if not before or abs(now / before - 1) <= LOOK_AFTER_CHANGE:
        return False
    corpus = ranked_corpus(lake, ranking, project)
    if not any(ranked.n for ranked in corpus.ranked.values()):
        return False
    return decide(corpus, rule, cutoff.lens, cutoff.classifier, cutoff).is_new
