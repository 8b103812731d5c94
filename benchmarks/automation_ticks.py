"""Ticks of the sensors and submission of runs, as the daemon does both, for `python -m benchmarks.automation`.

What belongs here: asking the code location's process for a tick, and handing its run requests to the daemon's own code.
What does not: the instance (`automation_instance.py`), the web pages (`automation_queries.py`).
"""

import logging
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._daemon.sensor import _submit_run_request

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tick:
    """What one evaluation of a sensor took, by the clock and by the code location's processor, and what it asks for."""

    wall_s: float
    cpu_s: float
    runs: Sequence[dg.RunRequest]
    new_partitions: Sequence[str]
    skipped: str | None


class Location:
    """The code location that a context holds, as the daemon sees it."""

    def __init__(self, context: WorkspaceProcessContext) -> None:
        self.context = context
        self.instance = context.instance
        entry = next(iter(context.create_request_context().get_code_location_entries().values()))
        if entry.code_location is None:
            raise RuntimeError(f"the definitions cannot be loaded: {entry.load_error}")
        self.location = entry.code_location
        self.repository = next(iter(self.location.get_repositories().values()))
        self.processes = psutil.Process().children(recursive=True)

    def sensor(self, name: str) -> Any:
        return next(sensor for sensor in self.repository.get_sensors() if sensor.name == name)

    def tick(self, name: str, cursor: str | None = None) -> Tick:
        """Evaluate the sensor once; nothing of what it asks for is done."""
        started, cpu = time.perf_counter(), self._cpu_s()
        told = self.location.get_sensor_execution_data(
            self.instance, self.repository.handle, name, None, None, cursor, [name, str(time.time_ns())], None
        )
        wall = time.perf_counter() - started
        keys = [key for asked in told.dynamic_partitions_requests or () for key in asked.partition_keys]
        return Tick(wall, self._cpu_s() - cpu, told.run_requests or (), keys, told.skip_message)

    def submit(self, name: str, requests: Sequence[dg.RunRequest]) -> list[float]:
        """Queue the runs, as the daemon does after the sensor's tick; seconds of each."""
        took = []
        for request in requests:
            started = time.perf_counter()
            done = _submit_run_request(
                dg_run_id(), request, self.context, self.sensor(name), {}, LOG, sensor_debug_crash_flags=None
            )
            if done.error_info is not None:
                raise RuntimeError(f"the run was not queued: {done.error_info.message}")
            took.append(time.perf_counter() - started)
        return took

    @property
    def peak_mb(self) -> float:
        """The most memory that the code location's process held."""
        return max(_status_kb(process.pid, "VmHWM") for process in self.processes if process.is_running()) / 1000

    def _cpu_s(self) -> float:
        times = [process.cpu_times() for process in self.processes if process.is_running()]
        return sum(each.user + each.system for each in times)


def dg_run_id() -> str:
    from dagster._core.utils import make_new_run_id

    return make_new_run_id()


def _status_kb(pid: int, field: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith(field)), 0)


def add_partitions(location: Location) -> Mapping[str, Any]:
    """Ticks of the landing sensor until it finds nothing new; what the first tick and adding its partitions took."""
    first = tick = location.tick("landing_sensor")
    added, started = 0, time.perf_counter()
    while tick.new_partitions:
        location.instance.add_dynamic_partitions("shard", tick.new_partitions)
        added += len(tick.new_partitions)
        tick = location.tick("landing_sensor")
    return {"first_landing_tick_s": first.wall_s, "partitions": added, "adding_s": time.perf_counter() - started}


def medians(ticks: Sequence[Tick]) -> tuple[float, float]:
    """Of the clock and of the processor."""
    return statistics.median(tick.wall_s for tick in ticks), statistics.median(tick.cpu_s for tick in ticks)
