"""No worker outlives its orchestrator."""

import os
import signal
import subprocess
import sys

from datashop_assets.workers.parent import ORPHANED, PARENT_VARIABLE

CHILD = (
    "import time; from datashop_assets.workers.parent import watch_parent; watch_parent(); print('up', flush=True); "
)
PARENT = f"""
import os, subprocess, sys, time
environment = {{**os.environ, {PARENT_VARIABLE!r}: str(os.getpid())}}
subprocess.Popen([sys.executable, "-c", {CHILD + "time.sleep(600)"!r}], env=environment)
time.sleep(600)
"""


def test_a_worker_ends_when_its_orchestrator_is_killed():
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        parent.send_signal(signal.SIGKILL)
        # the worker holds the other end of this pipe: it is at its end only when the worker has gone
        assert parent.stdout.read() == b""
        assert parent.stderr is not None
        assert b"the orchestrator" in parent.stderr.read()


def test_a_worker_whose_orchestrator_is_gone_before_it_starts_ends_too():
    environment = {**os.environ, PARENT_VARIABLE: str(os.getppid())}  # not this process
    done = subprocess.run([sys.executable, "-c", CHILD + "time.sleep(600)"], env=environment, timeout=200)
    assert done.returncode == ORPHANED


def test_without_a_named_parent_nothing_is_watched():
    environment = {name: value for name, value in os.environ.items() if name != PARENT_VARIABLE}
    done = subprocess.run([sys.executable, "-c", CHILD + "time.sleep(1.5)"], env=environment, timeout=200)
    assert done.returncode == 0


def test_a_worker_that_is_told_to_end_does_so_as_the_first_process_of_a_container_too():
    """There Linux delivers SIGTERM only to a process that has a handler of its own."""
    script = "import signal; from datashop_assets.workers.parent import end_when_told; end_when_told(); "
    script += "print(signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL, flush=True); signal.pause()"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"True\n"
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(200) == 128 + signal.SIGTERM
