"""Summaries and attributes' scores that nobody reads any more are named, and nothing that is in force."""

from pathlib import Path

import pytest

from datashop_assets.attributes.state import AttributeRecord, attribute_target, record
from datashop_assets.filtering.rule import Ranking
from datashop_assets.filtering.superseded import KEPT_CLASSIFIERS, searches
from datashop_assets_tests.filtering.scored_lakes import ScoredLake

SHARDS = ["crawl-00000", "crawl-00001"]
LENSES = {"teaching": {"cutoff": {"keep_fraction": 0.5}}}


@pytest.fixture
def lake(tmp_path: Path) -> ScoredLake:
    made = ScoredLake(tmp_path, LENSES)
    for shard in SHARDS:
        made.add(shard, [f"{shard}-{n}" for n in range(4)])
    return made


def score(lake: ScoredLake) -> None:
    for shard in SHARDS:
        lake.score("teaching", shard, {f"{shard}-{n}": float(n) for n in range(4)})


def named(lake: ScoredLake) -> list[tuple[str, str, str, int]]:
    found = [each for search in searches(lake.lake, lake.project) for each in search.found()]
    return [(each.table.name, each.column, each.value, each.shards) for each in found]


def test_summaries_of_an_earlier_classifier_go_once_the_new_one_has_its_cutoff(lake: ScoredLake) -> None:
    score(lake)
    lake.cut("teaching")
    first = Ranking("teaching", lake.classifiers["teaching"], lake.rule("teaching")).id
    assert named(lake) == []
    lake.promote("teaching", "teaching-2")
    score(lake)
    assert named(lake) == [], "the cut-off in force is still the first one's"
    lake.cut("teaching")
    assert named(lake) == [("score_sketches/teaching", "ranking", first, 2)]


def test_scores_of_the_last_few_classifiers_stay_for_a_roll_back_and_older_ones_go(lake: ScoredLake) -> None:
    score(lake)
    first = lake.classifiers["teaching"]
    for number in range(KEPT_CLASSIFIERS):
        assert ("scores/teaching", "classifier") not in {each[:2] for each in named(lake)}
        lake.promote("teaching", f"newer-{number}")
        score(lake)
    lake.cut("teaching")
    old = [each for each in named(lake) if each[0] == "scores/teaching"]
    assert old == [("scores/teaching", "classifier", first, len(SHARDS))]


def test_scores_of_an_attribute_that_is_set_otherwise_now_go_and_paid_ones_do_not(lake: ScoredLake) -> None:
    asked = {"length": {"kind": "length"}, "judged": {"kind": "rater", "rater": "scripted", "lens": "teaching"}}
    lake.ask(LENSES, attributes=asked)

    def measure(attribute: str) -> str:
        made = AttributeRecord(attribute, "any", lake.project.attributes[attribute].version)
        record(lake.lake, made, {})
        target = attribute_target(attribute, made.classifier)
        cells = [{"shard": shard, "classifier": made.classifier, "version": "v"} for shard in SHARDS]
        lake.lake.commit(target.table, target.table.empty(), cells, {})
        return made.classifier

    before = measure("length")
    measure("judged")
    changed = {"length": {"kind": "length", "unit": "words"}, "judged": {**asked["judged"], "survivors_of": "teaching"}}
    lake.ask(LENSES, attributes=changed)
    assert named(lake) == [], "nothing is in force as it is set now"
    measure("length")
    measure("judged")
    assert named(lake) == [("scores/length", "classifier", before, 2)]
