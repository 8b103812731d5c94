"""What the runs of an instance mean for what may be asked for, through Dagster's own run storage."""

import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest

from datashop_assets.automation import runs
from datashop_assets.automation.cooling import IN_A_ROW
from datashop_assets.automation.lost import LOST_TAG, SERVER_TAG
from datashop_assets.automation.requests import run_request
from datashop_assets.automation.runs import Respected, runs_to_respect
from datashop_assets.automation.sensors import why_nothing
from datashop_assets.automation.work import Outlook, Waiting, Work
from datashop_assets.automation_settings import AutomationSettings
from datashop_assets.lineage import Rectangle
from datashop_assets.partitions import range_tags

SHARDS = [f"crawl-{number:05d}" for number in range(10)]
SETTINGS = AutomationSettings(cool_down_s=100, attempts=2)
JOB, LENS = "score_documents", "teaching"
STATUS = dg.DagsterRunStatus


def work(first: int = 0, last: int = 9, lens: str = LENS, job: str = JOB) -> Work:
    return Work(job, Rectangle(lens, SHARDS[first], SHARDS[last], last - first + 1, last - first + 1), "target")


class Daemon:
    """Run records as the daemon and the runs write them, and what they mean later."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance

    def run(self, item: Work, status: STATUS, *, asked_by: str = "reconcile_sensor", purpose: str = "c1") -> str:
        tags = dict(run_request(item, asked_by, "0", purpose=purpose).tags)
        run = dg.DagsterRun(job_name=item.job, run_id=str(uuid4()), status=STATUS.STARTED, tags=tags)
        self.instance.add_run(run)
        if status == STATUS.FAILURE:
            self.instance.report_run_failed(run)
        elif status == STATUS.CANCELED:
            self.instance.report_run_canceled(run)
        elif status == STATUS.SUCCESS:
            self.instance.report_dagster_event(
                dg.DagsterEvent(dg.DagsterEventType.PIPELINE_SUCCESS.value, item.job), run.run_id
            )
        return run.run_id

    def by_hand(self, job: str, tags: dict[str, str], status: STATUS, asset: str = "scores") -> str:
        """A run of a person's, of an asset by whatever job."""
        selected = frozenset({dg.AssetKey(asset)})
        first = STATUS.STARTED if status == STATUS.CANCELED else status
        run = dg.DagsterRun(job_name=job, run_id=str(uuid4()), status=first, tags=tags, asset_selection=selected)
        self.instance.add_run(run)
        if status == STATUS.CANCELED:
            self.instance.report_run_canceled(run)
        return run.run_id

    def respected(self, later_s: float = 0, purpose: str = "c1") -> Respected:
        found = runs_to_respect(self.instance, SETTINGS, time.time() + later_s)
        return found.over(SHARDS, lambda job, lens: purpose)


@pytest.fixture(params=["in memory", "sqlite"])
def daemon(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Daemon]:
    kept = dg.DagsterInstance.local_temp(str(tmp_path)) if request.param == "sqlite" else dg.DagsterInstance.ephemeral()
    with kept as instance:
        yield Daemon(instance)


def test_what_failed_rests_is_tried_in_small_runs_and_is_shown_until_it_is_done(daemon: Daemon) -> None:
    run = daemon.run(work(2, 4), STATUS.FAILURE)
    now = daemon.respected()
    assert set(now.busy(JOB, LENS)) == set(SHARDS[2:5])
    assert not now.busy(JOB, "clarity")
    assert not now.busy("filter_documents", LENS)
    assert set(now.largest(JOB, LENS).values()) == {16}
    (resting,) = now.resting([Waiting(JOB, LENS, "busy", 1, shards=(SHARDS[3],))])
    assert (resting.first, resting.last, resting.rest.run, resting.needs_somebody) == (SHARDS[3], SHARDS[3], run, False)
    assert now.resting([]) == [], "what the failed run committed does not rest"
    later = daemon.respected(101)
    assert not later.busy(JOB, LENS)
    assert set(later.largest(JOB, LENS)) == set(SHARDS[2:5]), "it is still tried in small runs"


def test_a_cell_that_fails_again_and_again_rests_longer_alone(daemon: Daemon) -> None:
    for last in (4, 3, 2):
        daemon.run(work(2, last), STATUS.FAILURE)
    later = daemon.respected(150)
    assert set(later.busy(JOB, LENS)) == {SHARDS[2]}
    assert later.largest(JOB, LENS) == {SHARDS[2]: 1, SHARDS[3]: 1, SHARDS[4]: 16}
    assert [each.needs_somebody for each in later.resting()] == [True]


def test_a_failure_for_another_classifier_does_not_count(daemon: Daemon) -> None:
    daemon.run(work(), STATUS.FAILURE, purpose="c0")
    assert not daemon.respected().busy(JOB, LENS)
    assert set(daemon.respected(purpose="c0").busy(JOB, LENS)) == set(SHARDS)


def test_what_a_person_cancelled_is_not_asked_for_at_once(daemon: Daemon) -> None:
    daemon.run(work(0, 3), STATUS.CANCELED)
    assert set(daemon.respected().busy(JOB, LENS)) == set(SHARDS[:4])
    assert daemon.respected().largest(JOB, LENS) == {}
    assert not daemon.respected(101).busy(JOB, LENS)


@pytest.mark.parametrize(
    ("under_way", "asked"),
    [
        pytest.param([], 3, id="nothing is under way"),
        pytest.param(["reconcile_sensor"], 2, id="one of its own"),
        pytest.param(["reconcile_sensor"] * 5, 0, id="more than it may have"),
        pytest.param(["backfill_schedule"] * 5, 3, id="another's do not count"),
    ],
)
def test_no_more_runs_are_admitted_than_may_be_outstanding(daemon: Daemon, under_way: list[str], asked: int) -> None:
    for who in under_way:
        daemon.run(work(lens="clarity"), STATUS.STARTED, asked_by=who)
    due = [work(number, number) for number in range(5)]
    assert daemon.respected().admit(due, "reconcile_sensor", 3) == due[:asked]


def test_a_job_whose_runs_all_fail_is_tried_with_one_run_at_a_time_until_one_goes_well(daemon: Daemon) -> None:
    """A broken environment: without this, 10,000 cells would be tried one by one."""
    for number in range(IN_A_ROW):
        daemon.run(work(number, number), STATUS.FAILURE)
    assert list(daemon.respected().busy(JOB, LENS)) == SHARDS, "all of it rests first"
    due = [work(5, 5), work(6, 6), work(7, 7, lens="clarity")]
    later = daemon.respected(101)
    assert "score_documents of teaching: all failed" in why_nothing(Outlook(due[:2], []), later.runs, [], SETTINGS)
    assert "2 runs wait" in why_nothing(Outlook(due[:2], []), later.runs, [], SETTINGS)
    assert SHARDS[5] not in later.busy(JOB, LENS)
    assert later.admit(due, "reconcile_sensor", 8) == [due[0], due[2]]
    daemon.run(work(5, 5), STATUS.STARTED)
    assert daemon.respected(101).admit(due, "reconcile_sensor", 8) == [due[2]], "one is being tried"
    daemon.run(work(9, 9, lens="clarity"), STATUS.SUCCESS)
    assert daemon.respected(101).runs.broken, "another lens says nothing of this one"
    daemon.run(work(5, 5), STATUS.SUCCESS)
    assert not daemon.respected(101).runs.broken


def test_shards_that_fail_for_ever_hold_up_no_other(daemon: Daemon) -> None:
    """Two stretches with a bad shard each, tried with their neighbours and then alone, again and again."""
    for first, last in [(0, 3), (0, 1), (4, 9), (4, 5), *([(0, 0), (4, 4)] * IN_A_ROW)]:
        daemon.run(work(first, last), STATUS.FAILURE)
    now = daemon.respected()
    assert not now.runs.broken
    assert set(daemon.respected(150).busy(JOB, LENS)) == {SHARDS[0], SHARDS[4]}


def test_runs_lost_with_their_server_do_not_make_a_job_broken(daemon: Daemon) -> None:
    for number in range(IN_A_ROW):
        daemon.instance.add_run_tags(daemon.run(work(number, number), STATUS.FAILURE), {LOST_TAG: "yes"})
    assert not daemon.respected().runs.broken


def test_a_broken_lens_stays_so_however_many_runs_of_others_go_well(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "PAGE", 3)
    for number in range(IN_A_ROW):
        daemon.run(work(number, number), STATUS.FAILURE)
    for _ in range(10):
        daemon.run(work(0, 0, lens="clarity"), STATUS.SUCCESS)
    assert daemon.respected().runs.broken == {(JOB, LENS)}


def test_what_people_cancelled_pushes_no_failure_out(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "PAGE", 3)
    monkeypatch.setattr(runs, "MOST_ENDED", 3)
    daemon.run(work(3, 3), STATUS.FAILURE)
    for _ in range(10):
        daemon.by_hand("another_job", {}, STATUS.CANCELED)
    assert set(daemon.respected().busy(JOB, LENS)) == {SHARDS[3]}
    for number in range(4, 8):
        daemon.run(work(number, number), STATUS.FAILURE)
    assert set(daemon.respected().busy(JOB, LENS)) == set(SHARDS[5:8]), "of ours the latest count"


@pytest.mark.parametrize("job", [JOB, "__ASSET_JOB"])
def test_what_a_person_launched_and_cancelled_is_not_taken_up_at_once(daemon: Daemon, job: str) -> None:
    daemon.by_hand(job, range_tags(LENS, SHARDS[2], SHARDS[4]), STATUS.CANCELED, asset="scores")
    now = daemon.respected()
    assert set(now.busy(JOB, LENS)) == set(SHARDS[2:5])
    assert not now.busy(JOB, "clarity")
    assert not now.busy("filter_documents", LENS)
    (resting,) = now.resting([Waiting(JOB, LENS, "busy", 2, shards=tuple(SHARDS[3:5]))])
    assert (resting.first, resting.last, resting.rest.why) == (SHARDS[3], SHARDS[4], "cancelled")
    assert not daemon.respected(101).busy(JOB, LENS)


@pytest.mark.parametrize(
    ("withdrawn", "busy"),
    [
        pytest.param([5], [2, 3, 4], id="the last"),
        pytest.param([2], [3, 4, 5], id="the first"),
        pytest.param([1, 2, 5, 6], [3, 4], id="both, and their neighbours outside"),
        pytest.param([2, 3, 4, 5], [], id="all of it"),
        pytest.param([8, 9], [2, 3, 4, 5], id="others"),
        pytest.param(list(range(10)), [], id="all that there is"),
    ],
)
def test_a_run_covers_what_is_left_when_an_end_of_its_range_is_withdrawn(
    daemon: Daemon, withdrawn: list[int], busy: list[int]
) -> None:
    daemon.run(work(2, 5), STATUS.STARTED)
    left = [shard for number, shard in enumerate(SHARDS) if number not in withdrawn]
    found = runs_to_respect(daemon.instance, SETTINGS).over(["books-00000", *left, "web-00000"])
    assert sorted(found.busy(JOB, LENS)) == [SHARDS[number] for number in busy]


@pytest.mark.parametrize(
    ("status", "tags", "counts"),
    [
        pytest.param(STATUS.NOT_STARTED, {}, False, id="never queued"),
        pytest.param(STATUS.STARTING, {}, False, id="starting nowhere"),
        pytest.param(STATUS.STARTING, {SERVER_TAG: "{}"}, True, id="starting on a server"),
        pytest.param(STATUS.STARTED, {}, True, id="running"),
    ],
)
def test_what_does_not_start_in_an_hour_is_not_waited_for_and_is_named(
    daemon: Daemon, status: STATUS, tags: dict[str, str], counts: bool
) -> None:
    run = daemon.by_hand(JOB, range_tags(LENS, SHARDS[0], SHARDS[1]) | tags, status)
    assert daemon.respected(3500).busy(JOB, LENS)
    later = daemon.respected(3700)
    assert bool(later.busy(JOB, LENS)) == counts
    assert (run in why_nothing(Outlook([], []), later.runs, [], SETTINGS)) != counts


def test_of_many_runs_only_those_are_read_that_count(daemon: Daemon) -> None:
    for number in range(30):
        daemon.run(work(number % 10, number % 10), STATUS.SUCCESS)
    daemon.run(work(0, 0), STATUS.FAILURE)
    daemon.run(work(1, 1), STATUS.STARTED)
    found = runs_to_respect(daemon.instance, SETTINGS)
    assert (len(found.under_way), len(found.ended), len(found.rated)) == (1, 1, 0)
