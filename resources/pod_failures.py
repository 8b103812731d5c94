"""Why a pod was lost, in plain words: what happened to it, and what to change.

What belongs here: reading the state of pods and their events. What does not: who asks (`run_launcher.py` for runs,
`step_pods.py` for steps, `pod_launcher.py` for workers), what becomes of the run.

Pods and events are those of Kubernetes' Python client (V1Pod, CoreV1Event), read by attribute: the client is not
imported here. Reasons: the kubelet's `pkg/kubelet/images/types.go` and `eviction`, the scheduler's `Preempted` and
`FailedScheduling`, the pod condition `DisruptionTarget` (from Kubernetes 1.26).
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from resources.pods import CLASS_LABEL, GPU

RUN_LABEL = "dagster/run-id"
# The kubelet pulls again after these: a registry that was away for a moment is one of their causes.
PULL_REASONS = ("ErrImagePull", "ImagePullBackOff")
PULL_SECONDS = 120.0
IMAGE_REASONS = (*PULL_REASONS, "InvalidImageName", "ErrImageNeverPull", "ImageInspectError")
CONFIG_REASONS = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
START_REASONS = ("StartError", "ContainerCannotRun")
DISRUPTIONS = {
    "PreemptionByScheduler": "preempted",
    "EvictionByEvictionAPI": "drained",
    "DeletionByTaintManager": "drained",
    "DeletionByPodGC": "node lost",
    "TerminationByKubelet": "evicted",
}
# Kinds that say nothing of the work: another attempt may end otherwise. What ran out of memory at its own limit, has no
# image or cannot be placed would not.
PASSING = ("evicted", "drained", "preempted", "deleted", "killed", "refused", "node lost")
# A pod that is still there so long after it should have ended is on a node that does not answer.
OVERDUE_SECONDS = 120.0
KILLED = 137
# The events of a pod that was taken away, those that say more first.
GONE_REASONS = ("Preempted", "TaintManagerEviction", "Killing")
RUN_AGAIN = "Run it again. It was a person, a node that was drained, or a newer attempt at the same output"


@dataclass(frozen=True)
class PodFailure:
    """What happened to a pod. `waits`: it has not started, and may yet, so that whoever waits decides how long."""

    kind: str
    words: str
    waits: bool = False


class Patience:
    """How long pods that have not started are waited for: `start_timeout` seconds since they were asked for, or
    PULL_SECONDS since one was first seen without its image. Keeps what it saw."""

    def __init__(self, start_timeout: float) -> None:
        self.start_timeout = start_timeout
        self._pulls_fail_since: dict[str, float] = {}

    def is_over(self, pod: Any, failure: PodFailure | None) -> bool:
        """Whether the pod, with what keeps it from starting (null: nothing is known), is to be given up."""
        if age_seconds(pod) >= self.start_timeout or (failure is not None and not failure.waits):
            return True
        if failure is None or failure.kind != "image pull":
            return False
        now = time.monotonic()
        return now - self._pulls_fail_since.setdefault(pod.metadata.name, now) >= PULL_SECONDS


def failure_of(pod: Any, events: Iterable[Any] = ()) -> PodFailure | None:
    """Why the pod failed or does not start; null where the pod is well, or ended by its program's own error."""
    states = [status.state for status in pod.status.container_statuses or []]
    ended = [state.terminated for state in states if state.terminated is not None]
    waiting = [state.waiting for state in states if state.waiting is not None and state.waiting.reason]
    return (
        _unreachable(pod)
        or _overran(pod)
        or _evicted(pod)
        or _disrupted(pod, events)
        or _deleted(pod, ended)
        or next((_killed(pod, end) for end in ended if end.reason == "OOMKilled" or end.exit_code == KILLED), None)
        or next((_not_run(pod, end) for end in ended if end.reason in START_REASONS), None)
        or next((failure for wait in waiting if (failure := _not_started(pod, wait))), None)
        or _unscheduled(pod)
        or _without_volume(pod, events)
        or _refused(pod)
    )


def failure_of_gone(core_api: Any, namespace: str, owners: Sequence[str], present: Sequence[Any]) -> PodFailure | None:
    """For pods that are gone, by the events that they left: of a Job's (`owners`: names of Jobs or pods), but for those
    that are `present`. Null where none was taken away, or its event is too old."""
    here = {pod.metadata.name for pod in present}
    for reason in GONE_REASONS:
        for event in core_api.list_namespaced_event(namespace, field_selector=f"reason={reason}").items:
            name = event.involved_object.name
            ours = any(name == owner or name.startswith(f"{owner}-") for owner in owners)
            if ours and name not in here:
                return (
                    _preempted(name, event.message, None) if reason == "Preempted" else _taken_away(name, event.message)
                )
    return None


def lost_pods(core_api: Any, batch_api: Any, namespace: str, run_id: str) -> list[str]:
    """What happened to the pods of a run, its own, its steps' and its workers', one text each; those that are well
    or failed by their program's own error are left out. Raises the client's ApiException."""
    selector = f"{RUN_LABEL}={run_id}"
    jobs = batch_api.list_namespaced_job(namespace, label_selector=selector).items
    pods = core_api.list_namespaced_pod(namespace, label_selector=selector).items
    found = [failure_of(pod, events_of(core_api, namespace, pod)) for pod in pods]
    found.append(failure_of_gone(core_api, namespace, [job.metadata.name for job in jobs], pods))
    return list(dict.fromkeys(failure.words for failure in found if failure is not None))


def events_of(core_api: Any, namespace: str, pod: Any) -> Sequence[Any]:
    """The events of one pod."""
    events: Sequence[Any] = core_api.list_namespaced_event(
        namespace, field_selector=f"involvedObject.name={pod.metadata.name}"
    ).items
    return events


def age_seconds(pod: Any) -> float:
    """Seconds since the pod was asked for."""
    created = pod.metadata.creation_timestamp
    return 0.0 if created is None else (datetime.now(UTC) - created).total_seconds()


def _evicted(pod: Any) -> PodFailure | None:
    if pod.status.reason != "Evicted":
        return None
    said = pod.status.message or ""
    if "ephemeral" in said or "emptyDir" in said or "EmptyDir" in said:
        limit = _limit(pod, "ephemeral-storage")
        mend = (
            f"It may write {limit} outside of the home volume: raise {_field(pod, 'ephemeral_storage')}, or free the "
            "node's disk where Kubernetes says that the node was low on it"
        )
        return PodFailure("evicted", _words(pod, "was evicted for what it wrote to the node's disk", mend, said))
    mend = f"Free the node, or raise {_field(pod, 'memory')} so that it is placed where there is more"
    return PodFailure("evicted", _words(pod, "was evicted by its node, which ran short", mend, said))


def _disrupted(pod: Any, events: Iterable[Any]) -> PodFailure | None:
    conditions = {condition.type: condition for condition in pod.status.conditions or []}
    target = conditions.get("DisruptionTarget")
    kind, said = (None, pod.status.message) if target is None else (DISRUPTIONS.get(target.reason), target.message)
    if kind == "preempted":
        return _preempted(pod.metadata.name, said, _class(pod))
    if kind == "evicted":
        mend = "See the node's events: it was shut down, or short of memory or disk. The work goes on when run again"
        return PodFailure("evicted", _words(pod, "was ended by its node", mend, said))
    if kind is not None or pod.status.reason in ("NodeLost", "NodeShutdown", "Shutdown", "Terminated"):
        mend = "Nothing is wrong with the work: it goes on from what was committed when run again"
        return PodFailure(
            "drained", _words(pod, "lost its node, which was drained, shut down or unreachable", mend, said)
        )
    preempted = next((event for event in events if event.reason in ("Preempted", "Preempting")), None)
    return _preempted(pod.metadata.name, preempted.message, _class(pod)) if preempted is not None else None


def is_overdue(pod: Any) -> bool:
    """Whether it was told to end and should have ended long ago: its node does not answer."""
    # Kubernetes writes the time by which it is to be gone, its time to end (termination_seconds) included.
    due = pod.metadata.deletion_timestamp
    return due is not None and (datetime.now(UTC) - due).total_seconds() > OVERDUE_SECONDS


def _unreachable(pod: Any) -> PodFailure | None:
    if not is_overdue(pod):
        return None
    mend = (
        "Its node does not answer, and may still work on it. Once the node is gone for good delete the pod with "
        f"`kubectl delete pod {pod.metadata.name} --force`, and run again: it goes on from what was committed"
    )
    return PodFailure("node lost", _words(pod, "was told to end and has not", mend, pod.status.message))


def _overran(pod: Any) -> PodFailure | None:
    if pod.status.reason != "DeadlineExceeded":
        return None
    mend = "Raise worker_seconds of the pods file, or train on less. Run again: it goes on from its last checkpoint"
    return PodFailure("too long", _words(pod, "worked for longer than it may", mend, pod.status.message))


def _deleted(pod: Any, ended: Sequence[Any]) -> PodFailure | None:
    """By somebody, while it worked: what ended well before it was deleted is not meant."""
    if pod.metadata.deletion_timestamp is None or not any(end.exit_code for end in ended):
        return None
    return _taken_away(pod.metadata.name, pod.status.message)


def _taken_away(name: str, said: str | None) -> PodFailure:
    return PodFailure("deleted", f"Pod {name} was deleted while it worked. {RUN_AGAIN}{_quoted(said)}")


def _preempted(name: str, said: str | None, work: str | None) -> PodFailure:
    field = f"classes.{work}.priority_class" if work else "its class's priority_class"
    return PodFailure(
        "preempted",
        f"Pod {name} was preempted: a pod of higher priority took its place. Run it again, it goes on from what was "
        f"committed; where that happens often add nodes, or give {field} in the pods file a higher priority"
        f"{_quoted(said)}",
    )


def _killed(pod: Any, end: Any) -> PodFailure:
    if end.reason == "OOMKilled":
        what = f"ran out of memory: it reached its limit of {_limit(pod, 'memory')}"
        mend = f"Raise {_field(pod, 'memory')}, or make batches smaller (fewer cells in a run, a smaller batch_size)"
        return PodFailure("out of memory", _words(pod, what, mend, f"{end.reason}, exit code {end.exit_code}"))
    mend = (
        f"The node may have run out of memory: raise {_field(pod, 'memory')} so that it is placed where there is more. "
        "Or it did not end in time when it was told to: raise termination_seconds of that file"
    )
    return PodFailure(
        "killed", _words(pod, "was killed from outside", mend, f"{end.reason}, exit code {end.exit_code}")
    )


def _not_run(pod: Any, end: Any) -> PodFailure:
    mend = f"Correct {_field(pod, 'image')}: `python` must be on its PATH, and the project where it starts"
    said = f"{end.reason}: {end.message}"
    return PodFailure("not run", _words(pod, "has an image in which the program cannot be started", mend, said))


def _not_started(pod: Any, waiting: Any) -> PodFailure | None:
    if waiting.reason in IMAGE_REASONS:
        images = ", ".join(container.image for container in pod.spec.containers)
        mend = (
            f"Correct {_field(pod, 'image')} (or images.run and images.worker), images.pull_policy or "
            "images.pull_secrets, or push the image"
        )
        words = _words(pod, f"has no image: {images} cannot be had", mend, _said(waiting))
        return PodFailure("image pull", words, waits=waiting.reason in PULL_REASONS)
    if waiting.reason in CONFIG_REASONS:
        mend = "Make the config map or secret that it names, or correct config_maps and secrets of the pods file"
        return PodFailure(
            "not created", _words(pod, "cannot be created", mend, _said(waiting)), waits="Config" in waiting.reason
        )
    return None


def _unscheduled(pod: Any) -> PodFailure | None:
    for condition in pod.status.conditions or []:
        if condition.type == "PodScheduled" and condition.status == "False" and condition.reason == "Unschedulable":
            said = condition.message or ""
            # Where GPUs are short the message says so; where no node has the labels or all are tainted it does not.
            gpus = _limit(pod, GPU)
            what = f"finds no node with {gpus} free GPU(s)" if GPU in said and gpus != "none" else "finds no node"
            mend = (
                f"Add such a node or wait for one; else correct {_field(pod, 'gpus')}, and cpu, memory, node_selector "
                "and tolerations beside it"
            )
            return PodFailure("unschedulable", _words(pod, what, mend, said), waits=True)
    return None


def _without_volume(pod: Any, events: Iterable[Any]) -> PodFailure | None:
    failed = [event for event in events if event.reason in ("FailedMount", "FailedAttachVolume")]
    if pod.status.phase != "Pending" or not failed:
        return None
    mend = "Make the volume claim and the config map that home.claim and files.config_map of the pods file name"
    return PodFailure("volume", _words(pod, "cannot mount a volume", mend, failed[-1].message), waits=True)


def _refused(pod: Any) -> PodFailure | None:
    """By its node, after it was placed there: OutOfcpu, OutOfmemory, UnexpectedAdmissionError (a GPU that is gone)."""
    if pod.status.phase != "Failed" or not pod.status.reason or pod.status.container_statuses:
        return None
    mend = "Run it again, it may be placed elsewhere; where that happens often see what else takes the node's resources"
    return PodFailure(
        "refused", _words(pod, "was refused by its node", mend, f"{pod.status.reason}: {pod.status.message}")
    )


def _words(pod: Any, what: str, mend: str, said: str | None) -> str:
    return f"Pod {pod.metadata.name} {what}. {mend}{_quoted(said)}"


def _quoted(said: str | None) -> str:
    return f". Kubernetes says: {said.strip().rstrip('.')}" if said else ""


def _said(waiting: Any) -> str:
    return f"{waiting.reason}: {waiting.message}" if waiting.message else str(waiting.reason)


def _class(pod: Any) -> str:
    return str((pod.metadata.labels or {}).get(CLASS_LABEL, "NAME"))


def _field(pod: Any, name: str) -> str:
    return f"classes.{_class(pod)}.{name} of the pods file"


def _limit(pod: Any, resource: str) -> str:
    resources = pod.spec.containers[0].resources
    return str(((resources and resources.limits) or {}).get(resource, "none"))
