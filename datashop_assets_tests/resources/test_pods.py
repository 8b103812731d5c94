"""Pods: what is generated is what Kubernetes takes, at the security that a namespace may ask for, with the GPU where
the work is."""

from pathlib import Path
from typing import Any, get_args

import kubernetes
import kubernetes_validate
import pytest
import yaml
from dagster_k8s.job import DagsterK8sJobConfig, UserDefinedDagsterK8sConfig, construct_dagster_k8s_job
from dagster_k8s.pipes import build_pod_body

from resources.pod_settings import PodsError, PodSettings, Size, Work, load_pods
from resources.pods import k8s_config, worker_pod
from resources.profiles import REPOSITORY

SHIPPED = sorted((REPOSITORY / "deploy").glob("pods-*.yaml"))
VERSIONS = ("1.30", "1.33", "1.36")
CLASSES: tuple[Work, ...] = get_args(Work)
W = "images: {worker: w}\n"
SMALL = PodSettings.model_validate({"images": {"worker": "w:1"}})


def rendered(config: dict[str, Any]) -> dict[str, Any]:
    """The Job that dagster-k8s makes of a run's tag."""
    job = construct_dagster_k8s_job(
        DagsterK8sJobConfig(job_image="code:1", dagster_home="/opt/dagster/dagster_home", instance_config_map="i"),
        args=["dagster", "api", "execute_run"],
        job_name="dagster-run-1",
        user_defined_k8s_config=UserDefinedDagsterK8sConfig.from_dict(config),
        labels={"dagster/run-id": "1"},
    )
    content: dict[str, Any] = kubernetes.client.ApiClient().sanitize_for_serialization(job)
    return content


def rendered_worker(pods: PodSettings) -> dict[str, Any]:
    """The pod that PipesK8sClient makes."""
    metadata, spec = worker_pod(pods, {"datashop/worker": "x"})
    body = build_pod_body("w", None, ["python", "-m", "x"], {"DAGSTER_PIPES_CONTEXT": "c"}, metadata, spec)
    content: dict[str, Any] = kubernetes.client.ApiClient().sanitize_for_serialization(body)
    return {"apiVersion": "v1", "kind": "Pod"} | content


def every_pod(file: Path) -> dict[str, dict[str, Any]]:
    pods = load_pods(file)
    jobs = {
        f"{work}{' that launches' if launches else ''}": rendered(k8s_config(pods, work, launches=launches))
        for work in CLASSES
        for launches in (False, True)
    }
    return jobs | {"worker": rendered_worker(pods)}


def spec_of(resource: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = resource["spec"]["template"]["spec"] if resource["kind"] == "Job" else resource["spec"]
    return spec


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_every_generated_pod_is_valid(file: Path, version: str) -> None:
    for resource in every_pod(file).values():
        kubernetes_validate.validate(resource, version, strict=True)


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_every_generated_pod_keeps_to_pod_security_restricted(file: Path) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted, and a read-only root besides."""
    allowed = {"configMap", "emptyDir", "persistentVolumeClaim"}
    for name, resource in every_pod(file).items():
        spec = spec_of(resource)
        assert spec["securityContext"]["runAsNonRoot"], name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys(), name
        for container in spec["containers"]:
            security = container["securityContext"]
            assert not security["allowPrivilegeEscalation"], name
            assert not security["privileged"], name
            assert security["capabilities"] == {"drop": ["ALL"]}, name
            assert security["readOnlyRootFilesystem"], name
            writable = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
            assert writable == {"/tmp", "/var/lib/datashop"}, name
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            assert mounted == {volume["name"] for volume in spec["volumes"]}, name
        for volume in spec["volumes"]:
            assert len(volume.keys() & allowed) == 1, name


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_only_a_pod_that_launches_others_has_a_token(file: Path) -> None:
    for name, resource in every_pod(file).items():
        spec = spec_of(resource)
        launches = name.endswith("that launches")
        assert spec["automountServiceAccountToken"] is launches, name
        assert spec["serviceAccountName"] == ("datashop-launcher" if launches else "datashop-work"), name


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_gpus_and_the_nodes_that_have_them_are_for_encoders_and_workers(file: Path) -> None:
    for name, resource in every_pod(file).items():
        spec = spec_of(resource)
        limits = spec["containers"][0]["resources"]["limits"]
        on_gpu = name.split()[0] in ("encoder", "training", "worker")
        assert limits.get("nvidia.com/gpu") == ("1" if on_gpu else None), name
        tolerated = {toleration["key"] for toleration in spec["tolerations"]}
        assert ("nvidia.com/gpu" in tolerated) is on_gpu, name
        requests = spec["containers"][0]["resources"]["requests"]
        assert limits.items() <= requests.items(), name
        assert requests.keys() - limits.keys() == {"cpu"}, name


def test_a_pod_says_what_its_class_says() -> None:
    size = {
        "cpu": "1500m",
        "cpu_limit": "4",
        "memory": "3Gi",
        "gpus": 2,
        "node_selector": {"pool": "big"},
        "tolerations": [{"key": "pool", "operator": "Equal", "value": "big", "effect": "NoSchedule"}],
        "priority_class": "high",
        "image": "special:1",
        "secrets": ["more"],
    }
    settings = {"images": {"worker": "w:1", "pull_secrets": ["registry"]}, "classes": {"encoder": size}}
    pods = PodSettings.model_validate(settings)
    spec = spec_of(rendered(k8s_config(pods, "encoder")))
    container = spec["containers"][0]
    assert container["image"] == "special:1"
    assert container["resources"]["limits"] | {"ephemeral-storage": ""} == {
        "cpu": "4",
        "memory": "3Gi",
        "nvidia.com/gpu": "2",
        "ephemeral-storage": "",
    }
    assert container["resources"]["requests"]["cpu"] == "1500m"
    environment = {entry["name"]: entry["value"] for entry in container["env"]}
    assert environment["OMP_NUM_THREADS"] == "1"
    assert environment["USER"]
    assert environment["DATASHOP_PODS"] == "/etc/datashop/pods.yaml"
    assert [source["secretRef"]["name"] for source in container["envFrom"][1:]] == ["datashop-credentials", "more"]
    assert spec["nodeSelector"] == {"pool": "big"}
    assert [toleration["key"] for toleration in spec["tolerations"]] == ["nvidia.com/gpu", "pool"]
    assert (spec["priorityClassName"], spec["imagePullSecrets"]) == ("high", [{"name": "registry"}])


def test_images_are_the_workers_for_gpu_work_and_else_the_code_locations() -> None:
    images = {work: spec_of(rendered(k8s_config(SMALL, work)))["containers"][0]["image"] for work in CLASSES}
    assert images == {"cpu": "code:1", "rater": "code:1", "launcher": "code:1", "encoder": "w:1", "training": "w:1"}


def test_a_worker_has_no_secret_but_what_its_class_names() -> None:
    def secrets(pods: PodSettings) -> list[str]:
        sources = spec_of(rendered_worker(pods))["containers"][0]["envFrom"]
        return [source["secretRef"]["name"] for source in sources if "secretRef" in source]

    assert secrets(SMALL) == []
    named = {"images": {"worker": "w:1"}, "classes": {"training": {"secrets": ["hub"]}}}
    assert secrets(PodSettings.model_validate(named)) == ["hub"]


def test_the_example_files_say_every_class() -> None:
    for file in SHIPPED:
        classes = load_pods(file).classes
        assert {name for name in CLASSES if isinstance(classes.of(name), Size)} == set(CLASSES)
        assert classes.model_fields_set == set(CLASSES), file


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(f"{W}classes:\n  encoder:\n    memory: 16 GB\n", "line 4: classes.encoder.memory", id="quantity"),
        pytest.param(f"{W}classes:\n  gpu: {{}}\n", "line 3: classes.gpu: Extra inputs", id="class"),
        pytest.param("user: 7\n", "line 1: images: Field required", id="missing"),
        pytest.param(f"{W}assets: {{scores: training}}\n", "line 2: assets.scores: Input should", id="asset"),
        pytest.param(f"{W}home: {{claim: My_Claim}}\n", "line 2: home.claim", id="name"),
        pytest.param("images: [\n", "not readable as YAML.*line 2", id="yaml"),
        pytest.param("- a\n", "must hold a mapping.*pods-one-gpu-node.yaml", id="list"),
    ],
)
def test_a_pods_file_that_cannot_be_used_is_told_by_line_and_field(tmp_path: Path, content: str, says: str) -> None:
    file = tmp_path / "pods.yaml"
    file.write_text(content)
    with pytest.raises(PodsError, match=f"(?s){file}.*{says}"):
        load_pods(file)


def test_a_missing_pods_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PodsError, match=r"no pods file .*/nowhere\.yaml; set DATASHOP_PODS"):
        load_pods(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_a_lost_run_is_launched_again_as_often_with_a_jobs_tag_as_without(file: Path) -> None:
    """Runs launched on assets' pages have no tags of a job: the installation's own number is theirs."""
    values = yaml.safe_load((REPOSITORY / "deploy/helm/values.yaml").read_text())
    assert find(values, "maxRetries") == load_pods(file).retries


def find(values: dict[str, Any], key: str) -> Any:
    """The value of the key, wherever it stands."""
    if key in values:
        return values[key]
    inner = (find(value, key) for value in values.values() if isinstance(value, dict))
    return next((value for value in inner if value is not None), None)
