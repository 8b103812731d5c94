"""The run launcher of a cluster: what a run's pod is, and what Dagster says of a run whose pod was lost."""

import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.storage.dagster_run import DagsterRunStatus
from dagster._core.test_utils import create_run_for_test, instance_for_test
from dagster._daemon.monitoring.run_monitoring import monitor_started_run, monitor_starting_run
from dagster_k8s.client import DagsterKubernetesClient

from datashop_assets.automation.lost_pods import lost_pods_sensor, unbegun_runs_sensor
from datashop_assets_tests.resources.kube import Kube, event, pod, state
from resources.pod_settings import load_pods
from resources.pods import CONFIG_TAG, POD_TAG, k8s_config
from resources.run_launcher import PodRunLauncher

SIZES = {"images": {"worker": "w:1"}, "classes": {"launcher": {"memory": "3Gi"}}}


@pytest.fixture
def kube(monkeypatch: pytest.MonkeyPatch) -> Kube:
    kube = Kube()
    made = DagsterKubernetesClient(kube, kube, lambda text: None, lambda seconds: None, lambda: 0.0)
    monkeypatch.setattr("dagster_k8s.launcher.load_kubernetes_config", lambda **settings: None)
    monkeypatch.setattr(DagsterKubernetesClient, "production_client", staticmethod(lambda **overrides: made))
    return kube


@pytest.fixture
def instance(kube: Kube, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance whose settings name the launcher, as a cluster's do."""
    file = tmp_path / "pods.yaml"
    file.write_text(yaml.safe_dump(SIZES))
    config = {
        "pods_file": str(file),
        "service_account_name": "datashop-work",
        "instance_config_map": "dagster-instance",
        "dagster_home": "/opt/dagster/dagster_home",
        "job_image": "code:1",
        "job_namespace": "datashop",
    }
    launcher = {"module": "resources.run_launcher", "class": "PodRunLauncher", "config": config}
    overrides = {"run_launcher": launcher, "run_monitoring": {"enabled": True, "start_timeout_seconds": 1}}
    with instance_for_test(overrides=overrides) as made:
        yield made


def launcher_of(instance: dg.DagsterInstance) -> PodRunLauncher:
    launcher = instance.run_launcher
    assert isinstance(launcher, PodRunLauncher)
    return launcher


def container(launcher: PodRunLauncher, run: dg.DagsterRun) -> Any:
    return launcher.get_container_context_for_run(run).run_k8s_config


def test_a_run_without_a_job_has_a_pod_that_may_start_its_steps(instance: dg.DagsterInstance) -> None:
    config = container(launcher_of(instance), create_run_for_test(instance))
    assert config.container_config["resources"]["limits"]["memory"] == "3Gi"
    assert config.pod_spec_config["service_account_name"] == "datashop-launcher"
    assert config.pod_spec_config["automount_service_account_token"]


def test_a_run_of_a_job_has_the_pod_that_its_tag_says(instance: dg.DagsterInstance) -> None:
    launcher = launcher_of(instance)
    tags = {CONFIG_TAG: json.dumps(k8s_config(launcher.pods, "encoder"))}
    config = container(launcher, create_run_for_test(instance, tags=tags))
    assert config.container_config["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert config.pod_spec_config["service_account_name"] == "datashop-work"
    assert not config.pod_spec_config["automount_service_account_token"]
    assert [volume["name"] for volume in config.pod_spec_config["volumes"]] == ["home", "files", "tmp"]


def test_what_a_person_asks_for_is_added_to_the_pod_of_the_runs_job(instance: dg.DagsterInstance) -> None:
    memory = {"container_config": {"resources": {"limits": {"memory": "300Mi"}, "requests": {"memory": "300Mi"}}}}
    launcher = launcher_of(instance)
    tags = {POD_TAG: "encoder", CONFIG_TAG: json.dumps(memory)}
    config = container(launcher, create_run_for_test(instance, tags=tags))
    limits = config.container_config["resources"]["limits"]
    assert (limits["memory"], limits["nvidia.com/gpu"]) == ("300Mi", "1")
    assert [mount["name"] for mount in config.container_config["volume_mounts"]] == ["home", "files", "tmp"]
    assert config.container_config["security_context"]["read_only_root_filesystem"]
    assert not config.pod_spec_config["automount_service_account_token"]
    of_no_job = container(launcher, create_run_for_test(instance, tags={CONFIG_TAG: json.dumps(memory)}))
    assert of_no_job.container_config["resources"]["limits"]["memory"] == "300Mi"
    assert of_no_job.pod_spec_config["automount_service_account_token"]


def lost(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """What the run's failure says, once run monitoring has looked at it."""
    record = instance.get_run_record_by_id(run.run_id)
    assert record is not None
    if record.dagster_run.status == DagsterRunStatus.STARTED:
        monitor_started_run(instance, None, record, logging.getLogger("test"))  # type: ignore[arg-type]
    else:
        monitor_starting_run(instance, record, logging.getLogger("test"))
    ended = instance.get_run_by_id(run.run_id)
    assert ended is not None
    assert ended.status == DagsterRunStatus.FAILURE
    (failure,) = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    assert failure.dagster_event is not None
    return str(failure.dagster_event.message)


def test_a_run_whose_pod_was_out_of_memory_says_so(
    instance: dg.DagsterInstance, kube: Kube, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = create_run_for_test(instance, status=DagsterRunStatus.STARTED)
    labels = {"dagster/run-id": run.run_id, "job-name": f"dagster-run-{run.run_id}", "datashop/class": "cpu"}
    kube.pods.append(pod(phase="Failed", container=state(ended=("OOMKilled", 137)), labels=labels))
    gone = CheckRunHealthResult(WorkerStatus.FAILED, "K8s job failed")
    monkeypatch.setattr(PodRunLauncher, "check_run_worker_health", lambda self, run: gone)
    says = lost(instance, run)
    assert "ran out of memory: it reached its limit of 48Gi. Raise classes.cpu.memory of the pods file" in says
    assert "kubectl describe pod" in says


def test_a_run_whose_pod_never_starts_says_why(instance: dg.DagsterInstance, kube: Kube) -> None:
    run = create_run_for_test(instance, status=DagsterRunStatus.NOT_STARTED)
    labels = {"dagster/run-id": run.run_id, "job-name": f"dagster-run-{run.run_id}", "datashop/class": "encoder"}
    unscheduled = ("PodScheduled", "False", "Unschedulable", "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.")
    kube.pods.append(pod(phase="Pending", conditions=[unscheduled], labels=labels))
    time.sleep(1.1)  # the start timeout of this instance
    says = lost(instance, run)
    assert "taking longer than 1 seconds to start" in says
    assert "finds no node with 1 free GPU(s)" in says
    assert "classes.encoder.gpus of the pods file" in says


def look_at_those_that_start(instance: dg.DagsterInstance) -> None:
    with dg.build_sensor_context(instance) as context:
        unbegun_runs_sensor()(context)


def test_a_run_whose_pod_failed_before_it_began_fails_at_once(instance: dg.DagsterInstance, kube: Kube) -> None:
    """Dagster looks at such a run when the start timeout is over, and the run keeps its place in a pool until then."""
    run, other = (create_run_for_test(instance, status=DagsterRunStatus.STARTING) for _ in range(2))
    labels = {"dagster/run-id": run.run_id, "job-name": f"dagster-run-{run.run_id}", "datashop/class": "encoder"}
    kube.pods.append(pod(phase="Failed", container=state(ended=("OOMKilled", 137)), labels=labels))
    kube.failed.add(f"dagster-run-{run.run_id}")
    look_at_those_that_start(instance)
    statuses = {each.run_id: each.status for each in instance.get_runs()}
    assert statuses == {run.run_id: DagsterRunStatus.FAILURE, other.run_id: DagsterRunStatus.STARTING}
    (failure,) = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    assert failure.dagster_event is not None
    says = str(failure.dagster_event.message)
    assert says.startswith("Its pod ended before the run had begun.\n")
    assert "ran out of memory: it reached its limit of 48Gi. Raise classes.encoder.memory of the pods file" in says


def test_a_run_that_began_between_two_looks_is_left_alone(
    instance: dg.DagsterInstance, kube: Kube, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = create_run_for_test(instance, status=DagsterRunStatus.STARTING)
    kube.failed.add(f"dagster-run-{run.run_id}")

    def begins(launcher: PodRunLauncher, run: dg.DagsterRun) -> str:
        instance.report_dagster_event(dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, run.job_name), run.run_id)
        return "Its pod ended"

    monkeypatch.setattr(PodRunLauncher, "why_not_begun", begins)
    look_at_those_that_start(instance)
    assert [each.status for each in instance.get_runs()] == [DagsterRunStatus.STARTED]


def test_a_run_that_was_told_to_end_hears_why_in_its_own_log(instance: dg.DagsterInstance, kube: Kube) -> None:
    """A preempted pod's run fails by itself, with no word of why; its pod is gone by then."""
    run = create_run_for_test(instance, job_name="x", status=DagsterRunStatus.STARTED)
    job = SimpleNamespace(
        metadata=SimpleNamespace(name=f"dagster-run-{run.run_id}", labels={"dagster/run-id": run.run_id})
    )
    kube.jobs.append(job)
    kube.events.append(event("Preempted", f"dagster-run-{run.run_id}-abcde", "Preempted by serving on node a"))
    instance.report_run_failed(run, "Execution was interrupted unexpectedly")
    (failure,) = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    reloaded = instance.get_run_by_id(run.run_id)
    assert reloaded is not None
    with dg.build_run_status_sensor_context(
        "lost_pods", failure.dagster_event, instance, reloaded
    ).for_run_failure() as context:
        lost_pods_sensor()(context)
    events = [log.message for log in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)]
    assert any("was preempted" in message and "by serving on node a" in message for message in events)


def test_the_launcher_takes_what_dagsters_takes_and_a_pods_file(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    launcher = launcher_of(instance)
    assert launcher.job_image == "code:1"
    assert launcher.pods == load_pods(tmp_path / "pods.yaml")
