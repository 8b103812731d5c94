"""For tests: pods and events as Kubernetes reports them, and an API server that holds a few of them."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from kubernetes import client
from kubernetes.client import ApiException


def state(
    *,
    waiting: tuple[str, str] | None = None,
    ended: tuple[str, int] | None = None,
    message: str | None = None,
    running: bool = False,
) -> client.V1ContainerState:
    """A container's state: waiting for (reason, message), ended with (reason, exit code), or running."""
    return client.V1ContainerState(
        waiting=client.V1ContainerStateWaiting(reason=waiting[0], message=waiting[1]) if waiting else None,
        terminated=client.V1ContainerStateTerminated(reason=ended[0], exit_code=ended[1], message=message)
        if ended
        else None,
        running=client.V1ContainerStateRunning(started_at=datetime.now(UTC)) if running else None,
    )


def pod(
    name: str = "worker-1",
    phase: str = "Running",
    container: client.V1ContainerState | None = None,
    reason: str | None = None,
    message: str | None = None,
    conditions: Sequence[tuple[str, str, str, str]] = (),
    labels: dict[str, str] | None = None,
    age_s: float = 5,
    deleted: bool = False,
    overdue_s: float = -3600,
    limits: dict[str, str] | None = None,
) -> client.V1Pod:
    """A pod of class `training`; `conditions` are (type, status, reason, message).

    Its times count from this call, which for a parameter of a test is when tests are collected, many minutes before it
    runs. So one that is deleted has an hour left to end in, where `overdue_s` does not say since when it should have.
    """
    status = client.V1ContainerStatus(
        name="worker", ready=True, restart_count=0, image="i", image_id="", state=container
    )
    limits = limits or {"memory": "48Gi", "ephemeral-storage": "50Gi", "nvidia.com/gpu": "1"}
    return client.V1Pod(
        metadata=client.V1ObjectMeta(
            name=name,
            labels={"datashop/class": "training"} | (labels or {}),
            creation_timestamp=datetime.now(UTC) - timedelta(seconds=age_s),
            deletion_timestamp=datetime.now(UTC) - timedelta(seconds=overdue_s) if deleted else None,
        ),
        spec=client.V1PodSpec(
            containers=[
                client.V1Container(
                    name="worker", image="registry/w:1", resources=client.V1ResourceRequirements(limits=limits)
                )
            ]
        ),
        status=client.V1PodStatus(
            phase=phase,
            reason=reason,
            message=message,
            conditions=[client.V1PodCondition(type=t, status=s, reason=r, message=m) for t, s, r, m in conditions],
            container_statuses=[status] if container else None,
        ),
    )


def event(reason: str, about: str, message: str) -> Any:
    return SimpleNamespace(
        reason=reason, message=message, type="Warning", count=1, involved_object=SimpleNamespace(name=about)
    )


def matches(labels: dict[str, str] | None, selector: str | None) -> bool:
    wanted = dict(part.split("=") for part in (selector or "").split(",") if part)
    return wanted.items() <= (labels or {}).items()


@dataclass
class Kube:
    """The parts of the core and batch API that are used; `failed` names Jobs.

    `born` says how a pod that is created looks afterwards; `life` is asked at each look at it, and gives what it is by
    then (null: it is gone)."""

    born: Callable[[client.V1Pod], client.V1Pod] = lambda body: body
    life: Callable[[client.V1Pod, int], client.V1Pod | None] = lambda seen, looks: seen
    pods: list[client.V1Pod] = field(default_factory=list)
    jobs: list[Any] = field(default_factory=list)
    events: list[Any] = field(default_factory=list)
    log: Callable[[client.V1Pod], str] = lambda seen: ""
    created: list[client.V1Pod] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    failed: set[str] = field(default_factory=set)
    refuses: ApiException | None = None
    looks: int = 0

    def create_namespaced_pod(self, namespace: str, body: client.V1Pod) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.created.append(body)
        self.pods.append(self.born(body))

    def delete_namespaced_pod(self, name: str, namespace: str) -> None:
        self.deleted.append(name)
        self.pods = [each for each in self.pods if each.metadata.name != name]

    def read_namespaced_pod(self, name: str, namespace: str) -> client.V1Pod:
        raise ApiException(status=404, reason="Not Found")

    def list_namespaced_pod(
        self, namespace: str, label_selector: str | None = None, field_selector: str | None = None
    ) -> Any:
        self.looks += 1
        self.pods = [now for each in self.pods if (now := self.life(each, self.looks)) is not None]
        name = (field_selector or "").removeprefix("metadata.name=")
        return SimpleNamespace(
            items=[
                each
                for each in self.pods
                if matches(each.metadata.labels, label_selector) and name in ("", each.metadata.name)
            ]
        )

    def list_namespaced_job(self, namespace: str, label_selector: str | None = None) -> Any:
        return SimpleNamespace(items=[job for job in self.jobs if matches(job.metadata.labels, label_selector)])

    def read_namespaced_job_status(self, name: str, namespace: str) -> Any:
        failed = 1 if name in self.failed else None
        return SimpleNamespace(status=SimpleNamespace(failed=failed, active=None if failed else 1, succeeded=None))

    def delete_namespaced_job(self, name: str, namespace: str) -> None:
        self.deleted.append(name)

    def list_namespaced_event(self, namespace: str, field_selector: str) -> Any:
        what, value = field_selector.split("=")
        about = {"reason": lambda e: e.reason, "involvedObject.name": lambda e: e.involved_object.name}[what]
        return SimpleNamespace(items=[each for each in self.events if about(each) == value])

    def read_namespaced_pod_log(self, *args: Any, **settings: Any) -> Any:
        """A stream of lines with their time where it is followed, else the text."""
        name = settings.get("name") or args[0]
        lines = self.log(next(each for each in self.pods if each.metadata.name == name)).splitlines(keepends=True)
        if settings.get("follow"):
            return [f"2026-11-22T01:00:00.{at:06d}Z {line}".encode() for at, line in enumerate(lines)]
        return SimpleNamespace(data=io.BytesIO("".join(lines).encode()).read())
