"""How long cells rest after runs that failed, and how a bad one among many is found without holding up the others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.automation.cooling import Ended, largest, rest_s, resting_table, rests, stretches
from datashop_assets.automation_settings import AutomationSettings
from datashop_assets.lineage import plan
from datashop_assets.records import Cell

SETTINGS = AutomationSettings(cool_down_s=100, attempts=3)
SHARDS = [f"crawl-{number:05d}" for number in range(600)]


def failed(at: float, shards: list[str], run: str = "r", *, cancelled: bool = False) -> Ended:
    return Ended(run, at, cancelled, shards)


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(1, 100), (2, 100), (3, 100), (4, 200), (5, 400), (6, 800), (7, 1600), (8, 2400), (9, 2400), (1000, 2400)],
)
def test_a_rest_doubles_after_the_attempts_up_to_a_day(failures: int, seconds: float) -> None:
    assert rest_s(failures, SETTINGS) == seconds


def test_a_cell_rests_from_the_end_of_its_last_failure_and_remembers_the_run() -> None:
    found = rests([failed(50, SHARDS[:2], "second"), failed(0, SHARDS[:1], "first")], SETTINGS)
    assert (found[SHARDS[0]].failures, found[SHARDS[0]].until, found[SHARDS[0]].run) == (2, 150, "second")
    assert (found[SHARDS[1]].failures, found[SHARDS[1]].until) == (1, 150)
    assert SHARDS[2] not in found


def test_a_run_cancelled_by_hand_rests_as_long_and_is_no_failure() -> None:
    found = rests([failed(0, SHARDS[:1], cancelled=True)], SETTINGS)
    assert (found[SHARDS[0]].failures, found[SHARDS[0]].until) == (0, 100)
    assert largest(found) == {}


def test_a_run_lost_with_its_server_is_soon_made_again_whole_and_the_second_time_counts() -> None:
    lost = [Ended(run, at, False, SHARDS[:300], lost=True) for run, at in (("first", 0.0), ("second", 200.0))]
    once, twice = (rests(lost[:count], SETTINGS)[SHARDS[0]] for count in (1, 2))
    assert (once.failures, once.until, once.why) == (0, 60, "lost with its code server")
    assert largest(rests(lost[:1], SETTINGS)) == {}
    assert (twice.failures, twice.until, twice.why) == (1, 300, "failed 1 time")


def test_cancelling_does_not_shorten_a_rest() -> None:
    ended = [failed(float(at), SHARDS[:1]) for at in range(6)] + [failed(6, SHARDS[:1], cancelled=True)]
    assert rests(ended, SETTINGS)[SHARDS[0]].until == 5 + 800


@given(bad=st.sets(st.sampled_from(SHARDS[:300]), min_size=1, max_size=3))
def test_bad_cells_are_alone_after_two_failures_and_all_others_are_done(bad: set[str]) -> None:
    """Every run dies at its first bad cell and has committed nothing: the worst that a run can do."""
    wanted = {Cell(shard, "lens"): "v" for shard in SHARDS[:300]}
    have: dict[Cell, str | None] = {}
    ended: list[Ended] = []
    runs = 0
    for now in (0.0, 101.0, 202.0):
        found = rests(ended, SETTINGS)
        assert all(rest.until <= now for rest in found.values()), "after a rest, everything is tried again"
        for stretch in plan(wanted, have, SHARDS, largest=largest(found)):
            inside = SHARDS[SHARDS.index(stretch.first) : SHARDS.index(stretch.last) + 1]
            runs += 1
            if bad & set(inside):
                ended.append(failed(now, inside, f"run-{runs}"))
            else:
                have |= {Cell(shard, "lens"): "v" for shard in inside}
    assert {cell.shard for cell in wanted} - {cell.shard for cell in have} == bad
    assert runs <= 2 + 20 + 16 * len(bad) + 20
    found = rests(ended, SETTINGS)
    assert {found[shard].failures for shard in bad} == {3}
    report = stretches("score_documents", "lens", found, SHARDS, 250, SETTINGS, stale=bad)
    assert sum(each.shards for each in report) == len(bad)
    assert all(each.needs_somebody for each in report)


def test_the_report_names_what_rests_as_stretches_the_worst_first() -> None:
    ended = [failed(0, SHARDS[:4], "aaaaaaaa-1"), *(failed(10, SHARDS[9:10], "bbbbbbbb-2") for _ in range(2))]
    found = rests(ended, SETTINGS)
    resting = stretches("score_documents", "teaching", found, SHARDS, 20, SETTINGS, stale={*SHARDS[1:4], SHARDS[9]})
    assert [str(each) for each in resting] == [
        "score_documents of teaching, crawl-00001..crawl-00003 (3 shards): failed 1 time, last in run aaaaaaaa-1; "
        "tried again after 1970-01-01 00:01 UTC",
        "score_documents of teaching, crawl-00009: failed 2 times, last in run bbbbbbbb-2; "
        "tried again after 1970-01-01 00:01 UTC",
    ]
    table = resting_table(resting).splitlines()
    assert "crawl-00009 | failed 2 times |" in table[2]
    assert "[aaaaaaaa](/runs/aaaaaaaa-1)" in table[3]
    assert stretches("score_documents", "teaching", found, SHARDS, 200, SETTINGS) == [], "the rest is over"
    assert "Nothing rests" in resting_table([])
