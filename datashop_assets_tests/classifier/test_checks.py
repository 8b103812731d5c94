"""The blocking check between training and promotion: its verdict in words, and what it keeps from running."""

import random

import dagster as dg
import pytest

from datashop_assets.records import CLASSIFIERS, PROMOTIONS
from datashop_assets_tests.worlds import World, failure_of, metadata_of

JOB = "train_and_promote_classifier"
CHECK = "beats_the_mean_predictor"


@pytest.fixture
def parsed(world: World) -> World:
    world.land_shards(4)
    world.run("parse_and_embed_shards")
    return world


def check_of(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    (check,) = [e for e in result.get_asset_check_evaluations() if e.check_name == CHECK]
    return check


def test_a_classifier_that_learned_passes_with_its_figures(parsed: World) -> None:
    parsed.run("rate_documents", "teaching")
    check = check_of(parsed.run(JOB, "teaching"))
    assert check.passed
    assert check.blocking
    shown = {name: value.value for name, value in check.metadata.items()}
    assert shown["classifier"] == parsed.read(CLASSIFIERS)["classifier"].item()
    assert "beats predicting the mean score" in shown["verdict"]
    own, mean = (float(shown[name].split()[0]) for name in ("mae", "mae_mean"))
    assert own < mean
    assert "(n=" in shown["mae"]


def test_one_that_learned_nothing_is_stopped_before_promotion_and_so_it_is_the_second_time(parsed: World) -> None:
    chance = random.Random(0)
    parsed.judge = lambda text: float(chance.randint(0, 5))
    parsed.run("rate_documents", "teaching")
    for skipped in (False, True):
        result = parsed.run(JOB, "teaching", fails=True)
        check = check_of(result)
        assert not check.passed
        assert check.severity == dg.AssetCheckSeverity.ERROR
        assert "no better than predicting the mean score" in check.metadata["verdict"].value
        assert "the interval reaches 0" in check.metadata["verdict"].value
        assert metadata_of(result, "classifier")["teaching"]["skipped"] is skipped
        assert metadata_of(result, "promotion") == {}
        assert CHECK in failure_of(result)
    assert parsed.read(CLASSIFIERS).height == 1
    assert parsed.read(PROMOTIONS).is_empty()


def test_the_check_of_one_lens_does_not_stop_the_other(parsed: World) -> None:
    parsed.run("rate_documents", "teaching")
    parsed.run(JOB, "teaching")
    chance = random.Random(0)
    parsed.judge = lambda text: float(chance.randint(0, 5))
    parsed.run("rate_documents", "clarity")
    parsed.run(JOB, "clarity", fails=True)
    assert check_of(parsed.run(JOB, "teaching")).passed
    assert parsed.read(PROMOTIONS)["lens"].to_list() == ["teaching"]
