"""What is done to a run on a cluster: each waits until the run is at work, strikes, and knows that it has hit.

What belongs here: the blows. What does not: what has to come of them (`faults.py`), what the tables say (`tables.py`).
Each is a function of the API that gives a function of the run's id. Raises StepError where the run ended first.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from datashop_assets.records import TableSpec
from datashop_assets_tests.cluster.dagster_api import ENDED, Dagster
from datashop_assets_tests.cluster.place import FOLDER, kubectl, say
from datashop_assets_tests.cluster.steps import StepError, await_run, pod_of
from datashop_assets_tests.cluster.tables import is_committed

Strike = Callable[[str], None]
AT_WORK_S = 2  # a run that has begun needs some seconds to its first read of a table
CUT_S = 30


def nothing(_: str) -> None: ...


def kill_run_pod(dagster: Dagster, table: TableSpec, shard: str) -> Strike:
    """When the run has committed that cell, and is at what comes after it."""

    def strike(run: str) -> None:
        await_run(dagster, run)
        pod = pod_of(run)
        until(dagster, run, lambda: is_committed(table, shard), "it had committed anything")
        kubectl("delete", "pod", pod, "--grace-period=0", "--force")
        say(f"FAULT: the pod of run {run[:8]} was killed after it had committed {table.name} of {shard}")

    return strike


def kill_vllm(dagster: Dagster) -> Strike:
    def strike(run: str) -> None:
        pod = vllm_in_the_middle(dagster, run, answers=5)
        kubectl("delete", pod, "--grace-period=0", "--force")
        say("FAULT: the vLLM pod was killed after 5 answers of this run")

    return strike


def restart_vllm(dagster: Dagster) -> Strike:
    """Returns when the new server answers and the old one is gone."""

    def strike(run: str) -> None:
        vllm_in_the_middle(dagster, run, answers=5)
        kubectl("rollout", "restart", "deployment/vllm")
        say("FAULT: a rolling restart of vLLM after 5 answers of this run")
        kubectl("rollout", "status", "deployment/vllm", "--timeout=420s")
        say("  the new vLLM pod answers")

    return strike


def vllm_in_the_middle(dagster: Dagster, run: str, answers: int) -> str:
    """The vLLM pod, once it has answered so many questions of the run."""
    await_run(dagster, run)
    pod = kubectl("get", "pods", "--selector=app.kubernetes.io/name=vllm", "-o", "name").split()[0]
    before = answered(pod)
    until(dagster, run, lambda: answered(pod) >= before + answers, f"vLLM had answered {answers} questions")
    return pod


def answered(pod: str) -> int:
    return kubectl("logs", pod, "--tail=-1").count("POST /v1/chat/completions")


def cut_object_store(dagster: Dagster) -> Strike:
    def strike(run: str) -> None:
        await_run(dagster, run)
        time.sleep(AT_WORK_S)
        with cut("object-store"):
            still_at_work(dagster, run)
            say(f"FAULT: no pod reaches the object store for {CUT_S} s")
            time.sleep(CUT_S)

    return strike


@contextmanager
def cut(name: str) -> Iterator[None]:
    """Pods cannot reach that store."""
    mark = FOLDER / f"cut-{name}"
    mark.touch()
    try:
        yield
    finally:
        mark.unlink()


def restart_postgres(dagster: Dagster) -> Strike:
    def strike(run: str) -> None:
        await_run(dagster, run)
        time.sleep(AT_WORK_S)
        still_at_work(dagster, run)
        mark = FOLDER / "restart-postgres"
        mark.touch()
        while mark.exists():
            time.sleep(0.2)
        say("FAULT: PostgreSQL was restarted")

    return strike


def kill_worker(dagster: Dagster) -> Strike:
    """When the worker that trains has written a checkpoint."""

    def strike(run: str) -> None:
        await_run(dagster, run)
        until(dagster, run, lambda: bool(whole_checkpoints()), "its worker had written a checkpoint")
        worker = kubectl("get", "pods", f"--selector=datashop/worker,dagster/run-id={run}", "-o", "name").split()[-1]
        kubectl("delete", worker, "--grace-period=0", "--force")
        say(f"FAULT: the worker's pod was killed at {', '.join(whole_checkpoints())}")

    return strike


def whole_checkpoints() -> Sequence[str]:
    """Those that lie on the home volume now: they are removed when a model is trained."""
    return sorted(mark.parent.name for mark in (FOLDER / "home").rglob("*.checkpoints/checkpoint-*/complete"))


def until(dagster: Dagster, run: str, there: Callable[[], bool], what: str) -> None:
    """Wait for it. Raises StepError where the run ends first."""
    while not there():
        if dagster.run(run).status in ENDED:
            raise StepError(f"the run ended before {what}, so that nothing could be struck")
        time.sleep(0.3)


def still_at_work(dagster: Dagster, run: str) -> None:
    if (status := dagster.run(run).status) in ENDED:
        raise StepError(f"the run had ended with {status} before anything was struck")
