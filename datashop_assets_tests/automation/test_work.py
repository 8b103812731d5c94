"""Which work is asked for first, and how much of it."""

import pytest

from datashop_assets.automation.work import Outlook, Waiting, Work, by_crawl, told, within_budget
from datashop_assets.lineage import Rectangle

SHARDS = ["a", "b", "c", "d"]


def work(job: str, first: str, last: str, lens: str | None = "edu", *, by_lens: bool = False) -> Work:
    cells = SHARDS.index(last) - SHARDS.index(first) + 1
    return Work(job, Rectangle(lens, first, last, cells, cells), "target", lens if by_lens else None)


FOUND = [
    work("parse", "d", "d", None),
    work("score", "a", "b"),
    work("score", "c", "c"),
    work("score", "c", "c", "code"),
    work("filter", "a", "c"),
]


@pytest.mark.parametrize(
    ("newest_first", "expected"),
    [
        pytest.param(True, [0, 2, 3, 4, 1], id="the newest crawl through all stages and lenses"),
        pytest.param(False, [1, 4, 2, 3, 0], id="the oldest"),
    ],
)
def test_a_crawl_goes_through_all_its_stages_before_the_next_one(newest_first: bool, expected: list[int]) -> None:
    assert by_crawl(FOUND, SHARDS, newest_first=newest_first) == [FOUND[index] for index in expected]


@pytest.mark.parametrize(
    ("cells", "runs", "chosen"),
    [
        pytest.param(100, 2, 2, id="runs bound it"),
        pytest.param(3, 9, 2, id="cells bound it"),
        pytest.param(2, 9, 1, id="work that does not fit ends it: the order is kept"),
        pytest.param(0, 9, 0, id="nothing left"),
        pytest.param(9, -1, 0, id="more is outstanding than is allowed"),
    ],
)
def test_a_budget_takes_the_first_that_fit(cells: int, runs: int, chosen: int) -> None:
    assert within_budget(FOUND[:2] + FOUND[4:], cells=cells, runs=runs) == FOUND[:chosen]


def test_a_cutoff_counts_as_one_cell_though_it_reads_them_all() -> None:
    assert work("set_cutoff", "a", "d", by_lens=True).cells == 1


def test_what_waits_is_told_by_reason() -> None:
    waiting = [Waiting("score", "edu", "paused", 3), Waiting("filter", "edu", "paused", 2)]
    assert told(Outlook([], waiting)) == "nothing is due; 5 cells wait: a person paused it"
    assert told(Outlook([], [])) == "nothing is stale"
