"""The executor of runs whose steps have pods of their own: dagster-k8s's, which says why a step's pod was lost.

What belongs here: one executor for multi-asset jobs and for what people launch from assets' pages. What does not: the
pods (`pods.py`), which step gets which (`placement.py`).

Dagster's own `k8s_job_executor` says of a lost pod "Discovered failed Kubernetes job", and waits for ever for one that
never starts: no image, no node.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.step_delegating import (
    CheckStepHealthResult,
    StepDelegatingExecutor,
    StepHandlerContext,
)
from dagster_k8s import K8sRunLauncher
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.executor import K8sStepHandler

from resources.pod_failures import Patience, PodFailure, events_of, failure_of, failure_of_gone
from resources.pod_settings import PodSettings


class StepPods(K8sStepHandler):
    """K8sStepHandler whose words of a lost pod say what to change. A pod that has not started after `start_timeout`
    seconds, or never can, is taken away, and its step fails."""

    def __init__(self, start_timeout: float, **settings: Any) -> None:
        super().__init__(**settings)
        self.patience = Patience(start_timeout)

    def check_step_health(self, step_handler_context: StepHandlerContext) -> CheckStepHealthResult:
        health = super().check_step_health(step_handler_context)
        job = self._get_k8s_step_job_name(step_handler_context)
        namespace = self._get_container_context(step_handler_context).namespace or "default"
        failure = self._why_not_started(job, namespace) if health.is_healthy else self._why_lost(job, namespace)
        if failure is None:
            return health
        if health.is_healthy:
            # else it may start later, beside the one of the step's retry
            self._api_client.delete_job(job, namespace)
        return CheckStepHealthResult.unhealthy(failure.words)

    def _why_not_started(self, job: str, namespace: str) -> PodFailure | None:
        """Why the pod of a Job has not started, and will not."""
        for pod in self._api_client.get_pods_in_job(job, namespace):
            failure = failure_of(pod, self._events(pod, namespace)) if pod.status.phase == "Pending" else None
            if failure is not None and self.patience.is_over(pod, failure):
                return failure
        return None

    def _why_lost(self, job: str, namespace: str) -> PodFailure | None:
        """What happened to the pod of a Job that failed; null where its program ended by its own error."""
        pods = self._api_client.get_pods_in_job(job, namespace)
        failures = [failure_of(pod, self._events(pod, namespace)) for pod in pods]
        gone = failure_of_gone(self._api_client.core_api, namespace, [job], pods)
        return next((failure for failure in failures if failure is not None), gone)

    def _events(self, pod: Any, namespace: str) -> Sequence[Any]:
        return events_of(self._api_client.core_api, namespace, pod)


def step_pods_executor(pods: PodSettings, steps: Mapping[str, Mapping[str, Any]]) -> dg.ExecutorDefinition:
    """An executor in which each step has its own pod: `steps` are the values of `dagster-k8s/config` by op."""

    @dg.executor(
        name="step_pods",
        config_schema={
            "max_concurrent": dg.Field(
                dg.IntSource, default_value=pods.steps_at_once, description="Step pods of one run at the same time."
            )
        },
        requirements=dg.multiple_process_executor_requirements(),
    )
    def executor(context: dg.InitExecutorContext) -> StepDelegatingExecutor:
        launcher, at_once = context.instance.run_launcher, context.executor_config["max_concurrent"]
        assert isinstance(at_once, int)  # by the schema
        inside = launcher.load_incluster_config if isinstance(launcher, K8sRunLauncher) else True
        handler = StepPods(
            start_timeout=pods.start_timeout_seconds,
            image=None,
            container_context=K8sContainerContext(),
            load_incluster_config=inside,
            kubeconfig_file=launcher.kubeconfig_file if isinstance(launcher, K8sRunLauncher) else None,
            per_step_k8s_config=dict(steps),
            enable_owner_references=True,
        )
        return StepDelegatingExecutor(
            handler,
            retries=RetryMode.ENABLED,
            max_concurrent=at_once,
            should_verify_step=True,
        )

    return executor
