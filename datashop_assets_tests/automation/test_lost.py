"""Runs whose code server is gone count as failed; those of one that listens, however slow, are left alone."""

import json
import socket
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest

from datashop_assets.automation.lost import SERVER_TAG, report_lost_runs

STATUS = dg.DagsterRunStatus


def status_after(server: dict[str, object] | None, status: STATUS = STATUS.STARTED) -> STATUS:
    """What a look makes of a run of that server."""
    with dg.DagsterInstance.ephemeral() as instance:
        tags = {} if server is None else {SERVER_TAG: json.dumps(server)}
        run = dg.DagsterRun(job_name="score_documents", run_id=str(uuid4()), status=status, tags=tags)
        instance.add_run(run)
        lost = report_lost_runs(instance)
        found = instance.get_run_by_id(run.run_id)
        assert found is not None
        assert lost == ([run.run_id] if found.status == STATUS.FAILURE else [])
        return found.status


def test_a_run_of_a_server_that_listens_is_under_way_and_is_lost_once_nobody_does(tmp_path: Path) -> None:
    path = str(tmp_path / "server")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(path)
        server.listen()
        assert status_after({"host": "localhost", "socket": path}) == STATUS.STARTED
    assert status_after({"host": "localhost", "socket": path}) == STATUS.FAILURE, "the socket's file outlives a kill"
    Path(path).unlink()
    assert status_after({"host": "localhost", "socket": path}) == STATUS.FAILURE
    with socket.socket() as held:  # nobody else can listen there meanwhile
        held.bind(("localhost", 0))
        server = {"host": "localhost", "port": held.getsockname()[1]}
        assert status_after(server, STATUS.CANCELING) == STATUS.FAILURE


@pytest.mark.parametrize(
    ("server", "status"),
    [
        pytest.param(None, STATUS.STARTED, id="another launcher's run"),
        pytest.param({"host": "elsewhere", "port": 1}, STATUS.STARTED, id="a server on another machine"),
        pytest.param({"host": "localhost", "socket": "/nowhere"}, STATUS.NOT_STARTED, id="a run that has not begun"),
        pytest.param({"host": "localhost", "socket": "/nowhere"}, STATUS.SUCCESS, id="a run that is over"),
    ],
)
def test_other_runs_are_left_alone(server: dict[str, object] | None, status: STATUS) -> None:
    assert status_after(server, status) == status
