"""Runs a server for a process that may be killed at any moment: a program of its own, started by its path.

    python server_watcher.py PARENT_PID GRACE_SECONDS COMMAND...

What belongs here: ending the server when its owner asks or is gone. What does not: starting this, waiting until the
server is ready (`server_process.py`). Only the standard library is imported, because it starts before every server.

It leads the process group of the server and of all that the server starts. The group ends when the server ends, when
this program gets SIGTERM, and within a second or two of the owner's death, by kill -9 too. Polling the parent's pid
works on every POSIX system and, unlike Linux's PR_SET_PDEATHSIG, does not depend on which thread of the owner lives.
"""

import os
import signal
import subprocess
import sys
import time

POLL_SECONDS = 0.5


def main(parent: int, grace: float, command: list[str]) -> None:
    """Run the command; end it, and whatever is left of the process group, as the module says."""
    asked_to_stop = False

    def stop(*_: object) -> None:
        nonlocal asked_to_stop
        asked_to_stop = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal; the owner decides what an interruption means
    server = subprocess.Popen(command)
    while server.poll() is None and not asked_to_stop and os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    if server.poll() is None:
        why = "was asked to stop" if asked_to_stop else f"lost its owner (pid {parent})"
        sys.stderr.write(f"the server {why} and is ended\n")
        server.terminate()
        try:
            server.wait(grace)
            time.sleep(POLL_SECONDS)  # its helpers tidy up behind it
        except subprocess.TimeoutExpired:
            sys.stderr.write(f"it did not end within {grace:g} s and is killed\n")
    else:
        sys.stderr.write(f"the server ended by itself with code {server.returncode}\n")
    sys.stderr.flush()
    os.killpg(os.getpgid(0), signal.SIGKILL)  # what the server left behind, and this program with it


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
