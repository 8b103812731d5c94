"""Runs of `annotations`: what is rated, what is paid for again, and what never is."""

from typing import Any

import dagster as dg
import polars as pl
import pytest

from datashop_assets.rating import annotate, assets
from datashop_assets.rating.quality import annotation_versions, labelled
from datashop_assets.records import ANNOTATIONS, DOCUMENTS
from datashop_assets_tests.worlds import World, failure_of, metadata_of, worth, write_lens, write_project
from resources.raters.endpoint_errors import RaterEndpointError

RATINGS = ANNOTATIONS.of("teaching")


@pytest.fixture
def parsed(world: World) -> World:
    world.land_shards(2, documents=12)
    world.change_project(lenses=lenses(sample=4))
    world.run("parse_and_embed_shards")
    return world


def lenses(sample: int, **changes: object) -> dict[str, object]:
    lens = {"rater": "scripted", "sample_per_shard": sample} | changes
    return {"teaching": lens, "clarity": lens}


def asked(world: World, rater: str = "scripted") -> list[str]:
    """What the rater was asked since the last look."""
    texts = list(world.raters[rater].asked)
    world.raters[rater].asked.clear()
    return texts


def test_a_larger_sample_asks_for_the_additional_documents_only(parsed: World) -> None:
    parsed.run("rate_documents", "teaching")
    first = asked(parsed)
    assert len(first) == 2 * 4
    assert list(parsed.profile.staging.rglob("*.parquet")) == [], "what is committed is not kept twice"
    parsed.run("rate_documents", "teaching")
    assert asked(parsed) == []
    parsed.change_project(lenses=lenses(sample=7))
    parsed.run("rate_documents", "teaching")
    second = asked(parsed)
    assert len(second) == 2 * 3
    assert not set(first) & set(second)
    assert parsed.read(RATINGS).height == 2 * 7


def test_another_project_rates_the_same_sample(parsed: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("other")
    write_project(folder, lenses=lenses(sample=4))
    other = World(folder)
    other.land_shards(2, documents=12)
    other.run("parse_and_embed_shards")
    for world in (parsed, other):
        world.run("rate_documents", "teaching")
    assert asked(parsed) == asked(other)


def test_a_failed_judgement_is_null_with_its_reason_and_is_asked_for_again_when_the_cell_is_stale(
    parsed: World,
) -> None:
    parsed.judge = lambda text: "refused" if "doc1 " in text or "doc2 " in text else 3.0
    parsed.change_project(lenses=lenses(sample=12))
    result = parsed.run("rate_documents", "teaching")
    failed = parsed.read(RATINGS).filter(pl.col("score").is_null())
    assert failed["reason"].to_list() == ["refused", "refused"]
    assert [f["failed"] for f in metadata_of(result, "annotations").values()].count(2) == 1
    asked(parsed)
    parsed.judge = lambda text: 3.0
    parsed.change_project(lenses=lenses(sample=13))
    parsed.run("rate_documents", "teaching")
    assert sorted(text.split()[0] for text in asked(parsed)) == ["doc1", "doc2"]
    assert parsed.read(RATINGS)["score"].null_count() == 0


def test_a_changed_lens_is_rated_again_and_the_other_is_not(parsed: World) -> None:
    for lens in ("teaching", "clarity"):
        parsed.run("rate_documents", lens)
    asked(parsed)
    first = parsed.graph.lenses["teaching"].version
    write_lens(parsed.folder / "lenses", "teaching", "Another question, {{ low }} to {{ high }}:\n{{ document }}")
    parsed.reload()
    untouched = parsed.lake.version(ANNOTATIONS.of("clarity"))
    for lens in ("teaching", "clarity"):
        parsed.run("rate_documents", lens)
    assert len(asked(parsed)) == 8
    assert parsed.lake.version(ANNOTATIONS.of("clarity")) == untouched
    versions = parsed.read(RATINGS)["lens_version"].value_counts().rows()
    assert sorted(versions) == sorted([(first, 8), (parsed.graph.lenses["teaching"].version, 8)])


def test_going_back_to_a_larger_sample_costs_nothing(parsed: World) -> None:
    for sample in (4, 2, 4):
        parsed.change_project(lenses=lenses(sample=sample))
        parsed.run("rate_documents", "teaching")
    assert len(asked(parsed)) == 4 * len(parsed.shards)


def test_a_rater_that_breaks_off_is_asked_for_the_rest_only(parsed: World) -> None:
    parsed.change_project(lenses=lenses(sample=12))
    paid = 0

    def breaks_off(text: str) -> float:
        nonlocal paid
        if paid == 17:
            raise LookupError("the model is gone")  # of the kind that no retry mends
        paid += 1
        return 2.0

    parsed.judge = breaks_off
    assert "the model is gone" in failure_of(parsed.run("rate_documents", "teaching", fails=True))
    before = asked(parsed)[:-1]
    assert len(before) == 17
    assert parsed.read(RATINGS).height == 12, "the first shard is committed, the second is not"
    parsed.judge = lambda text: 2.0
    parsed.run("rate_documents", "teaching")
    rest = asked(parsed)
    assert len(rest) == 24 - 17
    assert not set(before) & set(rest)
    assert parsed.read(RATINGS).height == 24


def test_two_runs_of_one_shard_both_end_with_its_whole_sample(parsed: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second begins in the middle of the first, commits the shard, and clears what both had kept."""
    monkeypatch.setattr(annotate, "SAVE_ROWS", 2)
    parsed.change_project(lenses=lenses(sample=12))
    tried = 0

    def judge(text: str) -> float:
        nonlocal tried
        tried += 1
        if tried == 6:
            parsed.run("rate_documents", "teaching", shards=parsed.shards[:1])
        return worth(text)

    parsed.judge = judge
    parsed.run("rate_documents", "teaching", shards=parsed.shards[:1])
    rated = parsed.read(RATINGS)
    assert (rated.height, rated["id"].n_unique(), rated["score"].null_count()) == (12, 12, 0)
    assert tried < 2 * 12, "the second took over what the first had kept"
    before = tried
    parsed.run("rate_documents", "teaching", shards=parsed.shards[:1])
    assert tried == before, "the shard is done"


def test_rater_and_sample_size_of_one_run_come_from_its_config(parsed: World) -> None:
    parsed.run("rate_documents", "teaching")
    parsed.run("rate_documents", "teaching", config={"annotations": {"rater": "other", "sample_per_shard": 2}})
    assert len(asked(parsed, "other")) == 2 * 2
    counted = dict(parsed.read(RATINGS)["rater"].value_counts().iter_rows())
    assert counted == {"scripted": 8, "other": 4}, "one rater's ratings stand beside the other's"


def test_only_the_shards_of_the_run_are_rated(parsed: World) -> None:
    parsed.run("rate_documents", "teaching", shards=["crawl-00001"])
    assert parsed.read(RATINGS)["shard"].unique().to_list() == ["crawl-00001"]


def test_rating_before_parsing_says_what_to_do(world: World) -> None:
    world.land_shards(1, documents=3)
    message = failure_of(world.run("rate_documents", "teaching", fails=True))
    assert "materialize `documents` first: it has nothing for crawl-00000" in message


@pytest.mark.parametrize(
    ("judge", "check"),
    [
        pytest.param(lambda text: "refused" if text[3] in "12" else 3.0, "few_judgements_failed", id="many failed"),
        pytest.param(lambda text: 3.0, "judgements_differ", id="one answer for everything"),
    ],
)
def test_ratings_that_teach_nothing_fail_a_check(parsed: World, judge, check: str) -> None:
    parsed.judge = judge
    parsed.change_project(lenses={"teaching": lenses(sample=12)["teaching"]})
    result = parsed.run("rate_documents", "teaching")
    failed = [e.check_name for e in result.get_asset_check_evaluations() if not e.passed]
    assert check in failed


RETRY_FAILED = {"annotations": {"retry_failed": True}}


def test_what_failed_in_finished_shards_is_rated_again_when_asked_for(parsed: World) -> None:
    unlucky = parsed.shards[0]
    (text,) = parsed.read(DOCUMENTS).filter(shard=unlucky).sort("id")["text"].head(1)
    parsed.change_project(lenses=lenses(sample=12))
    parsed.judge = lambda asked: "timed_out" if asked == text else worth(asked)
    parsed.run("rate_documents", "teaching")
    before = annotation_versions(parsed.lake, "teaching", "scripted")
    asked(parsed)
    parsed.run("rate_documents", "teaching")
    assert asked(parsed) == [], "not by itself"
    parsed.run("rate_documents", "teaching", config=RETRY_FAILED)
    assert asked(parsed) == [text]
    assert annotation_versions(parsed.lake, "teaching", "scripted") == before, "it failed again: the same labels"
    parsed.judge = worth
    parsed.run("rate_documents", "teaching", config=RETRY_FAILED)
    assert asked(parsed) == [text]
    assert parsed.read(RATINGS)["score"].null_count() == 0
    after = annotation_versions(parsed.lake, "teaching", "scripted")
    assert {shard for shard in before if before[shard] != after[shard]} == {unlucky}, "one more label to train on"
    for config in (None, RETRY_FAILED):
        parsed.run("rate_documents", "teaching", config=config)
        assert asked(parsed) == [], "every shard stands at its version again"


def test_a_second_try_that_broke_off_and_went_on_is_seen_by_whoever_trains(parsed: World) -> None:
    parsed.judge = lambda text: "timed_out"
    parsed.run("rate_documents", "teaching", shards=parsed.shards[:1])
    before = annotation_versions(parsed.lake, "teaching", "scripted")
    answers: list[float | str | Exception] = [2.0, RaterEndpointError("gone"), "timed_out", "timed_out", "timed_out"]

    def judge(_: str) -> float | str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    parsed.judge = judge
    parsed.run("rate_documents", "teaching", shards=parsed.shards[:1], config=RETRY_FAILED)
    assert answers == [], "the step was tried again by itself, and went on"
    assert parsed.read(RATINGS)["score"].null_count() == 3
    assert annotation_versions(parsed.lake, "teaching", "scripted") != before, "there is one more label"


def test_budgets_that_end_again_and_again_reach_every_failure(parsed: World) -> None:
    parsed.judge = lambda text: "timed_out"
    parsed.run("rate_documents", "teaching")
    asked(parsed)
    one_at_a_time = {"annotations": RETRY_FAILED["annotations"] | {"max_documents": 1}}
    for _ in range(8):
        parsed.run("rate_documents", "teaching", fails=True, config=one_at_a_time)
    again = asked(parsed)
    assert len(set(again)) == len(again) == 8


def test_a_budget_that_ends_a_second_try_leaves_no_shard_half_rated(parsed: World) -> None:
    parsed.judge = lambda text: "timed_out"
    parsed.run("rate_documents", "teaching")
    parsed.judge = worth
    message = failure_of(
        parsed.run(
            "rate_documents",
            "teaching",
            fails=True,
            config={"annotations": RETRY_FAILED["annotations"] | {"max_documents": 3}},
        )
    )
    assert "budget" in message
    assert parsed.read(RATINGS)["score"].null_count() == 8 - 3
    asked(parsed)
    parsed.run("rate_documents", "teaching")
    assert asked(parsed) == []
    parsed.run("rate_documents", "teaching", config=RETRY_FAILED)
    assert len(asked(parsed)) == 5
    assert parsed.read(RATINGS)["score"].null_count() == 0


def test_every_rater_of_a_lens_rates_and_the_first_ones_figures_come_first(parsed: World) -> None:
    parsed.change_project(lenses=lenses(sample=4, also_rated_by=["other"]))
    facts = metadata_of(parsed.run("rate_documents", "teaching"), "annotations")
    assert dict(parsed.read(RATINGS)["rater"].value_counts().iter_rows()) == {"scripted": 8, "other": 8}
    assert [(cell["rated_now"], cell["other: rated_now"]) for cell in facts.values()] == [(4, 4), (4, 4)]
    parsed.run("rate_documents", "teaching", config={"annotations": {"rater": "other", "sample_per_shard": 6}})
    assert (len(asked(parsed)), len(asked(parsed, "other"))) == (8, 12)


def test_what_a_cell_took_is_shown_as_numbers(parsed: World) -> None:
    facts = next(iter(metadata_of(parsed.run("rate_documents", "teaching"), "annotations").values()))
    numbers = {"rated_now", "requests", "retries", "input_tokens", "output_tokens", "cost", "seconds", "cached_share"}
    assert all(isinstance(facts[name], int | float) for name in numbers | {"documents_per_s", "left_to_rate"})


def made_and_half_made(world: World, result: dg.ExecuteInProcessResult) -> tuple[list[str | None], list[str | None]]:
    """The partitions that count as materialized after this run, and those of which something was seen only."""
    observed = [event.partition for event in result.get_asset_observation_events()]
    return sorted(metadata_of(result, "annotations"), key=str), observed


@pytest.mark.parametrize(
    "given", [pytest.param("project", id="in the project file"), pytest.param("run", id="in the run's config")]
)
def test_a_run_stops_at_its_budget_and_the_next_one_goes_on(parsed: World, given: str) -> None:
    """A budget of all cells together: two cells of six documents, of which ten may be asked about."""
    parsed.change_project(lenses=lenses(sample=6))
    config: dict[str, Any] = {"annotations": {"max_documents": 10}}
    if given == "project":
        raters = parsed.graph.project.model_dump(mode="json")["raters"]
        raters["scripted"]["budget"]["documents"] = 10
        parsed.change_project(raters=raters)
        config = {}
    result = parsed.run("rate_documents", "teaching", config=config, fails=True)
    message = failure_of(result)
    assert "budget for rater scripted is used up at its bound on documents (10 of 10 documents)" in message
    assert "1 of the run's cells are not wholly rated" in message
    assert not [event for event in result.all_events if event.is_step_up_for_retry]
    first = asked(parsed)
    assert len(first) == 10
    assert parsed.read(RATINGS).height == 10, "what was rated is committed"
    assert labelled(parsed.lake, parsed.graph.lenses["teaching"], "scripted").height == 10, "and can be trained on"
    assert made_and_half_made(parsed, result) == (["teaching|crawl-00000"], ["teaching|crawl-00001"])

    result = parsed.run("rate_documents", "teaching", config=config)
    rest = asked(parsed)
    assert len(rest) == 2
    assert not set(first) & set(rest)
    assert parsed.read(RATINGS).height == 12
    assert made_and_half_made(parsed, result) == (["teaching|crawl-00000", "teaching|crawl-00001"], [])
    parsed.run("rate_documents", "teaching", config=config)
    assert asked(parsed) == []


def test_the_attempts_of_a_run_have_its_budget_together(parsed: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The endpoint is gone at every fourth question."""
    monkeypatch.setattr(assets, "RETRY", dg.RetryPolicy(max_retries=2, delay=0))
    parsed.change_project(lenses=lenses(sample=6))
    tried = 0

    def breaks_off(text: str) -> float:
        nonlocal tried
        tried += 1
        if tried % 4 == 0:
            raise ConnectionError("the endpoint is gone")
        return 2.0

    parsed.judge = breaks_off
    message = failure_of(
        parsed.run("rate_documents", "teaching", config={"annotations": {"max_documents": 7}}, fails=True)
    )
    assert "7 of 7 documents" in message
    assert parsed.read(RATINGS).height == 7
    assert tried == 7 + 2, "two were lost"
    assert list((parsed.profile.staging / "spent").iterdir()) == []


def test_a_budget_that_ends_with_a_cell_leaves_the_later_ones_untouched(parsed: World) -> None:
    result = parsed.run("rate_documents", "teaching", config={"annotations": {"max_documents": 4}}, fails=True)
    assert parsed.read(RATINGS)["shard"].unique().to_list() == ["crawl-00000"]
    assert made_and_half_made(parsed, result) == (["teaching|crawl-00000"], [])


def test_a_budget_of_exactly_what_is_needed_is_no_failure(parsed: World) -> None:
    parsed.run("rate_documents", "teaching", config={"annotations": {"max_documents": 8}})
    parsed.run("rate_documents", "teaching", config={"annotations": {"max_documents": 0}})
    assert parsed.read(RATINGS).height == 8


def test_one_raters_budget_does_not_stop_the_other(parsed: World) -> None:
    raters = parsed.graph.project.model_dump(mode="json")["raters"]
    raters["scripted"]["budget"]["documents"] = 3
    parsed.change_project(raters=raters, lenses=lenses(sample=4, also_rated_by=["other"]))
    result = parsed.run("rate_documents", "teaching", fails=True)
    assert dict(parsed.read(RATINGS)["rater"].value_counts().iter_rows()) == {"scripted": 3, "other": 8}
    cells = ["teaching|crawl-00000", "teaching|crawl-00001"]
    assert made_and_half_made(parsed, result) == ([], cells), "no cell is whole until all raters are done"


def test_labels_of_two_budgets_are_told_apart(parsed: World) -> None:
    """Their version is what a classifier's inputs are known by."""
    seen = set()
    for _ in range(3):
        parsed.run("rate_documents", "teaching", config={"annotations": {"max_documents": 1}}, fails=True)
        seen.add(str(annotation_versions(parsed.lake, "teaching", "scripted")))
    assert len(seen) == 3


def test_cells_that_were_committed_before_an_error_count_as_made(parsed: World) -> None:
    def breaks_off(text: str) -> float:
        if len(parsed.raters["scripted"].asked) > 6:
            raise LookupError("the model is gone")
        return 2.0

    parsed.judge = breaks_off
    result = parsed.run("rate_documents", "teaching", fails=True)
    assert made_and_half_made(parsed, result) == (["teaching|crawl-00000"], [])
