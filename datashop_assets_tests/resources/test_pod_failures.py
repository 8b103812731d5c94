"""What people are told of a pod that was lost: what happened, and what to change."""

from types import SimpleNamespace
from typing import Any

import pytest

from datashop_assets_tests.resources.kube import Kube, event, pod, state
from resources.pod_failures import Patience, failure_of, failure_of_gone, lost_pods

LOST = [
    pytest.param(
        pod(phase="Failed", container=state(ended=("OOMKilled", 137))),
        "out of memory",
        r"ran out of memory: it reached its limit of 48Gi. Raise classes\.training\.memory of the pods file",
        id="out of memory",
    ),
    pytest.param(
        pod(phase="Succeeded", container=state(ended=("OOMKilled", 0))),
        "out of memory",
        "limit of 48Gi",
        id="a child process was out of memory, and the first one ended well",
    ),
    pytest.param(
        pod(phase="Failed", container=state(ended=("Error", 137))),
        "killed",
        "killed from outside.*termination_seconds",
        id="killed, and not for its limit",
    ),
    pytest.param(
        pod(
            phase="Failed",
            reason="Evicted",
            message="Pod ephemeral local storage usage exceeds the total limit of containers 50Gi.",
            container=state(ended=("Error", 137)),
        ),
        "evicted",
        r"may write 50Gi outside of the home volume: raise classes\.training\.ephemeral_storage.*exceeds the total",
        id="wrote too much",
    ),
    pytest.param(
        pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory."),
        "evicted",
        r"which ran short. Free the node, or raise classes\.training\.memory.*low on resource: memory",
        id="node pressure",
    ),
    pytest.param(
        pod(conditions=[("DisruptionTarget", "True", "PreemptionByScheduler", "preempted by serving")]),
        "preempted",
        r"a pod of higher priority took its place.*classes\.training\.priority_class.*preempted by serving",
        id="preempted",
    ),
    pytest.param(
        pod(conditions=[("DisruptionTarget", "True", "EvictionByEvictionAPI", "evicted by drain")]),
        "drained",
        "Nothing is wrong with the work",
        id="node drained",
    ),
    pytest.param(
        pod(container=state(ended=("Error", 143)), deleted=True), "deleted", "was deleted while it worked", id="deleted"
    ),
    pytest.param(
        pod(phase="Failed", reason="NodeShutdown", message="Pod was terminated"),
        "drained",
        "lost its node",
        id="node shut down",
    ),
    pytest.param(
        pod(phase="Pending", container=state(waiting=("ImagePullBackOff", "Back-off pulling image"))),
        "image pull",
        r"registry/w:1 cannot be had. Correct classes\.training\.image .*push the image.*Back-off pulling",
        id="image pull",
    ),
    pytest.param(
        pod(phase="Pending", container=state(waiting=("CreateContainerConfigError", 'secret "x" not found'))),
        "not created",
        'config_maps and secrets of the pods file.*secret "x" not found',
        id="secret missing",
    ),
    pytest.param(
        pod(
            phase="Pending",
            conditions=[("PodScheduled", "False", "Unschedulable", "0/3 nodes: 3 Insufficient nvidia.com/gpu.")],
        ),
        "unschedulable",
        r"finds no node with 1 free GPU\(s\). Add such a node.*node_selector.*3 Insufficient nvidia.com/gpu",
        id="no GPU",
    ),
    pytest.param(
        pod(phase="Pending", conditions=[("PodScheduled", "False", "Unschedulable", "node(s) had untolerated taint")]),
        "unschedulable",
        "finds no node. .*untolerated taint",
        id="no node",
    ),
    pytest.param(
        pod(
            phase="Failed",
            reason="DeadlineExceeded",
            message="Pod was active on the node longer than the specified deadline",
            container=state(ended=("Error", 137)),
        ),
        "too long",
        "worked for longer than it may. Raise worker_seconds of the pods file.*specified deadline",
        id="a worker at its deadline",
    ),
    pytest.param(
        pod(phase="Failed", container=state(ended=("StartError", 128), message='exec: "python": not found')),
        "not run",
        r"Correct classes\.training\.image of the pods file: `python` must be on its PATH.*StartError.*not found",
        id="no program in the image",
    ),
    pytest.param(
        pod(phase="Failed", reason="UnexpectedAdmissionError", message="Allocate failed: no healthy devices"),
        "refused",
        "refused by its node.*no healthy devices",
        id="GPU gone",
    ),
]


@pytest.mark.parametrize(("lost", "kind", "says"), LOST)
def test_each_way_to_lose_a_pod_is_told_with_what_to_change(lost: Any, kind: str, says: str) -> None:
    failure = failure_of(lost)
    assert failure is not None
    assert failure.kind == kind
    with pytest.raises(ValueError, match=f"(?s)Pod worker-1 .*{says}"):
        raise ValueError(failure.words)


def test_a_pod_that_has_not_ended_long_after_it_should_have_is_on_a_node_that_does_not_answer() -> None:
    failure = failure_of(pod(container=state(running=True), deleted=True, overdue_s=130))
    assert failure is not None
    assert failure.kind == "node lost"


@pytest.mark.parametrize(
    "well",
    [
        pytest.param(pod(container=state(running=True)), id="running"),
        pytest.param(pod(phase="Succeeded", container=state(ended=("Completed", 0))), id="done"),
        pytest.param(pod(container=state(ended=("Completed", 0)), deleted=True), id="done, and taken away"),
        pytest.param(pod(phase="Failed", container=state(ended=("Error", 1))), id="its program's own error"),
        pytest.param(pod(phase="Pending", container=state(waiting=("ContainerCreating", ""))), id="being made"),
    ],
)
def test_nothing_is_said_of_a_pod_that_is_well_or_whose_program_failed(well: Any) -> None:
    assert failure_of(well) is None


def test_a_missing_volume_is_told_from_the_events() -> None:
    waiting = pod(phase="Pending", container=state(waiting=("ContainerCreating", "")))
    failure = failure_of(waiting, [event("FailedMount", "worker-1", 'configmap "datashop-files" not found')])
    assert failure is not None
    assert failure.kind == "volume"
    assert 'configmap "datashop-files" not found' in failure.words


@pytest.mark.parametrize(
    ("reasons", "says"),
    [
        pytest.param(["Killing", "Preempted"], "was preempted", id="preempted, and so killed"),
        pytest.param(["Killing"], "was deleted while it worked", id="deleted"),
    ],
)
def test_a_pod_that_is_gone_is_known_by_the_events_of_its_job(reasons: list[str], says: str) -> None:
    kube = Kube(events=[event(reason, "dagster-run-7-x2x4z", "By serving") for reason in reasons])
    failure = failure_of_gone(kube, "n", ["dagster-run-7"], [])
    assert failure is not None
    assert says in failure.words
    assert failure_of_gone(kube, "n", ["dagster-run-77", "dagster-ru"], []) is None
    assert failure_of_gone(kube, "n", ["dagster-run-7"], [pod("dagster-run-7-x2x4z")]) is None


def test_of_a_run_all_its_pods_are_looked_at() -> None:
    """Its own, which is gone, a step's and a worker's; another run's are not."""
    mine, other = {"dagster/run-id": "7"}, {"dagster/run-id": "8"}
    kube = Kube(
        pods=[
            pod("step", phase="Failed", container=state(ended=("OOMKilled", 137)), labels=mine),
            pod("worker", phase="Failed", reason="Evicted", message="low on resource: memory", labels=mine),
            pod("another", phase="Failed", container=state(ended=("OOMKilled", 137)), labels=other),
        ],
        jobs=[SimpleNamespace(metadata=SimpleNamespace(name="dagster-run-7", labels=mine))],
        events=[event("Preempted", "dagster-run-7-abcde", "by serving")],
    )
    words = lost_pods(kube, kube, "datashop", "7")
    assert [each.split()[1] for each in words] == ["step", "worker", "dagster-run-7-abcde"]


@pytest.mark.parametrize(
    ("reason", "given_up_after"),
    [
        pytest.param("ErrImagePull", 120, id="the registry was away for a moment, or has no such image"),
        pytest.param("ImagePullBackOff", 120, id="the same, between two pulls"),
        pytest.param("InvalidImageName", 0, id="no registry can have it"),
        pytest.param("ErrImageNeverPull", 0, id="may not be pulled"),
    ],
)
def test_a_pull_that_fails_is_waited_for_while_it_may_pass(
    reason: str, given_up_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is counted from the first pull that failed: a large image is pulled for long before that."""
    stuck = pod(phase="Pending", age_s=500, container=state(waiting=(reason, "503")))
    clock = {"now": 0}
    monkeypatch.setattr("resources.pod_failures.time", SimpleNamespace(monotonic=lambda: clock["now"]))
    patience = Patience(start_timeout=600)
    while not patience.is_over(stuck, failure_of(stuck)):
        clock["now"] += 10
    assert clock["now"] == given_up_after
    assert Patience(start_timeout=400).is_over(stuck, failure_of(stuck))
