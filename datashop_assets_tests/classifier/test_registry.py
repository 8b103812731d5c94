"""What is trained and what is in force: records are appended, the newest promotion counts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from datashop_assets.classifier.registry import (
    ClassifierRecord,
    Decision,
    Promotion,
    PromotionRefusedError,
    find_classifier,
    promote,
    promoted,
    promotions,
    record_classifier,
    require_promoted,
    rolled_back,
)
from datashop_assets.records import PROMOTIONS
from resources.lake import DeltaLake

START = datetime(2026, 1, 1, tzinfo=UTC)


def record(name: str, hour: int, passed: bool = True, lens: str = "teaching") -> ClassifierRecord:
    trained = START + timedelta(hours=hour)
    return ClassifierRecord(lens, name, "e", "r", f"models/{name}", "i", "{}", passed, "it was measured", trained)


@pytest.fixture
def lake(tmp_path: Path) -> DeltaLake:
    lake = DeltaLake(str(tmp_path))
    for made in (record("old", 0), record("new", 1), record("worse", 2, passed=False), record("x", 3, lens="other")):
        record_classifier(lake, made, {})
    return lake


def test_the_newest_of_the_lens_or_the_one_that_is_named(lake: DeltaLake) -> None:
    assert find_classifier(lake, "teaching").classifier == "worse"
    assert find_classifier(lake, "teaching", "old").uri == "models/old"
    with pytest.raises(LookupError, match=r"no classifier 'x'; trained ones, oldest first: \['old', 'new', 'worse'\]"):
        find_classifier(lake, "teaching", "x")
    with pytest.raises(LookupError, match="materialize `classifier` for it first"):
        find_classifier(lake, "nothing")


def test_the_last_promotion_counts_not_the_last_training(lake: DeltaLake) -> None:
    with pytest.raises(LookupError, match="materialize `promotion` for it first"):
        require_promoted(lake, "teaching")
    for name, is_new in (("new", True), ("new", False), ("old", True)):
        _, made = promote(lake, find_classifier(lake, "teaching", name), {})
        assert made is is_new
    assert require_promoted(lake, "teaching").classifier == "old"
    assert promoted(lake, "other") is None


@pytest.mark.parametrize(
    "decision",
    [
        pytest.param(Decision(), id="nobody decides"),
        pytest.param(Decision("ada", "because"), id="it was not asked for all the same"),
        pytest.param(Decision("ada", None, True), id="no reason"),
        pytest.param(Decision("", "because", True), id="no name"),
    ],
)
def test_one_that_failed_needs_a_name_and_a_reason(lake: DeltaLake, decision: Decision) -> None:
    with pytest.raises(PromotionRefusedError, match="it was measured"):
        promote(lake, find_classifier(lake, "teaching", "worse"), {}, decision)
    assert promoted(lake, "teaching") is None


def test_an_override_is_recorded_as_one_only_where_it_was_needed(lake: DeltaLake) -> None:
    needed, _ = promote(lake, find_classifier(lake, "teaching", "worse"), {}, Decision("ada", "a drill", True))
    not_needed, _ = promote(lake, find_classifier(lake, "teaching", "new"), {}, Decision("ada", "the best", True))
    assert (needed.override, not_needed.override) == (True, False)
    assert (not_needed.by, not_needed.note) == ("ada", "the best")


def test_an_objection_stops_also_what_was_in_force_before(lake: DeltaLake) -> None:
    old, new = (find_classifier(lake, "teaching", name) for name in ("old", "new"))
    promote(lake, old, {})
    with pytest.raises(PromotionRefusedError, match="worse on 40 rows"):
        promote(lake, new, {}, objection="worse on 40 rows")
    promote(lake, new, {})
    with pytest.raises(PromotionRefusedError, match="worse on 40 rows"):
        promote(lake, old, {}, objection="worse on 40 rows")


def test_a_roll_back_from_a_host_whose_clock_is_behind_takes_effect(lake: DeltaLake) -> None:
    ahead = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    row = vars(Promotion("teaching", "new", ahead, "ada", override=False, note=None))
    lake.commit(PROMOTIONS, pl.DataFrame([row], schema=PROMOTIONS.schema), None, {})
    back, made = promote(lake, find_classifier(lake, "teaching", "old"), {})
    assert made
    assert back.promoted_at == ahead + timedelta(microseconds=1)
    assert require_promoted(lake, "teaching").classifier == "old"
    assert [each.classifier for each in promotions(lake, "teaching")] == ["new", "old"]


def in_force_in_turn(lake: DeltaLake, names: str) -> None:
    for name in names.split():
        promote(lake, find_classifier(lake, "teaching", name), {}, Decision("ada", "a drill", True))


@pytest.mark.parametrize(
    ("history", "name", "by"),
    [
        pytest.param("old", "new", None, id="never in force"),
        pytest.param("old new", "new", None, id="in force"),
        pytest.param("old new", "old", None, id="a newer one came"),
        pytest.param("old new old", "new", "old", id="back to what was in force before"),
        pytest.param("new old", "new", "old", id="back to an older one that never was in force"),
        pytest.param("old new old worse", "new", "old", id="taken back, and a newer one came since"),
        pytest.param("old new worse old", "new", "old", id="a newer one came, and it was gone back beyond both"),
        pytest.param("old new worse new", "old", None, id="a newer one came, and it was gone back to that"),
        pytest.param("old new old new", "new", None, id="taken back, and named again"),
        pytest.param("old new old new", "old", "new", id="went to and fro"),
    ],
)
def test_what_was_taken_back_stays_so_also_where_a_training_finds_it_again(
    lake: DeltaLake, history: str, name: str, by: str | None
) -> None:
    in_force_in_turn(lake, history)
    found = find_classifier(lake, "teaching", name)
    again = replace(found, trained_at=datetime.now(UTC))
    record_classifier(lake, again, {})
    taken = [rolled_back(lake, each) for each in (found, again)]
    assert [each and each.classifier for each in taken] == [by, by]


def test_the_newest_is_taken_back_only_by_a_later_promotion_of_another(lake: DeltaLake) -> None:
    newest = find_classifier(lake, "teaching", "new")
    promote(lake, find_classifier(lake, "teaching", "old"), {})
    assert rolled_back(lake, newest) is None, "it was never in force"
    promote(lake, newest, {})
    assert rolled_back(lake, newest) is None
    promote(lake, find_classifier(lake, "teaching", "old"), {}, Decision("ada", "menus came back"))
    taken = rolled_back(lake, newest)
    assert taken is not None
    assert (taken.classifier, taken.by) == ("old", "ada")
