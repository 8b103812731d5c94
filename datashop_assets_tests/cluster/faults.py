"""The same steps over new shards, and a fault in each: what the run has to say, and what has to come of it."""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import polars as pl

from datashop_assets.records import ANNOTATIONS
from datashop_assets_tests.cluster.dagster_api import ENDED, ApiError, Dagster
from datashop_assets_tests.cluster.place import FOLDER, facts, kubectl, say
from datashop_assets_tests.cluster.steps import (
    StepError,
    await_run,
    land,
    lens_step,
    over_shards,
    pod_of,
    step,
    train,
)
from datashop_assets_tests.slow.small_project import LENS
from resources.lake import DeltaLake

SHOWN = 400  # characters of a failure in the transcript
CONFIG = "dagster-k8s/config"
TOO_LITTLE = "450Mi"  # a run starts in it, and cannot load a model
# A failed judgement of the small model itself, whatever happens to its server.
ITS_OWN = "no_score_tokens"


@dataclass(frozen=True)
class Fault:
    """A step, what is done to its run, and what has to come of it.

    `says`: what the log of the failed run has to say, as a regular expression; None: the run may not fail at all.
    `recovers`: the run, or one that Dagster launched in its place, ends well without anybody.
    """

    job: str
    tags: Mapping[str, str]
    strike: Callable[[str], None]
    says: str | None = None
    recovers: bool = True


@dataclass(frozen=True)
class Outcome:
    """How a run ended, with those that Dagster launched in its place and what the failed ones said."""

    status: str
    runs: tuple[str, ...]
    reasons: tuple[str, ...]

    def faults(self, fault: Fault) -> list[str]:
        """What is not as the fault asks for."""
        found = []
        if fault.says is None and len(self.runs) > 1:
            found.append(f"{len(self.runs)} runs where one had to go on: {self.reasons}")
        if fault.says is not None and not re.search(fault.says, " ".join(self.reasons)):
            found.append(f"no failure says {fault.says!r}: {self.reasons}")
        if fault.recovers is not (self.status == "SUCCESS"):
            found.append(f"it ended with {self.status}")
        return found


def with_little_memory(dagster: Dagster, job: str) -> dict[str, str]:
    """The pod that the job's runs have, with too little memory."""
    config = json.loads(dagster.last(job).tags[CONFIG])
    for bound in config["container_config"]["resources"].values():
        bound["memory"] = TOO_LITTLE
    return {CONFIG: json.dumps(config)}


def ended(dagster: Dagster, run: str, seconds: float = 600) -> Outcome:
    """How the run ended: it, or the last of those that Dagster launched in its place."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            status = dagster.run(run).status
            if status == "FAILURE":
                time.sleep(8)  # the daemon looks for runs to retry
            later = dagster.retries(run)
            reasons = tuple(dagster.reasons(run)) if status == "FAILURE" else ()
        except (OSError, ApiError):
            time.sleep(1)
            continue
        for reason in reasons:
            say(f"  run {run[:8]} said: {' '.join(reason.split())[:SHOWN]}")
        if later:
            say(f"  Dagster launched run {later[0][:8]} in place of {run[:8]}")
            last = ended(dagster, later[0], seconds)
            return Outcome(last.status, (run, *last.runs), reasons + last.reasons)
        if status in ENDED:
            return Outcome(status, (run,), reasons)
        time.sleep(1)
    raise StepError(f"run {run} did not end in {seconds:.0f} s")


def disturbed(dagster: Dagster, fault: Fault) -> None:
    """Launch, disturb, and see what comes of it. Raises StepError where that is not what has to.

    What did not recover is asked for again, undisturbed, as a person or the reconcile sensor would.
    """
    started = time.monotonic()
    run = dagster.launch(fault.job, fault.tags)
    fault.strike(run)
    outcome = ended(dagster, run)
    if wrong := outcome.faults(fault):
        raise StepError("; ".join(wrong))
    if outcome.status != "SUCCESS":
        step(dagster, fault.job, [{name: value for name, value in fault.tags.items() if name != CONFIG}])
    say(f"{fault.job}: as it has to be, {time.monotonic() - started:.0f} s in all")


def all_rated_once(shards: Sequence[str]) -> None:
    """Raises StepError where a rating of these shards is there twice, or failed by what happened to the server."""
    reached = facts()
    lake = DeltaLake(f"s3://{reached['bucket']}/lake", {k: v for k, v in reached.items() if k.startswith("AWS_")})
    rated = lake.scan(ANNOTATIONS.of(LENS), {"shard": shards}).select("shard", "id", "reason").collect()
    failed = rated.filter(pl.col("reason").is_not_null() & (pl.col("reason") != ITS_OWN))
    if rated.is_empty() or rated.select("shard", "id").is_duplicated().any() or failed.height:
        raise StepError(f"{rated.height} ratings; failed: {failed['reason'].value_counts().rows()}; or some are double")
    say(f"  {rated.height} ratings, none doubled, none failed but by the model itself")


def kill_run_pod(dagster: Dagster) -> Callable[[str], None]:
    def fault(run: str) -> None:
        await_run(dagster, run)
        time.sleep(3)
        pod = pod_of(run)
        kubectl("delete", "pod", pod, "--grace-period=0", "--force")
        say(f"FAULT: the pod of run {run[:8]} was killed")

    return fault


def vllm_in_the_middle(dagster: Dagster, run: str, answers: int) -> str:
    """The vLLM pod, once it has answered so many questions of the run. Raises StepError where the run ends first."""
    await_run(dagster, run)
    pod = kubectl("get", "pods", "--selector=app.kubernetes.io/name=vllm", "-o", "name").split()[0]
    before = answered(pod)
    while answered(pod) < before + answers:
        if dagster.run(run).status in ENDED:
            raise StepError("the rating ended before anything happened to its server")
        time.sleep(0.3)
    return pod


def answered(pod: str) -> int:
    return kubectl("logs", pod, "--tail=-1").count("POST /v1/chat/completions")


def kill_vllm(dagster: Dagster) -> Callable[[str], None]:
    def fault(run: str) -> None:
        pod = vllm_in_the_middle(dagster, run, answers=5)
        kubectl("delete", pod, "--grace-period=0", "--force")
        say("FAULT: the vLLM pod was killed after 5 answers of this run")

    return fault


def restart_vllm(dagster: Dagster) -> Callable[[str], None]:
    def fault(run: str) -> None:
        vllm_in_the_middle(dagster, run, answers=5)
        kubectl("rollout", "restart", "deployment/vllm")
        say("FAULT: a rolling restart of vLLM after 5 answers of this run")

    return fault


def nothing(_: str) -> None: ...


@contextmanager
def cut(name: str) -> Iterator[None]:
    """Pods cannot reach that store."""
    mark = FOLDER / f"cut-{name}"
    mark.touch()
    try:
        yield
    finally:
        mark.unlink()


def cut_object_store(dagster: Dagster) -> Callable[[str], None]:
    def fault(run: str) -> None:
        await_run(dagster, run)
        time.sleep(2)
        with cut("object-store"):
            say("FAULT: no pod reaches the object store for 30 s")
            time.sleep(30)

    return fault


def restart_postgres(dagster: Dagster) -> Callable[[str], None]:
    def fault(run: str) -> None:
        await_run(dagster, run)
        time.sleep(2)
        mark = FOLDER / "restart-postgres"
        mark.touch()
        while mark.exists():
            time.sleep(0.2)
        say("FAULT: PostgreSQL was restarted")
        answered = 0
        while answered < 10:  # the webserver finds its connections of before gone, one after another
            try:
                dagster.run(run)
                answered += 1
            except (OSError, ApiError):
                time.sleep(1)

    return fault


def with_faults(dagster: Dagster) -> list[str]:
    """Two more shards, with a fault in each step; returns the steps that did not end as they have to."""
    shards = land(dagster, files=range(3, 5))
    new = shards[-2:]
    parse, memory = "parse_and_embed_shards", with_little_memory(dagster, "parse_and_embed_shards")
    faults = [
        Fault(parse, over_shards(None, new[1:]) | memory, nothing, says="memory", recovers=False),
        Fault(parse, over_shards(None, new[:1]), kill_run_pod(dagster), says="no active pods|deleted|killed"),
        Fault("rate_documents", over_shards("lens", new[:1]), kill_vllm(dagster)),
        Fault("rate_documents", over_shards("lens", new[1:]), restart_vllm(dagster)),
        Fault("score_documents", over_shards("lens", shards), nothing),
        Fault("set_cutoff", lens_step(), restart_postgres(dagster)),
        Fault("filter_documents", over_shards("lens", shards), cut_object_store(dagster)),
        Fault("cut_release", lens_step(), nothing),
    ]
    for fault in faults:
        try:
            if fault.job == "score_documents":
                train(dagster)
            disturbed(dagster, fault)
            if fault.job == "rate_documents":
                all_rated_once(new)
        except (StepError, ApiError, TimeoutError, RuntimeError) as error:
            say(f"  {fault.job}: {error}")
            return [fault.job]
    return []
