"""The launcher of a cluster: a worker in a pod of its own, with the GPU, memory and image of class `training`.

What belongs here: how a worker's pod is asked for, watched and taken away. What does not: what the pod is (`pods.py`),
why it was lost (`pod_failures.py`), what workers do (`datashop_assets/workers/`).

The run's pod and the worker's exchange files (mixture, examples, models) over the home volume, which both mount at
the same path. The worker's messages and output come through its pod's log, what it reports at its end through a file
there: older kubelets (seen on 1.20) break lines of a log above 16 kB, as the losses of a long training are.

This imports Kubernetes' client, which takes a second: `profiles.py` loads it where there is a pods file.
"""

import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import dagster as dg
from dagster_k8s import PipesK8sClient
from dagster_k8s.client import DagsterK8sError, DagsterKubernetesClient
from dagster_k8s.utils import detect_current_namespace
from kubernetes.client import ApiException

from datashop_assets.lineage import content_id
from datashop_assets.workers.report import REPORT, read_report
from resources.launchers import TAIL_LINES, ended, worker_failure
from resources.pod_failures import (
    PASSING,
    RUN_LABEL,
    Patience,
    PodFailure,
    events_of,
    failure_of,
    failure_of_gone,
    is_overdue,
)
from resources.pod_settings import PodSettings
from resources.pods import worker_pod

WORKER_LABEL = "datashop/worker"
# Said of a worker whose pod was lost: what it had trained is in its output's checkpoints.
GOES_ON = "Run again: it goes on from its last checkpoint"
# Between a lost pod and the next attempt.
RETRY_SECONDS = 10.0
# A newer attempt ends this one's pod, sees at its next look that it is gone, and asks for its own.
LOOKS_FOR_A_NEWER = 5
PIPES_LINE = '{"__dagster_pipes_version"'
NOT_FOUND = 404


class PodNotStartedError(DagsterK8sError):
    """A worker's pod that did not start in time, or never can."""


class PodLauncher:
    """Runs `python -m datashop_assets.workers.<worker>` in a pod.

    The worker has the variables of the pods file's config maps, and secrets only where the class `training` names
    them. One worker does one piece of work (the same worker with the same extras): one that a killed run left behind
    is ended first, as it would train beside the new one into the same folder.
    """

    def __init__(self, pods: PodSettings) -> None:
        self.pods = pods

    def run(self, worker: str, extras: Mapping[str, Any], context: Any) -> Mapping[str, Any]:
        """Run the worker and return the mapping that it reported.

        `context` is the asset's execution context. Raises dg.Failure with the worker's last lines of output or, where
        its pod was lost or did not start, with why and what to change. Where another attempt may end otherwise (its
        node went away, another pod took its place) Dagster is asked for one, `retries` times: dg.RetryRequested, from
        that Failure.
        """
        label = _work_id(worker, extras)
        pods = _WorkerPods(self.pods, label, context.run_id)
        pods.connect()
        metadata, spec = worker_pod(self.pods, {WORKER_LABEL: label, RUN_LABEL: context.run_id})
        pods.make_room()
        report = Path(self.pods.home.path) / "work" / "reports" / f"{label}.json"
        report.parent.mkdir(parents=True, exist_ok=True)
        try:
            done = pods.run(
                context=context,
                extras={**extras, REPORT: str(report)},
                namespace=pods.namespace,
                command=["python", "-m", f"datashop_assets.workers.{worker}"],
                base_pod_meta=metadata | {"owner_references": pods.owner()},
                base_pod_spec=spec,
                delete_pod_on_completion=False,
            )
            if not done.get_custom_messages():
                self._fail(pods.failure(worker))
        except DagsterK8sError as error:
            self._fail(pods.failure(worker, error))
        except ApiException as error:
            raise dg.Failure(
                f"worker {worker}: Kubernetes refused what was asked of it ({error.status} {error.reason}). Correct "
                "the pods file, or the role of the service account "
                f"{self.pods.service_accounts.launcher}. It says: {error.body}"
            ) from error
        finally:
            pods.remove()
        return read_report(report)

    def _fail(self, failure: dg.Failure) -> NoReturn:
        if failure.allow_retries:
            raise dg.RetryRequested(max_retries=self.pods.retries, seconds_to_wait=RETRY_SECONDS) from failure
        raise failure


class _WorkerPods(PipesK8sClient):
    """Dagster's client for pods with Pipes, for the pods of one piece of work. It gives up on one that does not start:
    Dagster's waits a day for a pod that no node can take."""

    def __init__(self, pods: PodSettings, label: str, run_id: str) -> None:
        super().__init__(poll_interval=float(pods.poll_seconds))
        self.pods = pods
        self.selector = f"{WORKER_LABEL}={label}"
        self.run_id = run_id
        self.pod_name = ""

    def connect(self) -> None:
        """With the pod's service account or, outside of a cluster, with ~/.kube/config."""
        self._load_k8s_config()  # type: ignore[no-untyped-call]
        self.kube = DagsterKubernetesClient.production_client()
        self.core_api = self.kube.core_api
        self.namespace = detect_current_namespace(None) or "default"

    @contextmanager
    def consume_pod_logs(
        self,
        context: Any,
        client: DagsterKubernetesClient,
        namespace: str,
        pod_name: str,
        enable_multi_container_logs: bool = False,
        ignore_containers: set[str] | None = None,
    ) -> Iterator[None]:
        self.pod_name = pod_name
        self._wait_until_started()
        with super().consume_pod_logs(
            context, client, namespace, pod_name, enable_multi_container_logs, ignore_containers
        ):
            self._wait_until_ended()
            yield

    def owner(self) -> list[dict[str, str]]:
        """This process's pod: where it is deleted the worker's is too. None outside of a cluster."""
        try:
            pod = self.core_api.read_namespaced_pod(socket.gethostname(), self.namespace)
        except ApiException as error:
            if error.status != NOT_FOUND:
                raise
            return []
        return [{"api_version": "v1", "kind": "Pod", "name": pod.metadata.name, "uid": pod.metadata.uid}]

    def make_room(self) -> None:
        """End the pods of this work, whichever run asked for them, and wait until they are gone. Raises dg.Failure
        where one does not end, as its node does not answer: beside it the work would be done twice into one folder."""
        while pods := self._pods():
            self._end(pods)
            stuck = next((failure_of(pod) for pod in pods if is_overdue(pod)), None)
            if stuck is not None:
                raise dg.Failure(f"what worked here before is not gone. {stuck.words}", allow_retries=False)
            time.sleep(self.poll_interval)

    def remove(self) -> None:
        """End the pods that this run asked for, and not what a newer attempt at the work has put in their place."""
        self._end([pod for pod in self._pods() if pod.metadata.labels.get(RUN_LABEL) == self.run_id])

    def failure(self, worker: str, error: DagsterK8sError | None = None) -> dg.Failure:
        """What is said of a worker that reported nothing: of its pod where that was lost, else of its program."""
        pod = self._pod()
        lines = [] if pod is None else self._last_lines()
        if isinstance(error, PodNotStartedError):
            return worker_failure(worker, "could not start", str(error), lines, pod=self.pod_name)
        lost = self._why_lost(pod)
        if lost is not None:
            again = lost.kind in PASSING and not self._replaced()
            words = f"{lost.words}. {GOES_ON}"
            return worker_failure(worker, f"lost its pod ({lost.kind})", words, lines, again=again, pod=self.pod_name)
        states = [status.state for status in (pod.status.container_statuses if pod is not None else None) or []]
        codes = [state.terminated.exit_code for state in states if state.terminated is not None]
        if not codes:
            again = not self._replaced()
            return worker_failure(worker, "lost its pod", f"{error}. {GOES_ON}", lines, again=again, pod=self.pod_name)
        return worker_failure(worker, *ended(codes[0]), lines, exit_code=codes[0], pod=self.pod_name)

    def _replaced(self) -> bool:
        """Whether a newer attempt at this work ended the pod to put its own in its place: trying again would end that
        one, and so on in turn."""
        for _ in range(LOOKS_FOR_A_NEWER):
            if any(pod.metadata.labels.get(RUN_LABEL) != self.run_id for pod in self._pods()):
                return True
            time.sleep(self.poll_interval)
        return False

    def _wait_until_started(self) -> None:
        """Until its container runs or has ended. Raises PodNotStartedError saying why it does not, and DagsterK8sError
        where the pod was lost before."""
        patience = Patience(self.pods.start_timeout_seconds)
        while True:
            pod = self._present_pod()
            if pod.status.phase != "Pending":
                return
            failure = failure_of(pod, events_of(self.core_api, self.namespace, pod))
            if patience.is_over(pod, failure):
                unknown = (
                    f"Pod {self.pod_name} has not started after {self.pods.start_timeout_seconds:.0f} s: see its "
                    "events, or raise start_timeout_seconds in the pods file"
                )
                raise PodNotStartedError(unknown if failure is None else failure.words)
            time.sleep(self.poll_interval)

    def _wait_until_ended(self) -> None:
        """Once its log has ended. Raises DagsterK8sError where the pod was lost."""
        while self._present_pod().status.phase not in ("Succeeded", "Failed"):
            time.sleep(self.poll_interval)

    def _present_pod(self) -> Any:
        """The pod. Raises DagsterK8sError where it is gone, its node does not answer, or it was evicted or refused,
        which leaves no state of its container: Dagster's client would wait a day for one."""
        pod = self._pod()
        stateless = pod is not None and pod.status.phase == "Failed" and not pod.status.container_statuses
        if pod is None or stateless or is_overdue(pod):
            raise DagsterK8sError(f"Pod {self.pod_name} was lost")
        return pod

    def _why_lost(self, pod: Any | None) -> PodFailure | None:
        if pod is not None:
            return failure_of(pod, events_of(self.core_api, self.namespace, pod))
        gone = PodFailure("deleted", f"Pod {self.pod_name} was deleted while it worked, or its node went away")
        return failure_of_gone(self.core_api, self.namespace, [self.pod_name], []) or gone

    def _last_lines(self) -> list[str]:
        try:
            log = self.kube.retrieve_pod_logs(self.pod_name, self.namespace, tail_lines=2 * TAIL_LINES)
        except ApiException as error:
            return [f"(its log cannot be read: {error.reason})"]
        return [line for line in log.splitlines() if PIPES_LINE not in line][-TAIL_LINES:]

    def _pod(self) -> Any | None:
        return next((pod for pod in self._pods() if pod.metadata.name == self.pod_name), None)

    def _pods(self) -> list[Any]:
        pods: list[Any] = self.core_api.list_namespaced_pod(self.namespace, label_selector=self.selector).items
        return pods

    def _end(self, pods: Iterable[Any]) -> None:
        for pod in pods:
            if pod.metadata.deletion_timestamp is None:
                try:
                    self.core_api.delete_namespaced_pod(pod.metadata.name, self.namespace)
                except ApiException as error:
                    if error.status != NOT_FOUND:  # it went away by itself
                        raise


def _work_id(worker: str, extras: Mapping[str, Any]) -> str:
    """What names a piece of work: the worker and all that it is given. The output alone does not: all evaluations
    leave their results in one folder, so that a control is evaluated once."""
    return content_id(worker, dict(extras))
