"""The run launcher of a cluster: Dagster's own for Kubernetes, which knows our pods file and says why a pod was lost.

What belongs here: what a run's pod is where its job does not say (the UI's `__ASSET_JOB`), and what run monitoring
reports of a lost one. What does not: the pods (`pods.py`), the reasons (`pod_failures.py`).

It is named in the instance's settings (`run_launcher: {module: resources.run_launcher, class: PodRunLauncher}`), so it
is loaded by webserver, daemon and every run: nothing heavy may be imported here.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.launcher import WorkerStatus
from dagster._core.storage.dagster_run import DagsterRun
from dagster._serdes import ConfigurableClassData
from dagster_k8s import K8sRunLauncher
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.job import UserDefinedDagsterK8sConfig, get_user_defined_k8s_config

from resources.pod_failures import lost_pods
from resources.pod_settings import load_pods
from resources.pods import CLASS_LABEL, POD_TAG, pod_of_tag, pod_tag


class PodRunLauncher(K8sRunLauncher):
    """K8sRunLauncher with one more setting, `pods_file`: the file of DATASHOP_PODS.

    A run without a job's tags gets a pod of class `launcher`: its steps have pods of their own. What a person types as
    `dagster-k8s/config` in the launchpad, such as more memory, is added to the pod of the run's job.
    """

    def __init__(self, pods_file: str, **settings: Any) -> None:
        self.pods_file = pods_file
        self.pods = load_pods(Path(pods_file))
        super().__init__(**settings)

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {
            **super().config_type(),  # type: ignore[no-untyped-call]
            "pods_file": dg.Field(dg.StringSource, description="The file that DATASHOP_PODS names."),
        }

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Any:
        return cls(inst_data=inst_data, **config_value)

    def get_container_context_for_run(self, dagster_run: DagsterRun) -> K8sContainerContext:
        asked = get_user_defined_k8s_config(dagster_run.tags)
        if CLASS_LABEL in asked.pod_template_spec_metadata.get("labels", {}):  # the whole pod, as its job says it
            return super().get_container_context_for_run(dagster_run)
        tag = dagster_run.tags.get(POD_TAG, pod_tag("launcher", launches=True))
        pod = UserDefinedDagsterK8sConfig.from_dict(pod_of_tag(self.pods, tag))
        context = K8sContainerContext.create_for_run(dagster_run, self, include_run_tags=False)
        for config in (pod, asked):
            context = context.merge(K8sContainerContext(run_k8s_config=config))
        return context

    def get_run_worker_debug_info(self, run: DagsterRun, include_container_logs: bool | None = True) -> str | None:
        """What Dagster puts into the failure of a run whose pod was lost or never started: our words first."""
        details = super().get_run_worker_debug_info(run, include_container_logs) or ""
        return "\n".join([*self.lost_pods(run), details])

    def why_not_begun(self, run: DagsterRun) -> str | None:
        """What the failure of a run that is still starting has to say, where its Job has failed already; else null."""
        if self.check_run_worker_health(run).status != WorkerStatus.FAILED:
            return None
        return f"Its pod ended before the run had begun.\n{self.get_run_worker_debug_info(run)}"

    def lost_pods(self, run: DagsterRun) -> list[str]:
        """What happened to the run's pods, its steps' and its workers', and what to change; nothing where all are
        well."""
        namespace = self.get_container_context_for_run(run).namespace
        return lost_pods(self._api_client.core_api, self._api_client.batch_api, namespace or "default", run.run_id)
