"""The pods file: how large the pods of a deployment are, and by which names they find what the cluster keeps for them.

What belongs here: the settings of one deployment, checked and frozen. What does not: the pods that are made of them
(`pods.py`), which asset gets which (`placement.py`).
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from datashop_assets.settings import Settings
from datashop_assets.settings_file import read_settings

Work = Literal["cpu", "encoder", "rater", "training", "launcher"]
Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|[kMGTPE]i?)?$", description="a Kubernetes quantity")]
# RFC 1123: what Kubernetes takes as the name of an object.
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]
Folder = Annotated[str, Field(pattern=r"^/[^:]*$")]


class PodsError(ValueError):
    """The pods file cannot be used. The message names the file, every line and field at fault, and what to do."""


class Toleration(Settings):
    """A taint of nodes that the pods of a class may be placed on."""

    key: str | None = None
    operator: Literal["Exists", "Equal"] = "Exists"
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None


# Nodes with GPUs are tainted so by GPU operators and by the clouds' GPU pools.
GPU_TAINT = Toleration(key="nvidia.com/gpu", effect="NoSchedule")


class Size(Settings):
    """The pods of one class. What is requested of memory and disk is the limit: a pod that keeps to what it requested
    is the last that a node evicts."""

    cpu: Quantity = Field("2", description="cores requested; also how many threads the numeric libraries start")
    cpu_limit: Quantity | None = Field(None, description="cores at most; null: those that are idle, too")
    memory: Quantity = Field("8Gi", description="reached: the pod is killed")
    ephemeral_storage: Quantity = Field("10Gi", description="/tmp, logs and what else is written into the container")
    gpus: int = Field(0, ge=0, description="whole GPUs (nvidia.com/gpu)")
    image: str | None = Field(None, description="null: images.worker for encoder and training, else images.run")
    node_selector: dict[str, str] = Field(default_factory=dict, description="labels that the node must have")
    tolerations: tuple[Toleration, ...] = Field((), description="besides that of GPU nodes, which `gpus` brings")
    priority_class: Name | None = Field(None, description="null: the cluster's default")
    config_maps: tuple[Name, ...] = Field((), description="besides those of all pods: their keys become variables")
    secrets: tuple[Name, ...] = Field((), description="besides those of all run and step pods: the same for secrets")


class CpuSize(Size):
    """Whatever needs neither a GPU nor a rater: parsing, curation, heads of classifiers, scoring, filtering."""


class EncoderSize(Size):
    """Embedding of documents."""

    cpu: Quantity = "4"
    memory: Quantity = "16Gi"
    ephemeral_storage: Quantity = "20Gi"
    gpus: int = Field(1, ge=0)


class RaterSize(Size):
    """Rating: waits for an endpoint's answers most of the time."""

    cpu: Quantity = "1"
    memory: Quantity = "4Gi"


class TrainingSize(Size):
    """Workers: annealing, evaluation, fine-tuning."""

    cpu: Quantity = "8"
    memory: Quantity = "64Gi"
    ephemeral_storage: Quantity = "50Gi"
    gpus: int = Field(1, ge=0)


class LauncherSize(Size):
    """The run pod of a run whose steps have pods of their own: starts them and waits."""

    cpu: Quantity = "500m"
    memory: Quantity = "2Gi"
    ephemeral_storage: Quantity = "2Gi"


class Classes(Settings):
    cpu: CpuSize = CpuSize()
    encoder: EncoderSize = EncoderSize()
    rater: RaterSize = RaterSize()
    training: TrainingSize = TrainingSize()
    launcher: LauncherSize = LauncherSize()

    def of(self, work: Work) -> Size:
        size: Size = getattr(self, work)
        return size


class Images(Settings):
    worker: str = Field(description="of workers and encoders: the project with its training libraries")
    run: str | None = Field(None, description="of run and step pods; null: the code location's own")
    pull_policy: Literal["IfNotPresent", "Always", "Never"] = "IfNotPresent"
    pull_secrets: tuple[Name, ...] = ()


class HomeVolume(Settings):
    """The volume that all pods share (ReadWriteMany): the project's home."""

    claim: Name = "datashop-home"
    path: Folder = "/var/lib/datashop"


class Files(Settings):
    """The config map with `datashop.yaml` and `pods.yaml`, and where the pods see it."""

    config_map: Name = "datashop-files"
    path: Folder = "/etc/datashop"


class ServiceAccounts(Settings):
    launcher: Name = Field("datashop-launcher", description="of pods that start other pods: has a token")
    work: Name = Field("datashop-work", description="of all others: no token is mounted")


class PodSettings(Settings):
    images: Images
    home: HomeVolume = HomeVolume()
    files: Files = Files()
    config_maps: tuple[Name, ...] = Field(("datashop-environment",), description="variables of all pods")
    secrets: tuple[Name, ...] = Field(("datashop-credentials",), description="variables of run and step pods")
    service_accounts: ServiceAccounts = ServiceAccounts()
    user: int = Field(10001, gt=0, description="the images' user and group")
    start_timeout_seconds: float = Field(
        600,
        gt=0,
        description="a step or worker pod that nothing has started by then fails; longer where nodes are made",
    )
    termination_seconds: int = Field(60, gt=0, description="from being told to end until being killed")
    worker_seconds: int = Field(
        86_400,
        gt=0,
        description="a worker that works for longer is ended: one that a killed run left would hold its GPU to its end",
    )
    keep_jobs_seconds: int = Field(86_400, gt=0, description="ended Jobs and their pods are kept so long, to look at")
    retries: int = Field(2, ge=0, description="of a run or a worker whose pod was lost; it goes on from there")
    steps_at_once: int = Field(4, gt=0, description="step pods of one run at the same time")
    poll_seconds: float = Field(2.0, gt=0, description="between two looks at a worker's pod")
    classes: Classes = Classes()
    assets: dict[str, Literal["cpu", "encoder", "rater"]] = Field(
        default_factory=dict, description="assets of another class than their tag datashop/cost says"
    )


def load_pods(path: Path) -> PodSettings:
    """Read and check a pods file. Raises PodsError."""
    return read_settings(
        path,
        PodSettings,
        what="pods file",
        where="set DATASHOP_PODS to yours, or unset it on a laptop",
        holds="images, classes, ...; see deploy/pods-one-gpu-node.yaml",
        error=PodsError,
    )
