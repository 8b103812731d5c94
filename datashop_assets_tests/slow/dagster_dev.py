"""`dagster dev` as a person starts it: web server, daemon and code server, stopped for certain with all children."""

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from resources.profiles import REPOSITORY

READY_WITHIN_S = 180


@dataclass(frozen=True)
class Served:
    """A running `dagster dev`. `log` holds the output of all its processes."""

    url: str
    log: Path
    pid: int

    def kill(self) -> None:
        """SIGKILL to it and to all that it started at once: web server, daemon, code server and runs."""
        process = psutil.Process(self.pid)
        family = [process, *process.children(recursive=True)]
        for each in family:
            each.kill()
        psutil.wait_procs(family, timeout=10)

    def tail(self, characters: int = 8000) -> str:
        return self.log.read_text(errors="replace")[-characters:]


def free_port() -> int:
    """A local port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def dagster_dev(environment: Mapping[str, str], log: Path) -> Iterator[Served]:
    """Run it from the checkout until the block ends. Raises RuntimeError with its log where it does not come up."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("dagster")), "dev", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=REPOSITORY, env=dict(environment), stdout=output, stderr=subprocess.STDOUT
        )
    served = Served(f"http://127.0.0.1:{port}", log, process.pid)
    try:
        _wait_until_ready(served, process)
        yield served
    finally:
        _stop(process)


def _wait_until_ready(served: Served, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while True:
        try:
            with urllib.request.urlopen(f"{served.url}/server_info", timeout=5):
                return
        except (urllib.error.URLError, OSError) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(
                    f"dagster dev is not ready ({error}); its log ends with:\n{served.tail()}"
                ) from error
            time.sleep(0.5)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """All processes that it started, runs included; they are asked first, and killed after 15 s."""
    family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.terminate()
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=10)
    _, alive = psutil.wait_procs(family, timeout=5)
    for child in alive:
        child.kill()
    psutil.wait_procs(alive, timeout=10)
