"""Two promotions at the same time: what is judged beside one classifier does not replace another."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from datashop_assets.classifier import promoting
from datashop_assets.classifier.comparison import not_compared
from datashop_assets.classifier.gate import Standing
from datashop_assets.classifier.promoting import JUDGEMENTS, Promoted, put_in_force
from datashop_assets.classifier.registry import (
    ClassifierRecord,
    Decision,
    PromotionRefusedError,
    find_classifier,
    promote,
    promoted,
    record_classifier,
    require_promoted,
)
from datashop_assets.promotion_settings import PromotionSettings
from datashop_assets_tests.classifier.lenses import lens
from resources.lake import DeltaLake
from resources.model_store import LocalModelStore

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path: Path) -> DeltaLake:
    """`first` is in force, `second` was trained after it, and `newest` last."""
    lake = DeltaLake(str(tmp_path / "lake"))
    for hour, name in enumerate(("first", "second", "newest")):
        trained = START + timedelta(hours=hour)
        row = ClassifierRecord(
            "teaching", name, "e", "r", f"models/{name}", "i", "{}", True, "it was measured", trained
        )
        record_classifier(lake, row, {})
    promote(lake, find_classifier(lake, "teaching", "first"), {})
    return lake


def judging(lake: DeltaLake, meanwhile: Iterable[str]) -> Callable[..., Standing]:
    """In place of the comparison: worse than `second` alone; during each one, somebody promotes the next of these."""
    others = iter(meanwhile)

    def judge(*_: Any) -> Standing:
        current = promoted(lake, "teaching")
        assert current is not None
        if (other := next(others, None)) is not None:
            promote(lake, find_classifier(lake, "teaching", other), {}, Decision("ada"))
        beside = current.classifier
        return Standing(beside != "second", f"compared with {beside}", not_compared("by hand", beside))

    return judge


def put_newest(lake: DeltaLake, folder: Path) -> Promoted:
    return put_in_force(lake, LocalModelStore(folder), lens(), PromotionSettings(), None, Decision(), {})


def test_it_is_judged_again_where_another_came_into_force_meanwhile(
    lake: DeltaLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promoting, "standing", judging(lake, ["second"]))
    with pytest.raises(PromotionRefusedError, match="compared with second"):
        put_newest(lake, tmp_path)
    assert require_promoted(lake, "teaching").classifier == "second"


def test_it_replaces_the_one_that_it_was_compared_with_last(
    lake: DeltaLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promoting, "standing", judging(lake, ["second", "first"]))
    done = put_newest(lake, tmp_path)
    assert done.is_new
    assert done.standing.words == "compared with first"
    assert done.words == "newest is now in force, in the place of first"


def test_where_others_never_stop_it_is_given_up_and_says_so(
    lake: DeltaLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promoting, "standing", judging(lake, ["second", "first"] * JUDGEMENTS))
    with pytest.raises(PromotionRefusedError, match="Materialize `promotion` again"):
        put_newest(lake, tmp_path)
