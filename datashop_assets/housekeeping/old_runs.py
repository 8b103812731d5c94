"""Runs that ended long ago and that the UI shows nothing of.

What belongs here: which of them go. What does not: Dagster's storage (`resources/run_storage.py`).
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from datashop_assets.housekeeping.chores import Chore
from resources.run_storage import RunStorage


def prune_runs(runs: RunStorage, keep_days: float, dry_run: bool) -> Iterator[Chore]:
    """Delete the runs that ended more than `keep_days` ago, but for those that hold what the UI shows of an asset."""
    old = list(runs.ended_before(datetime.now(UTC) - timedelta(days=keep_days)))
    if not old:
        return
    shown = runs.shown(run.run_id for run in old)
    for run in old:
        if run.run_id in shown:
            continue
        if not dry_run:
            runs.delete(run.run_id)
        ended = "" if run.ended is None else f", ended {datetime.fromtimestamp(run.ended, UTC):%Y-%m-%d %H:%M} UTC"
        yield Chore(f"run {run.run_id}", "delete", 1, None, not dry_run, f"{run.job}, {run.status.lower()}{ended}")
