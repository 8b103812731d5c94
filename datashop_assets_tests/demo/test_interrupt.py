"""Stopping a demo: by a signal in the middle of a step, and by a kill that leaves runs behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from datashop_assets.demo.interrupt import DRIVEN_HERE, EXIT_INTERRUPTED, close_abandoned_runs, interruptible

LONG_STEP = """
import time
import dagster as dg
from datashop_assets.demo.interrupt import DRIVEN_HERE, interruptible

@dg.op
def long_step():
    print("in the step", flush=True)
    time.sleep(120)

@dg.job
def long_job():
    long_step()

def work():
    with dg.DagsterInstance.get() as instance:
        return 0 if long_job.execute_in_process(instance=instance, tags=DRIVEN_HERE).success else 1

raise SystemExit(interruptible(work))
"""


@pytest.fixture
def dagster_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def long_step(dagster_home: Path) -> Callable[[], "subprocess.Popen[str]"]:
    """Start a process whose only step takes two minutes; returned once it is in the step."""

    def start() -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", LONG_STEP],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"DAGSTER_HOME": str(dagster_home)},
            start_new_session=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "in the step\n"
        return process

    return start


def statuses() -> list[dg.DagsterRunStatus]:
    with dg.DagsterInstance.get() as instance:
        return [run.status for run in instance.get_runs()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "a polite kill"])
def test_a_signal_ends_a_long_step_at_once_and_its_run_is_cancelled(
    long_step: Callable[[], "subprocess.Popen[str]"], number: signal.Signals
) -> None:
    process = long_step()
    sent = time.monotonic()
    process.send_signal(number)
    printed, _ = process.communicate(timeout=60)

    assert time.monotonic() - sent < 60, "it did not wait for the step"
    assert process.returncode == EXIT_INTERRUPTED
    assert "run it again to go on" in printed
    assert statuses() == [dg.DagsterRunStatus.CANCELED]


def test_what_a_killed_demo_left_is_closed_and_other_runs_are_not_touched(
    long_step: Callable[[], "subprocess.Popen[str]"],
) -> None:
    process = long_step()
    process.kill()
    process.wait()
    assert statuses() == [dg.DagsterRunStatus.STARTED]
    with dg.DagsterInstance.get() as instance:
        theirs = instance.create_run_for_job(another_job, status=dg.DagsterRunStatus.STARTED)

        assert close_abandoned_runs(instance) == 1

        assert {run.run_id: run.status for run in instance.get_runs()}[theirs.run_id] == dg.DagsterRunStatus.STARTED
        [closed] = instance.get_runs(dg.RunsFilter(tags=DRIVEN_HERE))
        assert closed.status == dg.DagsterRunStatus.CANCELED


@dg.job
def another_job() -> None:
    """Somebody else's."""


@pytest.mark.parametrize("status", [0, 1])
def test_the_exit_status_of_the_work_is_passed_on(status: int) -> None:
    assert interruptible(lambda: status) == status


def test_an_error_in_the_work_is_not_lost() -> None:
    def work() -> int:
        raise LookupError("no such shard")

    with pytest.raises(LookupError, match="no such shard"):
        interruptible(work)
