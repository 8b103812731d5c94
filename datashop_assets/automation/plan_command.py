"""`python -m datashop_assets.automation.plan_command`: what would be asked for now, what waits and why, what it takes.

What belongs here: the command line. What does not: the plan and how it reads (`rollout.py`). Nothing is launched.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict

import dagster as dg
import polars as pl

from datashop_assets.automation.rollout import Rollout, look_ahead
from datashop_assets.corpus.registry import active_shards
from datashop_assets.graph import load_graph
from datashop_assets.partitions import SHARDS
from datashop_assets.project import Project
from datashop_assets.seams import PermanentError
from resources.lake import LakeError
from resources.lake_history import DeltaHistory
from resources.profiles import Profile, build_resources, dagster_home, profile_from_environment, project_of


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the plan of the project that the environment names; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m datashop_assets.automation.plan_command",
        description="What the reconcile sensor and the scheduled backfill would ask for now, what waits and why, and "
        "what it takes by what earlier runs took. Launches nothing.",
    )
    parser.add_argument("--stretches", type=int, default=20, metavar="N", help="runs that are listed (default: 20)")
    parser.add_argument("--json", action="store_true", help="everything as one JSON object")
    parser.add_argument(
        "--tables-alone",
        action="store_true",
        help="do not open Dagster's instance: nothing counts as busy, and there are no measured hours",
    )
    given = parser.parse_args(arguments)
    try:
        profile = profile_from_environment()
        project = project_of(profile)
        found = plan_of(profile, project, tables_alone=given.tables_alone)
    except (ValueError, LookupError, LakeError, PermanentError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    print(as_json(found) if given.json else as_text(project, found, given.stretches))  # noqa: T201
    return 0


def plan_of(profile: Profile, project: Project, *, tables_alone: bool = False) -> Rollout:
    """The plan of a profile's project. Shards that Dagster does not know yet are no partitions and have no runs."""
    graph, names = load_graph(project), ("lake", "encoder", "raters")
    made = build_resources(profile, project)
    with dg.build_resources({name: made[name] for name in names}) as resources:
        lake, encoder, raters = (getattr(resources, name) for name in names)
        history = DeltaHistory(lake)
        if tables_alone:
            shards = [shard.shard for shard in active_shards(lake, project)]
            return look_ahead(lake, history, graph, encoder.id, shards, raters, None)
        os.environ.setdefault("DAGSTER_HOME", str(dagster_home(profile)))
        with dg.DagsterInstance.get() as instance:
            shards = list(instance.get_dynamic_partitions(str(SHARDS.name)))
            return look_ahead(lake, history, graph, encoder.id, shards, raters, instance)


def as_text(project: Project, found: Rollout, stretches: int) -> str:
    """The plan for a terminal."""
    parts = [
        f"{project.name}, {project.automation.order.replace('_', ' ')}: {found.runs} runs over {found.cells:,} stale "
        f"cells; {found.pauses()}. Nothing was launched.",
    ]
    if found.runs:
        parts += [_aligned(found.jobs()), HOURS, _aligned(found.stretches(stretches))]
        parts += [f"... and {found.runs - stretches} more runs"] if found.runs > stretches else []
    parts += ["What waits:", _aligned(found.waiting())] if found.waiting().height else ["Nothing waits."]
    return "\n\n".join(parts)


HOURS = (
    "Hours are of runs one after the other, starts included; those that run at once share them. What follows is "
    "estimated by its cells, of the mean shard, a cut-off by all documents; it has no runs yet. A cut-off that the new "
    "scores may ask for is not in it."
)


def as_json(found: Rollout) -> str:
    """Everything, for programs."""
    waiting = [asdict(each) for each in found.seen.waiting]
    return json.dumps(
        {
            "runs": found.runs,
            "cells": found.cells,
            "paused": {"everything": found.paused.everything, "names": sorted(found.paused.names)},
            "jobs": [asdict(each) for each in found.estimates],
            "work": [asdict(work) for work in found.seen.work],
            "waiting": waiting,
        }
    )


def _aligned(frame: pl.DataFrame) -> str:
    """Columns of text, each as wide as its longest value."""
    rows = [tuple(frame.columns), *frame.iter_rows()]
    widths = [max(len(row[column]) for row in rows) for column in range(frame.width)]
    lines = ("  ".join(value.ljust(width) for value, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


if __name__ == "__main__":
    sys.exit(main())
