"""What deploy/ gives to a cluster is what Kubernetes knows, and grants no more than it says."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from resources.pod_settings import load_pods
from resources.profiles import REPOSITORY

DEPLOY = REPOSITORY / "deploy"
VERSIONS = ("1.30", "1.33", "1.36")
MANIFESTS = sorted((DEPLOY / "manifests").glob("*.yaml"))
CHART = os.environ.get("DAGSTER_CHART")
HELM = shutil.which("helm", path=f"{Path.home()}/.cache/datashop-cluster/bin:{os.environ['PATH']}")
SIZES = ("values-one-gpu-node", "values-many")


def documents(text: str) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(text) if each]


def rendered(*arguments: str) -> list[dict[str, Any]]:
    """What helm makes of a chart, as a cluster of today would get it; skips the test without helm."""
    if HELM is None:
        pytest.skip("no helm on the path nor in ~/.cache/datashop-cluster/bin")
    command = [
        HELM,
        "template",
        *arguments,
        "--namespace=datashop",
        "--skip-schema-validation",
        "--kube-version=1.33.0",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return documents(done.stdout)


def dagster(size: str) -> list[dict[str, Any]]:
    """The official chart with our values; skips the test without it."""
    if CHART is None:
        pytest.skip("DAGSTER_CHART names no folder with the official dagster chart")
    values = [f"--values={DEPLOY / 'helm' / name}.yaml" for name in ("values", size)]
    return rendered("dagster", CHART, *values)


def code() -> list[dict[str, Any]]:
    if CHART is None:
        pytest.skip("DAGSTER_CHART names no folder with the official dagster chart")
    chart = f"{CHART}/charts/dagster-user-deployments"
    return rendered("datashop-code", chart, f"--values={DEPLOY / 'helm' / 'values-code.yaml'}")


def vllm(*arguments: str) -> list[dict[str, Any]]:
    return rendered("vllm", str(DEPLOY / "vllm"), *arguments)


def valid(resources: list[dict[str, Any]], version: str) -> None:
    for each in resources:
        kubernetes_validate.validate(each, version, strict=True)


def containers(resources: list[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each container beside the spec of its pod."""
    specs = [each["spec"]["template"]["spec"] for each in resources if each["kind"] == "Deployment"]
    return [(spec, container) for spec in specs for container in spec["containers"]]


def assert_restricted(resources: list[dict[str, Any]]) -> None:
    """What Pod Security's level "restricted" asks, and a read-only root file system."""
    found = containers(resources)
    assert found
    for pod, container in found:
        assert not pod.get("hostNetwork")
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["resources"]["limits"]["memory"], "else one that leaks takes the node"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("file", MANIFESTS, ids=lambda file: file.stem)
def test_every_manifest_is_known_to_kubernetes(file: Path, version: str) -> None:
    valid(documents(file.read_text()), version)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_vllm_chart_is_known_to_kubernetes(version: str) -> None:
    made = vllm("--set=autoscaling.enabled=true")
    assert {each["kind"] for each in made} == {
        "Deployment",
        "Service",
        "PodDisruptionBudget",
        "HorizontalPodAutoscaler",
    }
    valid(made, version)


@pytest.mark.parametrize("size", SIZES)
def test_the_official_chart_takes_our_values(size: str) -> None:
    made = dagster(size)
    valid([each for each in made if each["kind"] != "ConfigMap"], VERSIONS[-1])
    assert_restricted(made)


def test_the_instance_that_the_chart_writes_is_one_that_dagster_takes(tmp_path: Path) -> None:
    from dagster._core.instance.config import dagster_instance_config

    (settings,) = [each for each in dagster(SIZES[0]) if each["metadata"]["name"] == "dagster-instance"]
    (tmp_path / "dagster.yaml").write_text(settings["data"]["dagster.yaml"])
    config, _ = dagster_instance_config(str(tmp_path))
    assert config["concurrency"]["pools"]["granularity"] == "run"
    assert config["run_launcher"]["class"] == "PodRunLauncher"
    assert config["run_storage"]["config"]["postgres_db"]["password"] == {"env": "DAGSTER_PG_PASSWORD"}


def test_the_code_location_is_restricted_and_hands_nothing_on_to_runs() -> None:
    made = code()
    assert_restricted(made)
    ((pod, container),) = containers(made)
    assert pod["serviceAccountName"] == "datashop-code"
    assert "CONTAINER_CONTEXT" not in str([each["name"] for each in container["env"]])


def test_vllm_is_ready_when_its_model_is_loaded_and_goes_when_its_answers_are_out() -> None:
    made = vllm()
    assert_restricted(made)
    ((pod, container),) = containers(made)
    startup = container["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] == 1800
    assert pod["terminationGracePeriodSeconds"] > 120 + 20, "a rater's timeout, and the time of preStop"
    assert pod["automountServiceAccountToken"] is False
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    (answering,) = [int(each.split("=")[1]) for each in container["args"] if each.startswith("--shutdown-timeout=")]
    drained = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert 120 < answering < pod["terminationGracePeriodSeconds"] - drained, "else answers are ended half written"
    assert "--load-format=safetensors" in container["args"]


@pytest.mark.parametrize("size", ["one-gpu-node", "many"])
def test_pods_that_rate_have_the_key_of_vllm_and_images_are_those_that_are_built(size: str) -> None:
    pods = load_pods(DEPLOY / f"pods-{size}.yaml")
    served = yaml.safe_load((DEPLOY / "vllm" / "values.yaml").read_text())
    assert served["apiKey"]["secret"] in pods.classes.rater.secrets
    values = yaml.safe_load((DEPLOY / "helm" / "values.yaml").read_text())
    orchestrator = values["dagsterWebserver"]["image"]
    assert pods.images.worker == f"{orchestrator['repository']}-worker:{orchestrator['tag']}"
    assert pods.images.run == pods.images.worker, "the orchestrator's image has no libraries that train"
    assert pods.retries == values["dagsterDaemon"]["runRetries"]["maxRetries"], "the runs of assets' pages"


def test_work_takes_no_place_from_what_serves_people_and_may_be_given_new_nodes() -> None:
    """Dagster's chart gives webserver, daemon and code location no class, which is 0. The autoscaler's
    `expendable-pods-priority-cutoff` is -10."""
    classes = documents((DEPLOY / "manifests/priority-classes.yaml").read_text())
    values = {each["metadata"]["name"].removeprefix("datashop-"): each["value"] for each in classes}
    assert 0 > values["serving"] > values["launcher"] > values["work"] >= -10
    assert not any(each.get("globalDefault") for each in classes)


def test_no_secret_is_written_down() -> None:
    for file in [*MANIFESTS, *(DEPLOY / "helm").glob("*.yaml"), *(DEPLOY / "vllm").rglob("*.yaml")]:
        if file.parent.name != "templates":
            assert "Secret" not in {each.get("kind") for each in documents(file.read_text())}, file


def test_only_accounts_that_start_pods_may_and_no_role_has_wildcards() -> None:
    accounts = documents((DEPLOY / "manifests" / "accounts.yaml").read_text())
    roles = {each["metadata"]["name"]: each["rules"] for each in accounts if each["kind"] == "Role"}
    bound = {
        subject["name"]: each["roleRef"]["name"]
        for each in accounts
        if each["kind"] == "RoleBinding"
        for subject in each["subjects"]
    }
    assert "datashop-work" not in bound, "a run's own pod may do nothing in the cluster"
    may_create = {account for account, role in bound.items() if "create" in str(roles[role])}
    assert may_create == {"datashop-launcher"}
    assert "*" not in str(roles)
    assert "secrets" not in str(roles)
