"""What every worker does first: set up Pipes and see to it that no worker outlives its orchestrator.

What belongs here: the frame around a worker's work. What does not: the work (`anneal.py`, `evaluate.py`).
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from datashop_assets.workers.report import write_report

PARENT_VARIABLE = "DATASHOP_PARENT_PID"
ORPHANED = 70  # exit code: the orchestrator is gone
POLL_SECONDS = 1.0


def watch_parent() -> None:
    """End this process within a second or two of its parent's death, where the launcher named the parent.

    A killed orchestrator cannot tell its worker; without this the worker would train on for hours, and a retry
    would train beside it into the same folder. Reading the parent's pid works on every POSIX system, also where
    the parent was one thread of a larger process.
    """
    named = os.environ.get(PARENT_VARIABLE)
    if named is None:
        return
    parent = int(named)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(POLL_SECONDS)
        sys.stderr.write(f"the orchestrator (pid {parent}) is gone: this worker ends\n")
        sys.stderr.flush()
        os._exit(ORPHANED)

    threading.Thread(target=watch, name="watch-parent", daemon=True).start()


def end_when_told() -> None:
    """End at SIGTERM, at once, as processes do: the first one of a container does not, unless it says so, and a pod
    that is deleted would train on until it is killed."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))


def run_worker(work: Callable[[Mapping[str, Any], Callable[[str], None]], Mapping[str, Any]]) -> None:
    """Run `work(extras, say)` inside a Pipes session and report the mapping that it returns, in a file where the
    launcher asks for one (`report.py`).

    `say` sends a line to the run's event log. Exceptions go to Dagster through Pipes and end the process with a
    traceback on stderr.
    """
    from dagster_pipes import open_dagster_pipes

    watch_parent()
    end_when_told()
    # before the libraries are imported: no progress bars in captured output, nothing sent anywhere
    for name, value in (("TQDM_DISABLE", "1"), ("HF_HUB_DISABLE_TELEMETRY", "1"), ("TOKENIZERS_PARALLELISM", "false")):
        os.environ.setdefault(name, value)
    with open_dagster_pipes() as pipes:
        result = work(pipes.extras, pipes.log.info)
        pipes.report_custom_message(dict(write_report(result, pipes.extras)))
