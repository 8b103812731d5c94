"""Workers in pods: what is asked of Kubernetes, what comes back, and what is said where a pod is lost."""

import copy
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster_k8s import PipesK8sClient
from dagster_k8s.client import DagsterKubernetesClient
from dagster_pipes import PipesDefaultMessageWriter, decode_param
from kubernetes.client import ApiException, V1Pod

from datashop_assets.workers.report import write_report
from datashop_assets_tests.resources.kube import Kube, event, pod, state
from resources.pod_failures import RUN_LABEL
from resources.pod_launcher import PodLauncher
from resources.pod_settings import HomeVolume, PodSettings

PODS = PodSettings.model_validate({"images": {"worker": "w:1"}, "poll_seconds": 0.01, "start_timeout_seconds": 30})
RESULT = {"tokens": 7, "losses": [[step, 2.5] for step in range(2000)]}
Use = Callable[[Kube], Kube]
Launch = Callable[..., Mapping[str, Any]]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    """In place of the cluster's API."""

    def install(kube: Kube) -> Kube:
        made = DagsterKubernetesClient(kube, kube, lambda text: None, lambda seconds: None, lambda: 0.0)
        monkeypatch.setattr(PipesK8sClient, "_load_k8s_config", lambda self: None)
        monkeypatch.setattr(DagsterKubernetesClient, "production_client", staticmethod(lambda: made))
        return kube

    return install


def becomes(**now: Any) -> Callable[[V1Pod], V1Pod]:
    """What Kubernetes makes of the pod that it is asked for."""

    def born(body: V1Pod) -> V1Pod:
        made = pod(name=body.metadata.name, labels=body.metadata.labels, **now)
        made.spec = copy.copy(body.spec)
        return made

    return born


def said(*messages: tuple[str, Mapping[str, Any]], text: str = "") -> Callable[[V1Pod], str]:
    """The log of a worker that writes these Pipes messages to stderr, and the text."""
    lines = [
        json.dumps({"__dagster_pipes_version": "0.1", "method": method, "params": params})
        for method, params in messages
    ]
    return lambda _: "\n".join([*lines, text]) + "\n"


def extras_of(asked: V1Pod) -> dict[str, Any]:
    """What the worker in the pod is given."""
    environment = {entry.name: entry.value for entry in asked.spec.containers[0].env}
    extras: dict[str, Any] = decode_param(environment["DAGSTER_PIPES_CONTEXT"])["data"]["extras"]
    return extras


def reports(seen: V1Pod) -> str:
    """The log of a worker that did its work."""
    sent = write_report(RESULT, extras_of(seen))
    return said(("opened", {"extras": {}}), ("report_custom_message", {"payload": sent}), ("closed", {}))(seen)


DONE = becomes(phase="Succeeded", container=state(ended=("Completed", 0)))


@pytest.fixture
def launch(tmp_path: Path) -> Launch:
    """Runs a worker inside an asset, as every stage does, with the home in a folder of the test."""
    pods = PODS.model_copy(update={"home": HomeVolume(path=str(tmp_path))})
    return partial(run_worker, pods)


def run_worker(pods: PodSettings, **extras: Any) -> Mapping[str, Any]:
    reported: dict[str, Any] = {}

    @dg.asset
    def throwaway(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        reported.update(PodLauncher(pods).run("anneal", extras, context))
        return dg.MaterializeResult()

    made = dg.materialize([throwaway], instance=dg.DagsterInstance.ephemeral(), raise_on_error=False)
    if not made.success:
        failure = made.failure_data_for_node("throwaway")
        assert failure is not None
        assert failure.user_failure_data is not None
        raise dg.Failure(failure.user_failure_data.description)
    return reported


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resources.pod_launcher.RETRY_SECONDS", 0.0)
    monkeypatch.setattr("resources.pod_failures.PULL_SECONDS", 0.05)


def test_a_worker_gets_its_extras_and_its_report_comes_back(use: Use, launch: Launch) -> None:
    kube = use(Kube(born=DONE, log=reports))
    assert launch(output="/home/model", threads=3) == RESULT
    (asked,) = kube.created
    worker = asked.spec.containers[0]
    assert (worker.image, worker.command) == ("w:1", ["python", "-m", "datashop_assets.workers.anneal"])
    assert worker.resources.limits["nvidia.com/gpu"] == "1"
    assert asked.spec.active_deadline_seconds == 86_400  # one that a killed run left gives its GPU back
    extras = extras_of(asked)
    report = Path(extras.pop("report"))
    assert extras == {"output": "/home/model", "threads": 3}
    assert not report.exists()
    environment = {entry.name: entry.value for entry in worker.env}
    writer = decode_param(environment["DAGSTER_PIPES_MESSAGES"])
    assert writer == {PipesDefaultMessageWriter.STDIO_KEY: PipesDefaultMessageWriter.STDERR}
    assert kube.deleted == [asked.metadata.name]
    assert not kube.pods


def test_no_value_of_a_secret_is_in_what_is_asked_for(
    use: Use, launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden-1")
    kube = use(Kube(born=DONE, log=reports))
    launch(output="o")
    assert "hidden-1" not in repr(kube.created)
    assert "AWS_SECRET_ACCESS_KEY" not in repr(kube.created)


def test_one_worker_for_one_piece_of_work(use: Use, launch: Launch) -> None:
    """What a killed run left is ended first, and what does other work into the same folder is left alone: all
    evaluations leave their results in one."""
    kube = use(Kube(born=DONE, log=reports))
    launch(output="results", models={"control": "/c", "a": "/a"})
    launch(output="results", models={"control": "/c", "b": "/b"})
    of_a, of_b = (asked.metadata.labels for asked in kube.created)
    assert extras_of(kube.created[0])["report"] != extras_of(kube.created[1])["report"]
    left, other = (
        pod("left", labels=of_a | {RUN_LABEL: "killed"}),
        pod("other", container=state(running=True), labels=of_b),
    )
    kube = use(Kube(born=DONE, log=reports, pods=[left, other]))
    launch(output="results", models={"a": "/a", "control": "/c"})
    assert kube.deleted[0] == "left"
    assert [each.metadata.name for each in kube.pods] == ["other"]


def test_what_a_newer_attempt_put_in_its_place_is_left_alone(use: Use, launch: Launch) -> None:
    def life(seen: V1Pod, looks: int) -> V1Pod:
        if looks == 4 and seen.metadata.labels[RUN_LABEL] != "newer":
            return pod("newer", labels=seen.metadata.labels | {RUN_LABEL: "newer"}, container=state(running=True))
        return seen

    kube = use(Kube(born=becomes(container=state(running=True)), life=life))
    with pytest.raises(dg.Failure, match="lost its pod"):
        launch(output="o")
    assert len(kube.created) == 1  # trying again would end the newer one, and so on in turn
    assert [each.metadata.name for each in kube.pods] == ["newer"]


def gone_after(looks: int) -> Callable[[V1Pod, int], V1Pod | None]:
    return lambda seen, at: seen if at < looks else None


LOST = [
    pytest.param(
        Kube(
            born=becomes(phase="Failed", container=state(ended=("OOMKilled", 137))),
            log=said(text="step 40/100: loss 2.1"),
        ),
        r"lost its pod \(out of memory\).*limit of 64Gi. Raise classes\.training\.memory.*last checkpoint.*step 40/100",
        id="out of memory",
    ),
    pytest.param(
        Kube(
            born=becomes(
                phase="Failed",
                reason="Evicted",
                message="Usage of EmptyDir volume exceeds the limit",
                container=state(ended=("Error", 137)),
            )
        ),
        r"lost its pod \(evicted\).*classes\.training\.ephemeral_storage.*EmptyDir",
        id="evicted",
    ),
    pytest.param(
        Kube(born=becomes(phase="Failed", reason="Evicted", message="The node was low on resource: memory.")),
        r"lost its pod \(evicted\).*low on resource: memory",
        id="evicted before it started",
    ),
    pytest.param(
        Kube(
            born=becomes(container=state(running=True)),
            life=lambda seen, looks: (
                becomes(phase="Failed", reason="Evicted", message="Usage of EmptyDir volume exceeds")(seen)
                if looks > 5
                else seen
            ),
        ),
        r"lost its pod \(evicted\).*ephemeral_storage",
        id="evicted at work, which leaves no state of the container",
    ),
    pytest.param(
        Kube(born=becomes(phase="Pending", container=state(waiting=("ErrImagePull", "manifest unknown")))),
        r"could not start. Pod .* has no image: w:1 cannot be had.*manifest unknown",
        id="image pull",
    ),
    pytest.param(
        Kube(
            born=becomes(
                phase="Pending",
                age_s=60,
                conditions=[("PodScheduled", "False", "Unschedulable", "0/1 nodes: 1 Insufficient nvidia.com/gpu.")],
            )
        ),
        r"could not start.*finds no node with 1 free GPU\(s\)",
        id="no GPU in time",
    ),
    pytest.param(
        Kube(born=becomes(phase="Pending", age_s=60)), "could not start.*has not started after 30 s", id="in time not"
    ),
    pytest.param(
        Kube(born=becomes(container=state(running=True)), life=gone_after(5)),
        r"lost its pod \(deleted\).*was deleted while it worked.*last checkpoint",
        id="deleted",
    ),
    pytest.param(
        Kube(
            born=becomes(phase="Failed", container=state(ended=("Error", 3))), log=said(text="no such file x.parquet")
        ),
        "failed with exit code 3.*no such file x.parquet",
        id="its own error",
    ),
    pytest.param(Kube(born=DONE, log=said(text="bye")), "without reporting a result.*bye", id="silent"),
    pytest.param(
        Kube(refuses=ApiException(status=403, reason="Forbidden")),
        "refused what was asked of it .403 Forbidden.*datashop-launcher",
        id="refused",
    ),
]


def test_a_worker_whose_node_does_not_answer_is_not_waited_for(use: Use, launch: Launch) -> None:
    """Neither by the attempt that it worked for, nor by the next one, which must not work beside it."""

    def life(seen: V1Pod, looks: int) -> V1Pod:
        return becomes(container=state(running=True), deleted=True, overdue_s=130)(seen) if looks > 4 else seen

    kube = use(Kube(born=becomes(container=state(running=True)), life=life))
    says = r"what worked here before is not gone. Pod .* was told to end and has not.*kubectl delete pod \S+ --force"
    with pytest.raises(dg.Failure, match=says):
        launch(output="o")
    assert len(kube.created) == 1


PASSES = [
    pytest.param(becomes(phase="Failed", reason="Evicted", message="low on memory"), 3, id="evicted"),
    pytest.param(becomes(phase="Failed", container=state(ended=("Error", 137))), 3, id="killed from outside"),
    pytest.param(becomes(phase="Failed", container=state(ended=("OOMKilled", 137))), 1, id="at its own memory limit"),
    pytest.param(becomes(phase="Failed", container=state(ended=("Error", 3))), 1, id="its program's own error"),
    pytest.param(becomes(phase="Pending", container=state(waiting=("InvalidImageName", "x"))), 1, id="no image"),
]


@pytest.mark.parametrize(("born", "attempts"), PASSES)
def test_a_worker_whose_loss_says_nothing_of_its_work_is_tried_again(
    use: Use, launch: Launch, born: Callable[[V1Pod], V1Pod], attempts: int
) -> None:
    kube = use(Kube(born=born))
    with pytest.raises(dg.Failure):
        launch(output="o")
    assert len(kube.created) == attempts


def test_the_next_attempt_at_a_lost_worker_brings_its_result(use: Use, launch: Launch) -> None:
    kube = use(Kube(log=reports))
    lost = becomes(phase="Failed", reason="Evicted", message="low on memory")
    kube.born = lambda body: lost(body) if len(kube.created) == 1 else DONE(body)
    assert launch(output="o") == RESULT
    assert len(kube.created) == 2


@pytest.mark.parametrize(("kube", "says"), LOST)
def test_a_worker_that_is_lost_or_fails_is_told_with_what_to_change(
    use: Use, launch: Launch, kube: Kube, says: str
) -> None:
    use(kube)
    with pytest.raises(dg.Failure, match=f"(?s)worker anneal.*{says}"):
        launch(output="o")
    assert not kube.pods


def test_a_preempted_worker_is_told_from_the_event(use: Use, launch: Launch) -> None:
    kube = Kube(life=gone_after(5))

    def born(body: V1Pod) -> V1Pod:
        kube.events.append(event("Preempted", body.metadata.name, "Preempted by serving on node a"))
        return becomes(container=state(running=True))(body)

    kube.born = born
    use(kube)
    with pytest.raises(dg.Failure, match=r"(?s)lost its pod \(preempted\).*priority_class.*by serving on node a"):
        launch(output="o")


def test_a_pod_that_waits_for_a_gpu_is_waited_for(use: Use, launch: Launch) -> None:
    waiting = ("PodScheduled", "False", "Unschedulable", "0/1 nodes: 1 Insufficient nvidia.com/gpu.")

    def life(seen: V1Pod, looks: int) -> V1Pod:
        return DONE(seen) if looks > 6 else seen

    kube = use(Kube(born=becomes(phase="Pending", conditions=[waiting]), life=life, log=reports))
    assert launch(output="o") == RESULT
    assert kube.looks > 6
