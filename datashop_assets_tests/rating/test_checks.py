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


def test_each_rater_is_counted_by_itself_and_the_bad_one_is_seen(parsed: World) -> None:
    parsed.run("rate_documents", "teaching")
    parsed.judge = failing(20, "endpoint_error")
    result = parsed.run("rate_documents", "teaching", config={"annotations": {"rater": "other"}})
    check = check_of(result, "few_judgements_failed")
    assert not check.passed
    assert [(row["rater"], row["failed"], row["reasons"]) for row in shown(check)] == [
        ("other", "20", "endpoint_error"),
        ("scripted", "0", ""),
    ]


def test_failures_that_were_asked_for_again_and_succeeded_pass(parsed: World) -> None:
    parsed.judge = failing(20)
    assert not check_of(parsed.run("rate_documents", "teaching"), "few_judgements_failed").passed
    parsed.judge = worth
    parsed.change_project(lenses={"teaching": {"rater": "scripted", "sample_per_shard": 21}})
    result = parsed.run("rate_documents", "teaching")
    assert all(e.passed for e in result.get_asset_check_evaluations())


def test_a_sample_of_nothing_passes_no_check(parsed: World) -> None:
    result = parsed.run("rate_documents", "teaching", config={"annotations": {"sample_per_shard": 0}})
    assert [e.check_name for e in result.get_asset_check_evaluations() if e.passed] == []
