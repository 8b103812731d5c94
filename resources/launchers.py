"""Launchers: run a worker module in another process and wait for it, over Dagster Pipes.

What belongs here: how a worker process is started, watched and ended, and what a failed one says. What does not: what
workers do (`datashop_assets/workers/`).
"""

import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

import dagster as dg

from datashop_assets.workers.parent import PARENT_VARIABLE

REPOSITORY = Path(__file__).resolve().parent.parent
SECRET_MARKS = ("SECRET", "TOKEN", "PASSWORD", "PASSWD", "API_KEY", "ACCESS_KEY", "CREDENTIAL", "PRIVATE_KEY")
TAIL_LINES = 30
TERMINATION_SECONDS = 20.0


class SubprocessLauncher:
    """Runs `python -m datashop_assets.workers.<worker>` as a child process.

    The child gets this process's environment without variables that look like secrets (names with a mark of
    SECRET_MARKS; `keep` names exceptions, e.g. HF_TOKEN for a gated model), so HF_HUB_OFFLINE and thread settings are
    inherited. Its output goes on to this process's stdout and stderr, its Pipes log lines to the run's event log.
    It ends when this process ends, even by kill -9 (`datashop_assets.workers.parent`).

    `dg.PipesSubprocessClient` does not do: it hands the whole environment to the child and cannot keep its stderr for
    the failure message. The workers run under it (or `PipesK8sClient`) unchanged.
    """

    def __init__(self, python: str = sys.executable, keep: tuple[str, ...] = (), cwd: Path = REPOSITORY) -> None:
        self.python = python
        self.keep = keep
        self.cwd = cwd

    def run(self, worker: str, extras: Mapping[str, Any], context: Any) -> Mapping[str, Any]:
        """Run the worker and return the mapping that it reported.

        `context` is the asset's execution context. Raises dg.Failure with the worker's last lines of stderr.
        """
        with dg.open_pipes_session(
            context=context,
            context_injector=dg.PipesTempFileContextInjector(),
            message_reader=dg.PipesTempFileMessageReader(),
            extras=dict(extras),
        ) as session:
            code, tail = self._execute(worker, session.get_bootstrap_env_vars())
        reported = session.get_custom_messages()
        if code != 0 or not reported:
            raise _failure(worker, code, tail)
        result: Mapping[str, Any] = reported[-1]
        return result

    def environment(self) -> dict[str, str]:
        """This process's environment without what looks like a secret."""
        return {
            name: value
            for name, value in os.environ.items()
            if name in self.keep or not any(mark in name.upper() for mark in SECRET_MARKS)
        }

    def _execute(self, worker: str, pipes: Mapping[str, str]) -> tuple[int, list[str]]:
        try:
            process = subprocess.Popen(
                [self.python, "-m", f"datashop_assets.workers.{worker}"],
                cwd=self.cwd,
                env={**self.environment(), **pipes, PARENT_VARIABLE: str(os.getpid())},
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
            )
        except OSError as error:
            raise dg.Failure(
                f"worker {worker} could not be started with {self.python}: {error}; correct the launcher's python"
            ) from error
        tail: deque[str] = deque(maxlen=TAIL_LINES)
        assert process.stderr is not None  # PIPE was asked for
        reader = threading.Thread(target=_forward, args=(process.stderr, tail), daemon=True)
        reader.start()
        try:
            code = process.wait()
        finally:
            # a cancelled run (or any other exception here) must not leave the worker behind
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(TERMINATION_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        reader.join(timeout=5)
        return code, list(tail)


class ScriptedLauncher:
    """For tests: answers each worker with a function of its extras, in this process; keeps the calls in `calls`."""

    def __init__(self, scripts: Mapping[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]]) -> None:
        self.scripts = scripts
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def run(self, worker: str, extras: Mapping[str, Any], context: Any) -> Mapping[str, Any]:  # noqa: ARG002
        self.calls.append((worker, dict(extras)))
        return self.scripts[worker](extras)


def _forward(stream: TextIO, tail: deque[str]) -> None:
    for line in stream:
        sys.stderr.write(line)
        tail.append(line.rstrip("\n"))


def worker_failure(
    worker: str, cause: str, mend: str, last_lines: list[str], *, again: bool = False, **metadata: Any
) -> dg.Failure:
    """What a failed worker says, wherever it ran: what happened, what to change, and its last lines of output. `again`:
    another attempt may end otherwise; what a program reports does not, so that no retry policy tries it."""
    last = "\n".join(last_lines) or "(nothing on stderr)"
    return dg.Failure(
        f"worker {worker} {cause}. {mend[0].upper()}{mend[1:]}. Its last lines:\n{last}",
        metadata={"worker": worker, "stderr": dg.MetadataValue.md(f"```\n{last}\n```"), **metadata},
        allow_retries=again,
    )


def ended(code: int) -> tuple[str, str]:
    """Cause and what to change of a worker that ended by itself without a result."""
    if code == 0:
        return "ended without reporting a result", "run again; see the worker's output below"
    return f"failed with exit code {code}", "mend what its last lines say and run again"


def _failure(worker: str, code: int, tail: list[str]) -> dg.Failure:
    if code < 0:
        cause = f"was killed by signal {-code}" + (" (often: out of memory)" if code == -9 else "")
        mend = "give it more memory or a smaller batch_size and run again; it goes on from its last checkpoint"
    else:
        cause, mend = ended(code)
    return worker_failure(worker, cause, mend, tail, exit_code=code)
