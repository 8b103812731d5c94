"""The schedule of housekeeping.

What belongs here: when it runs. What does not: what it does (`datashop_assets/housekeeping/`), the scheduled backfill
(`schedules.py`).
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from datashop_assets.graph import Graph

JOB = "keep_house"


def housekeeping_schedules(graph: Graph, jobs: Sequence[Any]) -> list[dg.ScheduleDefinition]:
    """One, where the project file names a time (`automation.housekeeping.cron`); none where automation is paused."""
    settings = graph.project.automation
    if settings.housekeeping.cron is None or settings.paused:
        return []
    what = "reports what could be removed" if settings.housekeeping.dry_run else "compacts, vacuums and prunes"
    return [
        dg.ScheduleDefinition(
            name="housekeeping_schedule",
            job=next(job for job in jobs if job.name == JOB),
            cron_schedule=settings.housekeeping.cron,
            execution_timezone="UTC",
            default_status=dg.DefaultScheduleStatus.RUNNING,
            tags={"dagster/priority": str(settings.backfill.priority)},
            description=f"At this time housekeeping {what}, after all else in the queue.",
        )
    ]
