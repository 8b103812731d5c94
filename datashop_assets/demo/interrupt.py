"""Stopping the demo: at once when a person asks for it, and without runs that look alive for ever.

What belongs here: signals, and the runs that a stopped demo leaves behind. What does not: the steps (`__main__.py`).
"""

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import NoReturn

import dagster as dg

# On every run of this process, so that the next one can tell what an ended one left.
DRIVEN_HERE = {"datashop/driver": "demo"}
UNDER_WAY = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
EXIT_INTERRUPTED = 130


def close_abandoned_runs(instance: dg.DagsterInstance) -> int:
    """Mark the demo's runs that are still under way as cancelled; returns how many there were.

    Call it only while no demo is at work. Nothing else would end them: they ran inside a process that is gone, the
    UI would show them as running, and the reconcile sensor would wait for them.
    """
    left = instance.get_runs(dg.RunsFilter(statuses=UNDER_WAY, tags=DRIVEN_HERE))
    for run in left:
        instance.report_run_canceled(run, message="The demo was stopped while this run was under way.")
    return len(left)


def interruptible(work: Callable[[], int]) -> int:
    """Run `work` and return its exit status; SIGINT and SIGTERM end this process at once, whatever it is doing.

    Dagster holds signals back until a step is over, which for an anneal is minutes, but only where it runs in the
    main thread: so the work gets a thread of its own. Ending in the middle of a step is safe, because every commit is
    all or nothing; worker processes end themselves when this one is gone.
    """

    def stop(signal_number: int, _: FrameType | None) -> None:
        raise KeyboardInterrupt(signal.Signals(signal_number).name)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    try:
        with ThreadPoolExecutor(1, thread_name_prefix="demo") as pool:
            try:
                return pool.submit(work).result()
            except KeyboardInterrupt:
                _end()
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _end() -> NoReturn:
    """Close what is under way and leave without waiting for the thread."""
    for number in (signal.SIGINT, signal.SIGTERM):  # a second Ctrl-C does not disturb the closing
        signal.signal(number, signal.SIG_IGN)
    print("\nstopped. What was finished is kept; run it again to go on.", flush=True)  # noqa: T201
    try:
        with dg.DagsterInstance.get() as instance:
            close_abandoned_runs(instance)
    finally:
        os._exit(EXIT_INTERRUPTED)
