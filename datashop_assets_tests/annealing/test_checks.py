"""The check between candidate and comparison: models of unlike training are not compared."""

from typing import Any

import dagster as dg
import pytest

from datashop_assets.records import ANNEALED_MODELS, EVAL_REPORTS
from datashop_assets_tests.workshops import LENS, TOKENS, AnnealingWorld
from datashop_assets_tests.worlds import failure_of, metadata_of

CANDIDATE = "anneal_and_evaluate_candidate"
SETTINGS = {"tokens": TOKENS, "sequence_length": 16}


def check_of(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    (check,) = [e for e in result.get_asset_check_evaluations() if e.check_name == "control_is_comparable"]
    return check


def figures(check: dg.AssetCheckEvaluation) -> dict[str, object]:
    return {name: value.value for name, value in check.metadata.items()}


def test_control_and_candidate_of_the_same_corpus_and_settings_are_compared(annealing_world: AnnealingWorld) -> None:
    annealing_world.run("anneal_control")
    result = annealing_world.run(CANDIDATE, LENS)
    check = check_of(result)
    assert check.passed
    (control,) = annealing_world.read(ANNEALED_MODELS).filter(role="control")["model"]
    assert figures(check) == {"control that is there": control, "control to compare with": control}
    assert LENS in metadata_of(result, "eval_report")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"tokens": 2 * TOKENS}, id="more tokens"),
        pytest.param({"learning_rate": 1.0}, id="another learning rate"),
        pytest.param({"seed": 7}, id="another seed"),
        pytest.param({"batch_size": 2}, id="another batch"),
    ],
)
def test_a_candidate_that_was_trained_otherwise_is_never_evaluated_until_the_control_is_made_anew(
    annealing_world: AnnealingWorld, change: dict[str, Any]
) -> None:
    annealing_world.run("anneal_control")
    annealing_world.change_project(anneal=SETTINGS | change)
    result = annealing_world.run(CANDIDATE, LENS, fails=True)
    check = check_of(result)
    assert not check.passed
    assert check.severity == dg.AssetCheckSeverity.ERROR
    assert check.blocking
    assert metadata_of(result, "eval_report") == {}
    assert annealing_world.calls("evaluate") == []
    assert annealing_world.read(EVAL_REPORTS).is_empty()
    assert annealing_world.read(ANNEALED_MODELS).filter(role="candidate").height == 1, "what was trained is kept"

    annealing_world.run("anneal_control")
    result = annealing_world.run(CANDIDATE, LENS)
    assert check_of(result).passed
    assert metadata_of(result, "candidate_model")[LENS]["skipped"] is True
    assert annealing_world.read(EVAL_REPORTS).height == 1


def test_a_control_of_an_earlier_corpus_is_not_compared_with(annealing_world: AnnealingWorld) -> None:
    annealing_world.run("anneal_control")
    annealing_world.grow()
    assert not check_of(annealing_world.run(CANDIDATE, LENS, fails=True)).passed

    annealing_world.run("anneal_control")
    assert check_of(annealing_world.run(CANDIDATE, LENS)).passed


def test_a_candidate_without_a_control_is_stopped_by_the_check_that_is_named(annealing_world: AnnealingWorld) -> None:
    result = annealing_world.run(CANDIDATE, LENS, fails=True)
    assert figures(check_of(result))["control that is there"] == "none"
    assert "control_is_comparable" in failure_of(result)
    assert annealing_world.calls("evaluate") == []
