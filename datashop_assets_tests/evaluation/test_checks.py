"""The check of the report: a candidate that is worse is a warning that says on what."""

import dagster as dg
import pytest

from datashop_assets_tests.workshops import LENS, AnnealingWorld, evaluation

JOB = "anneal_and_evaluate_candidate"


def check_of(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    (check,) = [e for e in result.get_asset_check_evaluations() if e.check_name == "candidate_not_worse"]
    return check


@pytest.mark.parametrize(
    ("saved", "passed", "worse"),
    [
        pytest.param(0.2, True, "nothing", id="better"),
        pytest.param(0.0, True, "nothing", id="no difference"),
        pytest.param(-0.2, False, "slice_pages", id="worse"),
    ],
)
def test_only_a_candidate_that_is_shown_to_be_worse_is_warned_of(
    annealing_world: AnnealingWorld, saved: float, passed: bool, worse: str
) -> None:
    annealing_world.scripts["evaluate"] = evaluation(saved)
    annealing_world.run("anneal_control")
    check = check_of(annealing_world.run(JOB, LENS))  # the run itself succeeds: a person decides
    assert check.passed is passed
    assert check.severity == dg.AssetCheckSeverity.WARN
    assert check.metadata["worse on"].value == worse


def test_the_check_speaks_of_the_report_that_the_run_gave(annealing_world: AnnealingWorld) -> None:
    """Not of a later one, whose filtered documents are no longer there."""
    annealing_world.anneal_both()
    annealing_world.scripts["evaluate"] = evaluation(saved=-0.2)
    annealing_world.keep(worth_at_least=3)
    assert not check_of(annealing_world.run(JOB, LENS)).passed
    annealing_world.keep(worth_at_least=4)
    assert check_of(annealing_world.run(JOB, LENS)).passed
