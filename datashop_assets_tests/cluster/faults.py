"""The same steps over new shards, and a fault in each: what the run has to say, and what has to come of it."""

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from datashop_assets.records import DOCUMENTS
from datashop_assets_tests.cluster.dagster_api import ENDED, ApiError, Dagster
from datashop_assets_tests.cluster.place import say
from datashop_assets_tests.cluster.steps import (
    RATED,
    StepError,
    documents_of,
    land,
    lens_step,
    over_shards,
    train,
)
from datashop_assets_tests.cluster.strikes import (
    Strike,
    cut_object_store,
    kill_run_pod,
    kill_vllm,
    kill_worker,
    nothing,
    restart_postgres,
    restart_vllm,
)
from datashop_assets_tests.cluster.tables import all_rated_once, all_there_once

SHOWN = 250  # characters of a failure in the transcript
RETRY_WITHIN_S = 8  # the daemon looks for runs to launch again
PARSE, RATE, ANNEAL = "parse_and_embed_shards", "rate_documents", "anneal_and_evaluate_candidate"
# In the one a run begins, and cannot load the encoder; in the other it cannot even import Dagster.
TOO_LITTLE, FAR_TOO_LITTLE = "450Mi", "150Mi"


def with_memory(limit: str) -> dict[str, str]:
    """As a person asks for it in the launchpad: it is added to the pod that the job's runs have."""
    bound = {"memory": limit}
    return {"dagster-k8s/config": json.dumps({"container_config": {"resources": {"requests": bound, "limits": bound}}})}


@dataclass(frozen=True)
class Fault:
    """A step, what is done to its run, and what has to come of it.

    `says`: what the log of the failed run has to say, as a regular expression; None: the run may not fail at all.
    `recovers`: the run, or one that Dagster launched in its place, ends well without anybody; where it does not, a
    later one in the list asks for the same again. `check` raises StepError where the tables are not as they should be.
    """

    job: str
    tags: Mapping[str, str]
    strike: Strike = nothing
    says: str | None = None
    recovers: bool = True
    check: Callable[["Outcome"], None] = lambda outcome: None


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
        if fault.says is not None and not re.search(fault.says, " ".join(self.reasons), re.DOTALL):
            found.append(f"no failure says {fault.says!r}: {self.reasons}")
        if fault.recovers is not (self.status == "SUCCESS"):
            found.append(f"it ended with {self.status}")
        return found


def ended(dagster: Dagster, run: str, seconds: float = 900) -> Outcome:
    """How the run ended: it, or the last of those that Dagster launched in its place."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            status = dagster.run(run).status
            if status == "FAILURE":
                time.sleep(RETRY_WITHIN_S)
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
    """Launch, disturb, and see what comes of it. Raises StepError where that is not what has to."""
    started = time.monotonic()
    run = dagster.launch(fault.job, fault.tags)
    fault.strike(run)
    outcome = ended(dagster, run)
    if wrong := outcome.faults(fault):
        raise StepError("; ".join(wrong))
    fault.check(outcome)
    say(f"{fault.job}: {outcome.status}, as it has to be, {time.monotonic() - started:.0f} s in all")


def trained_on_from_there(dagster: Dagster, outcome: Outcome) -> None:
    """Raises StepError where the worker that took the killed one's place did not go on from its checkpoint."""
    steps = [said for said in dagster.messages(outcome.runs[-1]) if re.search(r"step \d+/\d+: loss", said)]
    first = [said for said in steps if re.search(r"step 1/\d+: loss", said)]
    if len(first) != 1:
        raise StepError(f"step 1 was trained {len(first)} times: {steps}")
    say(f"  {len(steps)} training steps were logged, the first of them once")


def with_faults(dagster: Dagster) -> list[str]:
    """Three more shards, with a fault in each step; returns the steps that did not end as they have to."""
    files = range(3, 6)
    shards = land(dagster, files)
    new = shards[3:]
    two, third = over_shards(None, new[:2]), over_shards(None, new[2:])
    faults = [
        Fault(
            PARSE, third | with_memory(FAR_TOO_LITTLE), says="before the run had begun.*out of memory", recovers=False
        ),
        Fault(PARSE, third | with_memory(TOO_LITTLE), says="ran out of memory", recovers=False),
        Fault(
            PARSE,
            two,
            kill_run_pod(dagster, DOCUMENTS, new[0]),
            says="no active pods|deleted|killed",
            check=lambda _: all_there_once(DOCUMENTS, new[:2], rows=documents_of(files[:2])),
        ),
        Fault(PARSE, third, check=lambda _: all_there_once(DOCUMENTS, new, rows=documents_of(files))),
        Fault(
            RATE,
            over_shards("lens", new[:2]),
            kill_vllm(dagster),
            check=lambda _: all_rated_once(new[:2], rows=2 * RATED),
        ),
        Fault(
            RATE,
            over_shards("lens", new[2:]),
            restart_vllm(dagster),
            check=lambda _: all_rated_once(new, rows=3 * RATED),
        ),
        Fault("score_documents", over_shards("lens", shards)),
        Fault("set_cutoff", lens_step(), restart_postgres(dagster)),
        Fault("filter_documents", over_shards("lens", shards), cut_object_store(dagster)),
        Fault("cut_release", lens_step()),
        Fault("anneal_control", {}, kill_worker(dagster), check=lambda found: trained_on_from_there(dagster, found)),
        Fault(ANNEAL, lens_step()),
    ]
    for fault in faults:
        try:
            if fault.job == "score_documents":
                train(dagster)
            disturbed(dagster, fault)
        except (StepError, ApiError, TimeoutError, RuntimeError) as error:
            say(f"  {fault.job}: {error}")
            return [fault.job]
    return []
