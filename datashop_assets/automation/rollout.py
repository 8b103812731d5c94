"""A plan for people, before anything is launched: what is stale, in which runs, what waits and why, and what it takes.

What belongs here: how a plan and its estimate read. What does not: the plan (`reconcile.py`), the arithmetic
(`estimates.py`), who shows it (`plan_command.py`, `rollout_assets.py`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import dagster as dg
import polars as pl

from datashop_assets.automation.estimates import JobEstimate, estimates, following
from datashop_assets.automation.measured import measure
from datashop_assets.automation.pauses import Paused
from datashop_assets.automation.reconcile import outlook, reconciled_jobs
from datashop_assets.automation.requests import purposes
from datashop_assets.automation.runs import runs_to_respect
from datashop_assets.automation.status_map import AtRest, Noted, StatusMap, status_map
from datashop_assets.automation.work import REASONS, Outlook, Waiting, anything, nobody
from datashop_assets.classifier.registry import promoted
from datashop_assets.graph import Graph
from datashop_assets.one_look import OneLook
from datashop_assets.seams import Lake, LakeHistory, Rater

UNKNOWN = "not known"


@dataclass(frozen=True)
class Rollout:
    """What a look found, what it takes, and how far each lens is."""

    seen: Outlook
    estimates: Sequence[JobEstimate]
    paused: Paused
    status: StatusMap

    @property
    def runs(self) -> int:
        return len(self.seen.work)

    @property
    def cells(self) -> int:
        return sum(work.cells for work in self.seen.work)

    def jobs(self) -> pl.DataFrame:
        """A row for each job and lens that has work or follows, and one for all; what was not measured says so."""
        rows = [_row(each) for each in self.estimates]
        if len(rows) > 1:
            rows.append(_sum(self.estimates))
        return pl.DataFrame(rows, schema=dict.fromkeys(COLUMNS, pl.String))

    def stretches(self, most: int) -> pl.DataFrame:
        """The first runs, in the order in which they are asked for."""
        rows = [
            {
                "job": work.job,
                "lens": work.stretch.lens or "-",
                "first shard": work.stretch.first,
                "last shard": work.stretch.last,
                "stale cells": str(work.cells),
                "cells": str(work.stretch.cells),
            }
            for work in self.seen.work[:most]
        ]
        names = ["job", "lens", "first shard", "last shard", "stale cells", "cells"]
        return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String))

    def waiting(self) -> pl.DataFrame:
        """What is stale and not asked for, with the reason."""
        rows = [
            {
                "job": each.job,
                "lens": each.lens or "-",
                "cells": str(each.cells),
                "why": REASONS[each.reason] + (f": {each.detail}" if each.detail else ""),
            }
            for each in self.seen.waiting
        ]
        return pl.DataFrame(rows, schema=dict.fromkeys(("job", "lens", "cells", "why"), pl.String))

    def pauses(self) -> str:
        """A sentence: what is paused."""
        if self.paused.everything:
            return "everything is paused"
        return f"paused: {', '.join(sorted(self.paused.names))}" if self.paused.names else "nothing is paused"


def look_ahead(
    lake: Lake,
    history: LakeHistory,
    graph: Graph,
    encoder: str,
    shards: Sequence[str],
    raters: Callable[[str], Rater],
    instance: dg.DagsterInstance | None,
) -> Rollout:
    """The plan as it is now, and what it takes. Without an instance nothing is busy, and no rates are known."""
    busy, largest, settings, look = nobody, anything, graph.project.automation, OneLook(lake)
    at_rest: AtRest = nobody
    if instance is not None:
        respected = runs_to_respect(instance, settings).over(shards, purposes(look, graph))
        busy, largest, at_rest = respected.busy, respected.largest, respected.at_rest
    noted = Noted()
    seen = outlook(look, graph, encoder, shards, raters=raters, busy=busy, largest=largest, note=noted)
    measured = measure(look, history, graph, encoder, instance, reconciled_jobs(graph))
    waiting = _without_people(look, graph, seen.waiting)
    made = [*estimates(seen.work, shards, measured), *following(waiting, seen.work, measured)]
    paused = Paused.now(look, settings)
    return Rollout(seen, made, paused, status_map(look, graph, shards, noted, seen.waiting, paused, at_rest))


def _without_people(lake: Lake, graph: Graph, waiting: Sequence[Waiting]) -> list[Waiting]:
    """What does not also wait for a person to promote a classifier."""
    unpromoted = {lens for lens in graph.score_lenses if promoted(lake, lens) is None}
    return [each for each in waiting if each.job not in PROMOTED_JOBS or each.lens not in unpromoted]


# Jobs that do nothing for a lens before a classifier of it is promoted.
PROMOTED_JOBS = ("score_documents", "set_cutoff", "filter_documents")
COLUMNS = ("job", "lens", "when", "runs", "stale cells", "bridged", "documents", "hours", "range", "disk", "cost")


def _row(each: JobEstimate) -> dict[str, str]:
    hours, span = UNKNOWN, "no run was measured"
    if each.hours is not None:
        fastest, middle, slowest = each.hours
        hours = f"{middle:.2g}"
        span = f"{fastest:.2g} to {slowest:.2g}, by {each.measured_runs} run{'s' * (each.measured_runs != 1)}"
    return {
        "job": each.job,
        "lens": each.lens or "-",
        "when": "follows" if each.follows else "now",
        "runs": "not planned yet" if each.runs is None else str(each.runs),
        "stale cells": f"{each.cells:,}",
        "bridged": "-" if each.bridged is None else f"{each.bridged:,}",
        "documents": UNKNOWN if each.documents is None else f"{each.documents:,}",
        "hours": hours,
        "range": span,
        "disk": UNKNOWN if each.disk_bytes is None else _size(each.disk_bytes),
        "cost": UNKNOWN if each.cost is None else f"{each.cost:.2f}",
    }


def _sum(every: Sequence[JobEstimate]) -> dict[str, str]:
    """All jobs together: what is known of them, and that it is not all. Documents are not added up: jobs share them."""
    hours = [each.hours for each in every if each.hours is not None]
    disks = [each.disk_bytes for each in every if each.disk_bytes is not None]
    costs = [each.cost for each in every if each.cost is not None]
    row = _row(
        JobEstimate(
            "all",
            None,
            sum(each.runs or 0 for each in every),
            sum(each.cells for each in every),
            sum(each.bridged or 0 for each in every),
            None,
            (sum(h[0] for h in hours), sum(h[1] for h in hours), sum(h[2] for h in hours)) if hours else None,
            sum(each.measured_runs for each in every),
            sum(disks) if disks else None,
            sum(costs) if costs else None,
        )
    )
    partly = {
        "runs": any(each.follows for each in every),
        "hours": 0 < len(hours) < len(every),
        "disk": 0 < len(disks) < len(every),
        "cost": 0 < len(costs) < len(every),
    }
    return row | {name: f"at least {row[name]}" for name, some in partly.items() if some} | {"when": "-"}


def _size(size: int) -> str:
    value, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.3g} {unit}"
