"""The check between candidate and comparison: models of unlike training are not compared."""

import dagster as dg

from datashop_assets.records import ANNEALED_MODELS, EVAL_REPORTS
from datashop_assets_tests.workshops import LENS, TOKENS, AnnealingWorld
from datashop_assets_tests.worlds import failure_of, metadata_of

CANDIDATE = "anneal_and_evaluate_candidate"


def check_of(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    (check,) = [e for e in result.get_asset_check_evaluations() if e.check_name == "same_tokens_as_control"]
    return check


def figures(check: dg.AssetCheckEvaluation) -> dict[str, object]:
    return {name: value.value for name, value in check.metadata.items()}


def test_control_and_candidate_of_as_many_tokens_pass_and_are_compared(annealing_world: AnnealingWorld) -> None:
    annealing_world.run("anneal_control")
    result = annealing_world.run(CANDIDATE, LENS)
    check = check_of(result)
    assert check.passed
    assert figures(check) == {"candidate": TOKENS, "control": TOKENS}
    assert LENS in metadata_of(result, "eval_report")


def test_a_candidate_of_more_tokens_is_never_evaluated_until_the_control_is_made_anew(
    annealing_world: AnnealingWorld,
) -> None:
    annealing_world.run("anneal_control")
    annealing_world.change_project(anneal={"tokens": 2 * TOKENS, "sequence_length": 16})
    result = annealing_world.run(CANDIDATE, LENS, fails=True)
    check = check_of(result)
    assert not check.passed
    assert check.severity == dg.AssetCheckSeverity.ERROR
    assert check.blocking
    assert figures(check) == {"candidate": 2 * TOKENS, "control": TOKENS}
    assert metadata_of(result, "eval_report") == {}
    assert annealing_world.calls("evaluate") == []
    assert annealing_world.read(EVAL_REPORTS).is_empty()
    assert annealing_world.read(ANNEALED_MODELS).filter(role="candidate").height == 1, "what was trained is kept"

    annealing_world.run("anneal_control")
    result = annealing_world.run(CANDIDATE, LENS)
    assert check_of(result).passed
    assert metadata_of(result, "candidate_model")[LENS]["skipped"] is True
    assert annealing_world.read(EVAL_REPORTS).height == 1


def test_a_candidate_without_a_control_is_stopped_by_the_check_that_is_named(annealing_world: AnnealingWorld) -> None:
    result = annealing_world.run(CANDIDATE, LENS, fails=True)
    assert figures(check_of(result)) == {"candidate": TOKENS, "control": 0}
    assert "same_tokens_as_control" in failure_of(result)
    assert annealing_world.calls("evaluate") == []
