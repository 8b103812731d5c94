"""Steps in pods of their own: a lost pod is told, and one that cannot start is not waited for."""

from types import SimpleNamespace
from typing import Any

import pytest
from dagster_k8s.container_context import K8sContainerContext
from kubernetes.client import V1Pod

from datashop_assets_tests.resources.kube import Kube, event, pod, state
from resources.step_pods import StepPods

JOB = "dagster-step-1"
UNSCHEDULABLE = ("PodScheduled", "False", "Unschedulable", "0/1 nodes: 1 Insufficient nvidia.com/gpu.")


@pytest.fixture(autouse=True)
def the_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kubernetes.config.load_incluster_config", lambda: None)
    monkeypatch.setattr(StepPods, "_get_k8s_step_job_name", lambda self, context: JOB)
    monkeypatch.setattr(StepPods, "_get_container_context", lambda self, context: K8sContainerContext(namespace="n"))
    monkeypatch.setattr(StepPods, "_get_step_key", lambda self, context: "scores")


def health(kube: Kube) -> Any:
    steps = StepPods(
        start_timeout=30,
        image=None,
        container_context=K8sContainerContext(),
        load_incluster_config=True,
        kubeconfig_file=None,
        k8s_client_batch_api=kube,
        k8s_client_core_api=kube,
    )
    return steps.check_step_health(SimpleNamespace())  # type: ignore[arg-type]


def of_job(**now: Any) -> V1Pod:
    """A pod of now: its age counts from here, so it is made in the test and not where tests are collected."""
    return pod(name=f"{JOB}-x", labels={"job-name": JOB}, **now)


@pytest.mark.parametrize(
    "well",
    [
        pytest.param({"container": state(running=True)}, id="running"),
        pytest.param({"phase": "Pending", "conditions": [UNSCHEDULABLE]}, id="waiting for a GPU, not for long yet"),
        pytest.param({"phase": "Pending", "container": state(waiting=("ContainerCreating", ""))}, id="being made"),
        pytest.param({"phase": "Pending", "container": state(waiting=("ErrImagePull", "503"))}, id="pulled again"),
        pytest.param(
            {
                "conditions": [("DisruptionTarget", "True", "PreemptionByScheduler", "")],
                "container": state(running=True),
            },
            id="told to end: it says so itself",
        ),
    ],
)
def test_a_step_whose_pod_works_or_may_yet_start_is_left_alone(well: dict[str, Any]) -> None:
    kube = Kube(pods=[of_job(**well)])
    assert health(kube).is_healthy
    assert not kube.deleted


@pytest.mark.parametrize(
    ("stuck", "says"),
    [
        pytest.param(
            {"phase": "Pending", "age_s": 60, "conditions": [UNSCHEDULABLE]}, "finds no node with 1", id="no GPU"
        ),
        pytest.param(
            {"phase": "Pending", "container": state(waiting=("InvalidImageName", "x y"))}, "no image", id="image"
        ),
    ],
)
def test_a_step_whose_pod_cannot_start_fails_and_the_pod_never_starts_later(stuck: dict[str, Any], says: str) -> None:
    kube = Kube(pods=[of_job(**stuck)])
    found = health(kube)
    assert not found.is_healthy
    assert says in found.unhealthy_reason
    assert JOB in kube.deleted


@pytest.mark.parametrize(
    ("kube", "says"),
    [
        pytest.param(
            Kube(pods=[of_job(phase="Failed", container=state(ended=("OOMKilled", 137)))]), "limit of 48Gi", id="memory"
        ),
        pytest.param(Kube(events=[event("Preempted", f"{JOB}-x", "by serving")]), "was preempted", id="preempted"),
        pytest.param(
            Kube(pods=[of_job(phase="Failed", container=state(ended=("Error", 1)))]),
            "Discovered failed Kubernetes job dagster-step-1",
            id="its program's own error: Dagster's words",
        ),
    ],
)
def test_a_step_whose_pod_was_lost_says_what_to_change(kube: Kube, says: str) -> None:
    kube.failed.add(JOB)
    found = health(kube)
    assert not found.is_healthy
    assert says in found.unhealthy_reason
    assert not kube.deleted
