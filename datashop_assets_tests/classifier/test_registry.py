"""What is trained and what is in force: records are appended, the newest promotion counts."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from datashop_assets.classifier.registry import (
    ClassifierRecord,
    PromotionRefusedError,
    find_classifier,
    promote,
    promoted,
    record_classifier,
    require_promoted,
)
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
        _, made = promote(lake, find_classifier(lake, "teaching", name), {}, None, None)
        assert made is is_new
    assert require_promoted(lake, "teaching").classifier == "old"
    assert promoted(lake, "other") is None


@pytest.mark.parametrize(("by", "note"), [(None, None), ("ada", None), (None, "because"), ("", "because")])
def test_one_that_failed_needs_a_name_and_a_reason(lake: DeltaLake, by: str | None, note: str | None) -> None:
    with pytest.raises(PromotionRefusedError, match="it was measured"):
        promote(lake, find_classifier(lake, "teaching", "worse"), {}, by, note)
    assert promoted(lake, "teaching") is None


def test_an_override_is_recorded_as_one_only_where_it_was_needed(lake: DeltaLake) -> None:
    needed, _ = promote(lake, find_classifier(lake, "teaching", "worse"), {}, "ada", "a drill")
    not_needed, _ = promote(lake, find_classifier(lake, "teaching", "new"), {}, "ada", "the best")
    assert (needed.override, not_needed.override) == (True, False)
    assert (not_needed.by, not_needed.note) == ("ada", "the best")
