"""Starting workers, and what is said when one fails."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from resources.launchers import ScriptedLauncher, SubprocessLauncher


def launch(launcher: SubprocessLauncher, **extras: Any) -> Mapping[str, Any]:
    """Run a worker inside an asset, as every stage does."""
    reported: dict[str, Any] = {}

    @dg.asset
    def throwaway(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        reported.update(launcher.run("anneal", extras, context))
        return dg.MaterializeResult()

    with dg.instance_for_test() as instance:
        dg.materialize([throwaway], instance=instance)
    return reported


def interpreter(folder: Path, script: str) -> str:
    """A program that stands in for python and runs a shell script."""
    file = folder / "python"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return str(file)


@pytest.mark.parametrize(
    ("script", "says"),
    [
        pytest.param("echo reading >&2; echo no such file x.parquet >&2; exit 3", "no such file x.parquet", id="error"),
        pytest.param("echo working >&2; kill -9 $$", "signal 9.*out of memory.*goes on from its last", id="killed"),
        pytest.param("echo done >&2; exit 0", "without reporting a result.*done", id="silent"),
    ],
)
def test_a_failed_worker_is_told_with_its_last_lines_and_what_to_do(tmp_path: Path, script: str, says: str):
    with pytest.raises(dg.Failure, match=f"(?s)worker anneal.*{says}"):
        launch(SubprocessLauncher(python=interpreter(tmp_path, script)))


def test_a_missing_interpreter_is_named():
    with pytest.raises(dg.Failure, match="/nowhere/python"):
        launch(SubprocessLauncher(python="/nowhere/python"))


def test_a_worker_gets_no_secret_but_the_rest_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden-1")
    monkeypatch.setenv("OPENAI_API_KEY", "hidden-2")
    monkeypatch.setenv("HF_TOKEN", "asked-for")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    script = f"env > {tmp_path}/seen; exit 1"
    with pytest.raises(dg.Failure):
        launch(SubprocessLauncher(python=interpreter(tmp_path, script), keep=("HF_TOKEN",)))
    seen = (tmp_path / "seen").read_text()
    assert "hidden" not in seen
    assert "HF_TOKEN=asked-for" in seen
    assert "HF_HUB_OFFLINE=1" in seen


def test_a_cancelled_run_ends_its_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class Cancelled(BaseException):
        pass

    workers: list[int] = []

    class CancelledMeanwhile(subprocess.Popen):
        """What the handler of a signal raises comes out of the wait for the worker."""

        def wait(self, timeout: float | None = None) -> int:
            if not workers:
                workers.append(self.pid)
                raise Cancelled
            return super().wait(timeout)

    monkeypatch.setattr("resources.launchers.subprocess.Popen", CancelledMeanwhile)
    with pytest.raises(Cancelled):
        launch(SubprocessLauncher(python=interpreter(tmp_path, "exec sleep 60")))
    (worker,) = workers
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


def test_the_scripted_launcher_answers_and_remembers():
    launcher = ScriptedLauncher({"anneal": lambda extras: {"tokens": extras["tokens"] * 2}})
    assert launcher.run("anneal", {"tokens": 3}, context=None) == {"tokens": 6}
    assert launcher.calls == [("anneal", {"tokens": 3})]
