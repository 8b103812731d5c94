"""What a plan takes: figures follow from what was measured, and what was not stays null."""

import pytest

from datashop_assets.automation.estimates import Measured, MeasuredRun, estimates, following, rate_of
from datashop_assets.automation.work import Waiting, Work
from datashop_assets.lineage import Rectangle

SHARDS = ["a", "b", "c", "d"]
SCORES = ("score_documents", "edu")


def work(job: str, lens: str | None, first: str, last: str, cells: int, stale: int) -> Work:
    return Work(job, Rectangle(lens, first, last, cells, stale), "target")


def test_hours_are_the_documents_times_what_earlier_runs_took_from_the_fastest_to_the_slowest() -> None:
    rate = rate_of([MeasuredRun("j", 10, 100), MeasuredRun("j", 40, 100), MeasuredRun("j", 20, 100)])
    measured = Measured(dict.fromkeys(SHARDS, 3600), {}, {SCORES[0]: rate}, {SCORES: 10.0})
    (made,) = estimates([work(*SCORES, "a", "d", 4, 4)], SHARDS, measured)
    assert (made.documents, made.measured_runs, made.disk_bytes) == (14_400, 3, 144_000)
    assert made.hours == pytest.approx((0.4, 0.8, 1.6))


def test_bridged_cells_cost_no_documents() -> None:
    (made,) = estimates([work(*SCORES, "a", "d", 4, 2)], SHARDS, Measured(dict.fromkeys(SHARDS, 10), {}))
    assert (made.cells, made.bridged, made.documents) == (2, 2, 20)


def test_shards_that_are_not_parsed_have_as_many_documents_as_others_for_their_bytes() -> None:
    measured = Measured({"a": 100}, {"a": 1000, "b": 3000})
    (made,) = estimates([work("parse_and_embed_shards", None, "b", "b", 1, 1)], SHARDS, measured)
    assert made.documents == 300


@pytest.mark.parametrize(
    ("measured", "null"),
    [
        pytest.param(Measured({}, {"a": 1000}), ("documents", "hours", "disk_bytes", "cost"), id="nothing is parsed"),
        pytest.param(Measured({"a": 5}, {"a": 1}), ("hours", "disk_bytes", "cost"), id="nothing ran before"),
    ],
)
def test_what_was_not_measured_is_null(measured: Measured, null: tuple[str, ...]) -> None:
    (made,) = estimates([work(*SCORES, "a", "a", 1, 1)], SHARDS, measured)
    assert [getattr(made, name) for name in null] == [None] * len(null)
    assert made.measured_runs == 0


def test_raters_are_asked_for_a_sample_of_each_shard_at_most() -> None:
    rating = ("rate_documents", "edu")
    measured = Measured({"a": 500, "b": 50}, {}, cost_a_document={rating: 0.02}, sample={rating: 200})
    (made,) = estimates([work(*rating, "a", "b", 2, 2)], SHARDS, measured)
    assert (made.documents, made.cost) == (250, pytest.approx(5.0))


def test_what_follows_is_estimated_by_its_cells_of_the_mean_shard_and_a_cut_off_by_all_documents() -> None:
    rates = {job: rate_of([MeasuredRun(job, 36, 10)]) for job in ("set_cutoff", "filter_documents")}
    measured = Measured({"a": 100, "b": 300}, {"a": 1, "b": 3}, rates)
    waiting = [
        Waiting("filter_documents", "edu", "cut-off", 2),
        Waiting("filter_documents", "edu", "upstream", 1),
        Waiting("filter_documents", "code", "paused", 9),
    ]
    decided, filtered = following(waiting, [work(*SCORES, "a", "b", 2, 2)], measured)
    assert (decided.job, decided.lens, decided.cells, decided.documents) == ("set_cutoff", "edu", 1, 400)
    assert (filtered.follows, filtered.lens, filtered.cells, filtered.documents) == (True, "edu", 3, 600)
    assert (decided.runs, filtered.runs) == (None, None)
    assert decided.hours == pytest.approx((0.4, 0.4, 0.4))
    assert filtered.hours == pytest.approx((0.6, 0.6, 0.6))


@pytest.mark.parametrize(
    ("waiting", "due", "cells"),
    [
        pytest.param([], [work(*SCORES, "c", "d", 2, 2)], 2, id="what is scored now"),
        pytest.param([Waiting(*SCORES, "upstream", 3)], [], 3, id="what is scored once it is parsed"),
        pytest.param([Waiting(*SCORES, "upstream", 1)], [work(*SCORES, "a", "d", 4, 2)], 3, id="some of either"),
        pytest.param([Waiting(*SCORES, "not promoted", 3)], [], 0, id="what a person is waited for is not counted"),
    ],
)
def test_a_new_crawl_is_filtered_after_it_is_scored(waiting: list[Waiting], due: list[Work], cells: int) -> None:
    made = following(waiting, due, Measured({"a": 10}, {"a": 1}))
    filtered = [(each.cells, each.documents) for each in made if each.job == "filter_documents"]
    assert filtered == ([(cells, 10 * cells)] if cells else [])
    assert all(each.hours is None for each in made), "no earlier run tells"


def test_runs_that_did_nothing_measure_nothing() -> None:
    assert rate_of([MeasuredRun("j", 10, 0)]) is None
