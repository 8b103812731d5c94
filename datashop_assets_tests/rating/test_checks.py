"""The checks of the ratings: too many failures, and a rater that always answers alike."""

from collections.abc import Callable

import dagster as dg
import pytest

from datashop_assets_tests.worlds import World, worth

Judge = Callable[[str], float | str]


@pytest.fixture
def parsed(world: World) -> World:
    """Twenty documents, all rated, through one lens."""
    world.land_shards(1, documents=20)
    world.change_project(lenses={"teaching": {"rater": "scripted", "sample_per_shard": 20}})
    world.run("parse_and_embed_shards")
    return world


def check_of(result: dg.ExecuteInProcessResult, name: str) -> dg.AssetCheckEvaluation:
    (check,) = [e for e in result.get_asset_check_evaluations() if e.check_name == name]
    return check


def shown(check: dg.AssetCheckEvaluation) -> list[dict[str, str]]:
    """The table that people see, row by row."""
    head, _, *rows = str(check.metadata["by lens and rater"].value).replace("\\", "").splitlines()
    names, *values = [[cell.strip() for cell in line.strip("|").split("|")] for line in (head, *rows)]
    return [dict(zip(names, row, strict=True)) for row in values]


def failing(count: int, reason: str = "refused") -> Judge:
    """The first `count` of the documents are not judged."""
    return lambda text: reason if int(text.split()[0].removeprefix("doc")) < count else worth(text)


@pytest.mark.parametrize(
    ("failures", "passes"),
    [
        pytest.param(0, True, id="none failed"),
        pytest.param(2, True, id="one in ten failed"),
        pytest.param(3, False, id="more than one in ten failed"),
        pytest.param(20, False, id="all failed"),
    ],
)
def test_more_than_a_tenth_of_failed_judgements_is_an_error_that_says_why_they_failed(
    parsed: World, failures: int, passes: bool
) -> None:
    parsed.judge = failing(failures)
    check = check_of(parsed.run("rate_documents", "teaching"), "few_judgements_failed")
    assert check.passed is passes
    assert check.severity == dg.AssetCheckSeverity.ERROR
    (row,) = shown(check)
    assert (row["lens"], row["rater"]) == ("teaching", "scripted")
    assert (row["judgements"], row["failed"]) == ("20", str(failures))
    assert row["reasons"] == ("refused" if failures else "")


@pytest.mark.parametrize(
    ("judge", "passes"),
    [
        pytest.param(worth, True, id="all of the scale"),
        pytest.param(lambda text: 4.0 if text.startswith("doc7 ") else 3.0, True, id="two values"),
        pytest.param(lambda text: 3.0, False, id="always the same"),
        pytest.param(lambda text: "refused", False, id="no score at all"),
    ],
)
def test_a_rater_that_always_answers_alike_is_an_error(parsed: World, judge: Judge, passes: bool) -> None:
    parsed.judge = judge
    check = check_of(parsed.run("rate_documents", "teaching"), "judgements_differ")
    assert check.passed is passes
    assert check.severity == dg.AssetCheckSeverity.ERROR


@pytest.mark.parametrize(
    ("named", "judge", "failed"),
    [
        pytest.param(True, failing(20, "endpoint_error"), {"few_judgements_failed", "judgements_differ"}, id="failing"),
        pytest.param(True, lambda text: 3.0, {"judgements_differ"}, id="always alike"),
        pytest.param(False, failing(20, "endpoint_error"), set(), id="failing, on trial"),
        pytest.param(False, lambda text: 3.0, set(), id="always alike, on trial"),
    ],
)
def test_a_bad_rater_is_seen_and_condemns_the_ratings_only_where_the_lens_names_it(
    parsed: World, named: bool, judge: Judge, failed: set[str]
) -> None:
    lens = {"rater": "scripted", "sample_per_shard": 20, "also_rated_by": ["other"] if named else []}
    parsed.change_project(lenses={"teaching": lens})
    parsed.run("rate_documents", "teaching", config={"annotations": {"rater": "scripted"}})
    parsed.judge = judge
    result = parsed.run("rate_documents", "teaching", config={"annotations": {"rater": "other"}})
    assert {e.check_name for e in result.get_asset_check_evaluations() if not e.passed} == failed
    rows = {row["rater"]: row for row in shown(check_of(result, "few_judgements_failed"))}
    assert rows["scripted"]["failed"] == "0"
    assert rows["other"]["in force"] == str(named)


def test_failures_that_were_asked_for_again_and_succeeded_pass(parsed: World) -> None:
    parsed.judge = failing(20)
    assert not check_of(parsed.run("rate_documents", "teaching"), "few_judgements_failed").passed
    parsed.judge = worth
    parsed.change_project(lenses={"teaching": {"rater": "scripted", "sample_per_shard": 21}})
    result = parsed.run("rate_documents", "teaching")
    assert all(e.passed for e in result.get_asset_check_evaluations())


def test_a_sample_of_nothing_passes_no_check_of_judgements(parsed: World) -> None:
    result = parsed.run("rate_documents", "teaching", config={"annotations": {"sample_per_shard": 0}})
    passed = {e.check_name for e in result.get_asset_check_evaluations() if e.passed}
    assert not passed & {"few_judgements_failed", "judgements_differ"}


def test_a_lens_says_itself_how_many_may_fail(parsed: World) -> None:
    parsed.judge = failing(8)
    lens = {"rater": "scripted", "sample_per_shard": 20, "max_failure_share": 0.4}
    parsed.change_project(lenses={"teaching": lens})
    assert check_of(parsed.run("rate_documents", "teaching"), "few_judgements_failed").passed
    parsed.change_project(lenses={"teaching": lens | {"max_failure_share": 0.39}})
    assert not check_of(parsed.run("rate_documents", "teaching"), "few_judgements_failed").passed


def test_a_run_that_its_budget_ended_says_so_in_a_check_and_the_next_one_clears_it(parsed: World) -> None:
    stopped = parsed.run("rate_documents", "teaching", config={"annotations": {"max_documents": 5}}, fails=True)
    check = check_of(stopped, "budgets_sufficed")
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "run the same partitions again" in str(check.description)
    assert check.metadata["scripted: spent"].value == "5 of 5 documents"
    assert check_of(parsed.run("rate_documents", "teaching"), "budgets_sufficed").passed


def test_half_rated_cells_are_warned_of_whenever_the_check_runs(parsed: World) -> None:
    parsed.run("rate_documents", "teaching", config={"annotations": {"max_documents": 5}}, fails=True)
    key = dg.AssetCheckKey(dg.AssetKey("annotations"), "budgets_sufficed")
    job = dg.define_asset_job("look", dg.AssetSelection.checks(key))
    definitions = dg.Definitions.merge(parsed.defs, dg.Definitions(jobs=[job]))
    result = definitions.resolve_job_def("look").execute_in_process(instance=parsed.instance)
    check = check_of(result, "budgets_sufficed")
    assert (check.passed, check.metadata["half rated cells"].value) == (False, 1)
