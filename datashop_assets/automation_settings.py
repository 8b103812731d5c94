"""What the project file says of automation: what is asked for without a person, in which order, and within what budget.

What belongs here: the settings, checked and frozen. What does not: what is stale (`automation/reconcile.py`), how it
becomes runs (`automation/sensors.py`, `automation/schedules.py`).
"""

from typing import Annotated, Literal

from croniter import CroniterBadDateError, croniter
from pydantic import AfterValidator, Field

from datashop_assets.settings import Settings

CRON_NAMES = ("@hourly", "@daily", "@weekly", "@monthly", "@yearly")
CRON_FIELDS = ("minute", "hour", "day of the month", "month", "day of the week")


def _comes_round(cron: str) -> str:
    """Raises ValueError naming what is wrong with it: it, a field of it, or that there is no such day."""
    if cron in CRON_NAMES:
        return cron
    fields = cron.split()
    if len(fields) != len(CRON_FIELDS):
        raise ValueError(
            f"{cron!r} is no time that comes round: a cron expression has five fields, such as '0 2 * * *' for two "
            f"o'clock each night, or is one of {', '.join(CRON_NAMES)}"
        )
    alone = [" ".join(["*"] * at + [field] + ["*"] * (4 - at)) for at, field in enumerate(fields)]
    for name, field, expression in zip(CRON_FIELDS, fields, alone, strict=True):
        if not croniter.is_valid(expression):
            raise ValueError(f"the {name} of the cron expression {cron!r} cannot be {field!r}")
    try:
        croniter(cron).get_next()
    except CroniterBadDateError:
        raise ValueError(f"{cron!r} never comes: no month has that day") from None
    return cron


Cron = Annotated[str, AfterValidator(_comes_round)]


class BackfillSettings(Settings):
    """The scheduled backfill: the same stale cells as the sensor's, more of them at once, after all else."""

    cron: Cron | None = Field(None, description="when, e.g. '0 2 * * *' for two o'clock each night (UTC); null: never")
    max_cells: int = Field(10_000, ge=256, description="cells of its runs that are outstanding at most; a run has 256")
    max_runs: int = Field(4, gt=0, description="runs of the backfill that are outstanding at most")
    priority: int = Field(-10, description="in the queue of runs; what the sensor and people launch has 0")


class HousekeepingSettings(Settings):
    """Compaction, vacuum and pruning of old runs, on a schedule."""

    cron: Cron | None = Field(None, description="when, e.g. '0 4 * * 0' for four o'clock on Sundays (UTC); null: never")
    dry_run: bool = Field(True, description="only report what would be removed")
    retention_hours: float = Field(
        168, ge=0, description="files of replaced rows stay this long; those of released table versions stay for ever"
    )
    compact_from: int = Field(
        8, ge=2, description="small files (below 10 MB) in a partition of a table from which they are made few"
    )
    keep_runs_days: float = Field(30, gt=0, description="ended runs and their events stay this long")


class AutomationSettings(Settings):
    """What sensors and schedules ask for."""

    order: Literal["newest_first", "oldest_first"] = Field(
        "newest_first", description="which crawl is brought up to date first, where not everything can be asked for"
    )
    paused: bool = Field(False, description="ask for nothing at all; new files still become shards")
    paused_lenses: tuple[str, ...] = Field((), description="ask for nothing of these lenses and attributes")
    look_every_s: int = Field(
        30, gt=0, description="seconds between two looks of a sensor, at landings and at what is stale"
    )
    max_runs: int = Field(8, gt=0, description="runs of the sensor that are outstanding at most")
    attempts: int = Field(
        3, ge=1, description="failures of the same cell after which its rest doubles, and somebody should look"
    )
    cool_down_s: float = Field(
        3600,
        gt=0,
        description="rest of a cell after a failure, doubling with each one after `attempts`; what a person cancelled "
        "rests as long",
    )
    new_shards_per_tick: int = Field(1000, gt=0, description="shards that one look at the landings registers at most")
    evaluate: bool = Field(
        False, description="evaluate again by itself where control or candidate was annealed anew; costs an evaluation"
    )
    backfill: BackfillSettings = BackfillSettings()
    housekeeping: HousekeepingSettings = HousekeepingSettings()
    webhook_url_env: str | None = Field(
        None,
        description="environment variable with the URL that failed runs and checks are posted to; null: nobody is told",
    )
    ui_url: str = Field(
        "http://127.0.0.1:3000", pattern="^https?://", description="where people open the UI: alerts link to runs there"
    )
    release_max_age_h: float | None = Field(
        None, gt=0, description="a release older than this is shown as overdue; null: it may be as old as it likes"
    )

    @property
    def paused_names(self) -> tuple[str, ...]:
        """What the project file pauses: * for everything."""
        return ("*",) if self.paused else self.paused_lenses
