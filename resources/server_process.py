"""A server as a child process: started, waited for, and ended for certain, whatever becomes of this process.

What belongs here: the life of one server process, its log, and the end of servers that killed processes left behind.
What does not: which server it is, and asking it (`raters/vllm_server.py`).
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from datashop_assets.seams import PermanentError
from resources import server_watcher

KEPT_STARTS = 5
TAIL_LINES = 30
GRACE_SECONDS = 15.0
POLL_SECONDS = 0.5
# When a process was started is counted from the boot, whose time moves a little when the clock is set.
CLOCK_SLACK_S = 60
LOG, RECORD = "server.log", "process.json"


class ServerDiedError(PermanentError):
    """The server ended before it was ready; the message has the last lines of its log."""


class ServerNotReadyError(RuntimeError):
    """The server lives but was not ready in time; the message has the last lines of its log."""


class ServerProcess:
    """One server, in a process group of its own, led by a watcher that ends it when this process is gone.

    Made by `start`. Each start has a folder of its own, `logs/<name>/<time>-...`, with its log and, as long as it may
    live, a record of its process group. The folder is the server's working directory, by which its processes are known.
    """

    def __init__(self, name: str, watcher: subprocess.Popen[bytes], folder: Path) -> None:
        self.name = name
        self.log = folder / LOG
        self._watcher = watcher
        self._record = folder / RECORD

    @classmethod
    def start(cls, name: str, command: Sequence[str], environment: Mapping[str, str], logs: Path) -> "ServerProcess":
        """Start the command, after the servers that killed processes left in `logs` were ended.

        Paths in the command must be absolute. The logs of the newest KEPT_STARTS starts of a name are kept.
        """
        end_stale_servers(logs)
        starts = logs.absolute() / name
        starts.mkdir(parents=True, exist_ok=True)
        ended = sorted(folder for folder in starts.iterdir() if not (folder / RECORD).exists())
        for old in ended[: 1 - KEPT_STARTS]:
            shutil.rmtree(old, ignore_errors=True)  # two processes may tidy at once
        begun = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        folder = Path(tempfile.mkdtemp(prefix=f"{begun}-", dir=starts))
        program = [sys.executable, "-I", server_watcher.__file__, str(os.getpid()), str(GRACE_SECONDS), *command]
        with (folder / LOG).open("wb") as output:
            watcher = subprocess.Popen(
                program,
                env=dict(environment),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        owner = {"owner": os.getpid(), "owner_started": psutil.Process().create_time(), "host": socket.gethostname()}
        partial = folder / f"{RECORD}.partial"
        partial.write_text(json.dumps({"group": watcher.pid, **owner}), encoding="utf-8")
        partial.rename(folder / RECORD)
        return cls(name, watcher, folder)

    @property
    def alive(self) -> bool:
        return self._watcher.poll() is None

    def wait(self, ready: Callable[[], bool], timeout_s: float, mend: str) -> None:
        """Return when `ready()`. Raises ServerDiedError at once when the server ends, ServerNotReadyError at the
        timeout, with what `mend` says to do. Whatever is raised, the server is ended."""
        deadline = time.monotonic() + timeout_s
        try:
            while not ready():
                if not self.alive:
                    raise ServerDiedError(f"{self.name} ended before it was ready. {mend} {self.last_words()}")
                if time.monotonic() > deadline:
                    raise ServerNotReadyError(
                        f"{self.name} was not ready within {timeout_s:g} s; raise start_timeout_s if it was getting "
                        f"on. {mend} {self.last_words()}"
                    )
                time.sleep(POLL_SECONDS)
        except BaseException:
            self.stop()
            raise

    def last_words(self) -> str:
        """The last lines of the log, and where it is."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]
        return f"The last lines of {self.log}:\n" + "\n".join(lines)

    def stop(self) -> None:
        """End the whole process group, orderly where it can; returns when it is gone. Cheap when repeated."""
        if self.alive:
            self._watcher.terminate()
            try:
                self._watcher.wait(GRACE_SECONDS + 5)
            except subprocess.TimeoutExpired:
                os.killpg(self._watcher.pid, signal.SIGKILL)
                self._watcher.wait()
        if self._record.exists():
            _end(self._record, self._watcher.pid)


def end_stale_servers(logs: Path) -> None:
    """End the servers of this machine whose owners are gone, found by their records in the folder.

    A watcher does that within seconds; this is for one that was killed itself. Servers of living owners are left.
    """
    for record in logs.glob(f"*/*/{RECORD}"):
        try:
            said: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue  # another process, or its own, was quicker
        if said["host"] == socket.gethostname() and not _lives(said["owner"], said["owner_started"]):
            _end(record, said["group"])


def _lives(pid: int, started: float) -> bool:
    """Whether the process lives; another one that has its number by now does not count."""
    try:
        began: float = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return False
    return abs(began - started) < CLOCK_SLACK_S


def _end(record: Path, group: int) -> None:
    """Kill what is left of a record's process group, and forget the record."""
    left = [process for process in psutil.process_iter() if _belongs(process, group, record.parent)]
    for process in left:
        process.kill()
    psutil.wait_procs(left, timeout=10)
    record.unlink(missing_ok=True)


def _belongs(process: psutil.Process, group: int, folder: Path) -> bool:
    """Whether the process is of the group, and the group still the server's: numbers are given again."""
    try:
        return os.getpgid(process.pid) == group and Path(process.cwd()) == folder
    except (psutil.Error, ProcessLookupError, PermissionError):
        return False  # it ended meanwhile, or belongs to someone else
