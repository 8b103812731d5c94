"""Servers as child processes, with small programs in place of servers: nothing of them is left, whoever is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from resources import server_process
from resources.profiles import REPOSITORY
from resources.server_process import ServerDiedError, ServerNotReadyError, ServerProcess, end_stale_servers

# A server with a helper of its own, as vLLM has; both write their pids into the file that is named.
SERVER = """
import os, subprocess, sys, time
helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("listening", flush=True)
open(sys.argv[1] + ".partial", "w").write(f"{os.getpid()} {helper.pid}")
os.rename(sys.argv[1] + ".partial", sys.argv[1])
time.sleep(600)
"""
# An owner in a process of its own: starts a server in the folder, says who its watcher is, and waits to be killed.
OWNER = """
import os, sys, time
from pathlib import Path
from resources.server_process import ServerProcess
server = ServerProcess.start("fake", sys.argv[2:], dict(os.environ), Path(sys.argv[1]))
print(server._watcher.pid, flush=True)
time.sleep(600)
"""


def server_command(pids: Path, program: str = SERVER) -> list[str]:
    return [sys.executable, "-c", program, str(pids)]


def start(folder: Path, program: str = SERVER, name: str = "fake") -> ServerProcess:
    return ServerProcess.start(name, server_command(folder / "pids", program), dict(os.environ), folder / "logs")


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def pids_of(folder: Path) -> list[int]:
    """The server's and its helper's pid, once it listens."""
    wait_for((folder / "pids").exists, "the server never listened")
    return [int(pid) for pid in (folder / "pids").read_text().split()]


def gone(pids: list[int]) -> bool:
    """Whether none of the processes runs; one that nobody waited for counts as ended."""

    def runs(pid: int) -> bool:
        try:
            return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    return not any(map(runs, pids))


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that owns a server in tmp_path; its first line names the watcher's pid."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path / "logs"), *server_command(tmp_path / "pids")],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_stopped_server_leaves_no_process(tmp_path: Path) -> None:
    server = start(tmp_path)
    pids = pids_of(tmp_path)
    assert server.alive
    server.stop()
    server.stop()
    assert gone(pids)
    assert not server.alive
    assert not list(tmp_path.glob("logs/**/process.json"))


def test_a_server_that_ignores_the_request_to_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_process, "GRACE_SECONDS", 0.5)
    server = start(tmp_path, "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SERVER)
    pids = pids_of(tmp_path)
    server.stop()
    assert gone(pids)
    assert "is killed" in server.log.read_text()


def test_a_killed_owner_s_server_ends_by_itself(tmp_path: Path, owner: subprocess.Popen[str]) -> None:
    pids = pids_of(tmp_path)
    owner.send_signal(signal.SIGKILL)
    wait_for(lambda: gone(pids), "the server outlived its owner")


def test_what_outlived_a_killed_owner_and_watcher_is_ended_at_the_next_start(
    tmp_path: Path, owner: subprocess.Popen[str]
) -> None:
    assert owner.stdout is not None
    watcher = int(owner.stdout.readline())
    pids = pids_of(tmp_path)
    os.kill(watcher, signal.SIGKILL)
    owner.kill()
    owner.wait()
    time.sleep(1.5)
    assert not gone(pids), "the case tests nothing otherwise"
    (tmp_path / "pids").unlink()
    start(tmp_path).stop()
    assert gone(pids)


def test_a_living_owner_s_server_is_left_alone(tmp_path: Path, owner: subprocess.Popen[str]) -> None:
    pids = pids_of(tmp_path)
    (tmp_path / "pids").unlink()
    start(tmp_path).stop()
    end_stale_servers(tmp_path / "logs")
    assert not gone(pids)


def test_a_record_whose_numbers_belong_to_others_by_now_ends_nobody(tmp_path: Path) -> None:
    """After a restart of the machine the same pids and groups are other programs."""
    server = start(tmp_path)
    pids = pids_of(tmp_path)
    record = json.loads(server.log.with_name("process.json").read_text())
    old = tmp_path / "logs" / "fake" / "20200101T000000-x" / "process.json"
    old.parent.mkdir()
    old.write_text(json.dumps(record | {"owner_started": record["owner_started"] - 86_400}))
    end_stale_servers(tmp_path / "logs")
    assert not old.exists()
    assert not gone(pids)
    server.stop()


def test_a_server_that_ends_is_told_at_once_with_its_last_words(tmp_path: Path) -> None:
    server = start(tmp_path, "import sys; print('no such model: x'); sys.exit(3)")
    with pytest.raises(ServerDiedError, match=r"(?s)fake ended.*Use another model\..*no such model: x.*with code 3"):
        server.wait(lambda: False, timeout_s=200, mend="Use another model.")


def test_a_server_that_is_not_ready_in_time_is_told_and_ended(tmp_path: Path) -> None:
    server = start(tmp_path)
    pids = pids_of(tmp_path)
    with pytest.raises(ServerNotReadyError, match=r"(?s)within 0.5 s.*start_timeout_s.*listening"):
        server.wait(lambda: False, timeout_s=0.5, mend="Wait.")
    assert gone(pids)


def test_the_newest_logs_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_process, "KEPT_STARTS", 2)
    for number in range(4):
        server = start(tmp_path, f"print('start {number}')")
        wait_for(lambda server=server: not server.alive, "it never ended")  # type: ignore[misc]
        server.stop()
        # a start a second tells the order; these are quicker
        server.log.parent.rename(server.log.parent.with_name(f"2026010{number}T000000-x"))
    kept = sorted(log.read_text().splitlines()[0] for log in tmp_path.glob("logs/fake/*/server.log"))
    assert kept == ["start 2", "start 3"]
