"""Runs whose process is gone with the code server that had started it: after a power cut, or a kill of `dagster dev`.

What belongs here: finding them and writing down that they failed. What does not: what is done again (`reconcile.py`).

A code server reports a run whose own process died. Where it died itself, nobody does: the run would count as under
way, and its cells would wait for it, for ever. Run launchers that watch over runs (Kubernetes, with Dagster's run
monitoring) name no server, and theirs are left alone.
"""

import json
import socket
from collections.abc import Sequence

import dagster as dg

# Where Dagster's default run launcher writes down which code server has the run.
SERVER_TAG = ".dagster/grpc_info"
# Put on runs that were lost, so that their cells need not rest as those of a failure do.
LOST_TAG = "datashop/lost"
HERE = ("localhost", "127.0.0.1", "::1")
ANSWERS_WITHIN_S = 2.0
LOST = "The code server that ran this is gone, and the run with it. What it committed stands; the rest is made anew."


def report_lost_runs(instance: dg.DagsterInstance) -> Sequence[str]:
    """Report the runs that are lost as failed; returns their ids."""
    statuses = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    lost = [run for run in instance.get_runs(dg.RunsFilter(statuses=statuses)) if _is_lost(run)]
    for run in lost:
        instance.add_run_tags(run.run_id, {LOST_TAG: "yes"})
        instance.report_run_failed(run, LOST)
    return [run.run_id for run in lost]


def _is_lost(run: dg.DagsterRun) -> bool:
    server = json.loads(run.tags.get(SERVER_TAG, "null"))
    if server is None or server.get("host") not in HERE:
        return False
    path, port = server.get("socket"), server.get("port")
    if path is None and port is None:
        return False
    kind, address = (socket.AF_UNIX, path) if path else (socket.AF_INET, (server["host"], port))
    with socket.socket(kind, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWERS_WITHIN_S)
        try:
            connection.connect(address)
        except (ConnectionRefusedError, FileNotFoundError):
            return True  # nobody listens
        except OSError:
            return False  # it is busy: one that is slow is not gone
    return False
