"""Placement: which pod an asset, a job and a step get. Where there is no pods file, all run where they are asked for.

What belongs here: from what an asset says of itself (`datashop/cost`, what it needs) to its class of work, and from
there to the arguments of Dagster's jobs and executor. What does not: the pods (`pods.py`, `pod_settings.py`).

The run launcher applies a run's tag `dagster-k8s/config` to the run's pod; it knows nothing of the run's assets. So a
job with one step says so in its tags, and its step runs in the run's pod. In other runs (jobs of several steps; what
people launch from assets' pages and backfill there, which are runs of `__ASSET_JOB`, without a job's tags) the run's
pod starts a pod for each step, and the executor knows the pod of each.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from datashop_assets.asset_metadata import COST_TAG
from resources.pod_settings import PodsError, PodSettings, Work
from resources.pods import CONFIG_TAG, POD_TAG, pod_of_tag, pod_tag

# From the cheapest to the dearest: a step that makes several assets gets the pod of the dearest.
DEARNESS: tuple[Work, ...] = ("cpu", "rater", "encoder")
# Who needs it starts workers.
WORKSHOP = "workshop"


@dataclass(frozen=True)
class Step:
    """One op: its assets with the class of each, and whether it starts workers."""

    op: str
    assets: Mapping[str, Work]
    launches: bool

    def pod(self, of: Iterable[str] | None = None) -> str:
        """The pod that makes these of its assets, as POD_TAG says it; null: all."""
        wanted = self.assets if of is None else [name for name in self.assets if name in set(of)]
        work: Work = max((self.assets[name] for name in wanted), key=DEARNESS.index, default=DEARNESS[0])
        return pod_tag(work, launches=self.launches)


class Placement:
    """Where the assets and checks of a project run on a cluster."""

    def __init__(self, pods: PodSettings, definitions: Sequence[Any]) -> None:
        """`definitions`: the project's AssetsDefinitions and checks. Raises PodsError where the pods file names an
        asset that is not among them."""
        self.pods = pods
        self.steps = [_step(pods, each) for each in definitions if isinstance(each, dg.AssetsDefinition)]
        unknown = set(pods.assets) - {name for step in self.steps for name in step.assets}
        if unknown:
            known = sorted({name for step in self.steps for name in step.assets})
            raise PodsError(
                f"the pods file's `assets` names {sorted(unknown)}, which the project has not; it has {known}"
            )

    def job(self, assets: Sequence[str]) -> dict[str, Any]:
        """What define_asset_job is given for a job of these assets."""
        steps = [step for step in self.steps if step.assets.keys() & set(assets)]
        # A pod that is lost says nothing of the work; a step that fails does.
        tags: dict[str, Any] = {
            "dagster/max_retries": str(self.pods.retries),
            "dagster/retry_on_asset_or_op_failure": "false",
        }
        alone = len(steps) == 1
        pod = steps[0].pod(assets) if alone else pod_tag("launcher", launches=True)
        tags |= {POD_TAG: pod, CONFIG_TAG: pod_of_tag(self.pods, pod)}
        return {"tags": tags} | ({"executor_def": dg.in_process_executor} if alone else {})

    def executor(self) -> dg.ExecutorDefinition:
        """Of all other runs: a pod for each step."""
        from resources.step_pods import step_pods_executor

        return step_pods_executor(self.pods, {step.op: pod_of_tag(self.pods, step.pod()) for step in self.steps})


def _step(pods: PodSettings, assets: dg.AssetsDefinition) -> Step:
    classes = {
        key.to_user_string(): _work(pods, key.to_user_string(), assets.tags_by_key[key][COST_TAG])
        for key in assets.keys
    }
    return Step(assets.node_def.name, classes, WORKSHOP in assets.required_resource_keys)


def _work(pods: PodSettings, asset: str, cost: str) -> Work:
    """The class of the pod that makes the asset. What trains does so in a worker: the asset's pod needs no GPU, and
    one that it held would be missing for its worker."""
    if asset in pods.assets:
        return pods.assets[asset]
    return next((work for work in DEARNESS if work == cost), DEARNESS[0])
