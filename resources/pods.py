"""Pods: from a class of work and a deployment's sizes to the pod that does it, as `dagster-k8s` takes it.

What belongs here: everything that a pod of ours says to Kubernetes, once. What does not: the sizes (`pod_settings.py`),
which asset gets which class (`placement.py`), starting pods (`run_launcher.py`, `step_pods.py`, `pod_launcher.py`).
Kubernetes' client is not imported here.
"""

import math
from collections.abc import Mapping
from typing import Any

from resources.pod_settings import GPU_TAINT, PodSettings, Size, Toleration, Work

# The tag of runs, and of ops, that dagster-k8s reads.
CONFIG_TAG = "dagster-k8s/config"
CLASS_LABEL = "datashop/class"
# Of a run: the class of its pod, and whether it launches others, so that a tag that a person types can add to it.
POD_TAG = "datashop/pod"
LAUNCHES = ", launches others"
GPU = "nvidia.com/gpu"
# Of what Pod Security's level "restricted" asks, the container's part; the root file system is read-only besides.
CONTAINER_SECURITY = {
    "allow_privilege_escalation": False,
    "capabilities": {"drop": ["ALL"]},
    "privileged": False,
    "read_only_root_filesystem": True,
    "run_as_non_root": True,
    "seccomp_profile": {"type": "RuntimeDefault"},
}


def k8s_config(pods: PodSettings, work: Work, *, launches: bool = False) -> dict[str, Any]:
    """The value of the tag `dagster-k8s/config`: a run's or a step's pod for this class of work.

    `launches`: the pod starts others, so it gets a service account's token. The field names are those of Kubernetes'
    Python client (snake_case). Names of secrets are in it, never their values.
    """
    size = pods.classes.of(work)
    image = _image(pods, work, size)
    return {
        "container_config": _container(pods, size, pods.secrets) | ({"image": image} if image else {}),
        "pod_spec_config": _pod(pods, size, launches=launches),
        "pod_template_spec_metadata": _metadata(work),
        "job_spec_config": {"backoff_limit": 0, "ttl_seconds_after_finished": pods.keep_jobs_seconds},
    }


def pod_tag(work: Work, *, launches: bool) -> str:
    """The value of POD_TAG."""
    return f"{work}{LAUNCHES if launches else ''}"


def pod_of_tag(pods: PodSettings, tag: str) -> dict[str, Any]:
    """The pod that a value of POD_TAG means."""
    work: Any = tag.removesuffix(LAUNCHES)
    return k8s_config(pods, work, launches=tag.endswith(LAUNCHES))


def worker_pod(pods: PodSettings, labels: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The metadata and the spec of a worker's pod, for PipesK8sClient. A worker has no credentials but what the class
    `training` names: what it reads and writes lies in the home volume."""
    size = pods.classes.training
    container = _container(pods, size, ()) | {"name": "worker", "image": _image(pods, "training", size)}
    spec = _pod(pods, size, launches=False) | {
        "containers": [container],
        "restart_policy": "Never",
        "active_deadline_seconds": pods.worker_seconds,
    }
    metadata = _metadata("training")
    return metadata | {"labels": {**metadata["labels"], **labels}}, spec


def _image(pods: PodSettings, work: Work, size: Size) -> str | None:
    return size.image or (pods.images.worker if work in ("encoder", "training") else pods.images.run)


def _metadata(work: Work) -> dict[str, Any]:
    return {
        "labels": {CLASS_LABEL: work},
        # A node that is emptied to save money waits: the work would start anew on another.
        "annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
    }


def _container(pods: PodSettings, size: Size, secrets: tuple[str, ...]) -> dict[str, Any]:
    resources = {"cpu": size.cpu, "memory": size.memory, "ephemeral-storage": size.ephemeral_storage}
    resources |= {GPU: str(size.gpus)} if size.gpus else {}
    limits = {name: value for name, value in resources.items() if name != "cpu"}
    limits |= {"cpu": size.cpu_limit} if size.cpu_limit else {}
    threads = str(_cores(size.cpu))
    environment = {
        "DATASHOP_HOME": pods.home.path,
        "DATASHOP_PROJECT": f"{pods.files.path}/datashop.yaml",
        "DATASHOP_PODS": f"{pods.files.path}/pods.yaml",
        "HOME": "/tmp",
        # The user has no entry in an image's /etc/passwd, and libraries ask for its name.
        "USER": "datashop",
        # Else they count the node's cores, and start a thread for each.
        "OMP_NUM_THREADS": threads,
        "POLARS_MAX_THREADS": threads,
    }
    config_maps = (*pods.config_maps, *size.config_maps)
    return {
        "image_pull_policy": pods.images.pull_policy,
        "resources": {"requests": resources, "limits": limits},
        "security_context": CONTAINER_SECURITY,
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "env_from": [
            *({"config_map_ref": {"name": name}} for name in config_maps),
            *({"secret_ref": {"name": name}} for name in (*secrets, *size.secrets)),
        ],
        "volume_mounts": [
            {"name": "home", "mount_path": pods.home.path},
            {"name": "files", "mount_path": pods.files.path, "read_only": True},
            {"name": "tmp", "mount_path": "/tmp"},
        ],
    }


def _pod(pods: PodSettings, size: Size, *, launches: bool) -> dict[str, Any]:
    tolerations = [*((GPU_TAINT,) if size.gpus else ()), *size.tolerations]
    accounts = pods.service_accounts
    return {
        "service_account_name": accounts.launcher if launches else accounts.work,
        "automount_service_account_token": launches,
        "enable_service_links": False,
        "security_context": {
            "run_as_non_root": True,
            "run_as_user": pods.user,
            "run_as_group": pods.user,
            "fs_group": pods.user,
            "fs_group_change_policy": "OnRootMismatch",
            "seccomp_profile": {"type": "RuntimeDefault"},
        },
        "termination_grace_period_seconds": pods.termination_seconds,
        "image_pull_secrets": [{"name": name} for name in pods.images.pull_secrets],
        "node_selector": dict(size.node_selector),
        "tolerations": [_toleration(each) for each in tolerations],
        **({"priority_class_name": size.priority_class} if size.priority_class else {}),
        "volumes": [
            {"name": "home", "persistent_volume_claim": {"claim_name": pods.home.claim}},
            {"name": "files", "config_map": {"name": pods.files.config_map}},
            {"name": "tmp", "empty_dir": {"size_limit": size.ephemeral_storage}},
        ],
    }


def _toleration(toleration: Toleration) -> dict[str, str]:
    return {name: value for name, value in toleration.model_dump().items() if value is not None}


def _cores(cpu: str) -> int:
    """Whole cores of a quantity, at least one."""
    return max(1, math.floor(float(cpu.removesuffix("m")) / (1000 if cpu.endswith("m") else 1)))
