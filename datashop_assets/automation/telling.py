"""How far people were told of runs that ended, so that a receiver that is down misses nothing.

What belongs here: the cursor of the alert sensors, and the runs that it leaves. What does not: what is told of a run
(`alerts.py`, `check_alerts.py`), sending (`resources/webhooks.py`).

Dagster's own run status sensors go on to the next run where telling of one fails. These keep in their cursor how far
they have told, and go on from there: a message is sent until the webhook takes it, at times twice.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import dagster as dg

# A run's end is written a moment before others can read it: so far back each tick looks again.
OVERLAP_S = 120.0
# A sensor has a minute, and the last message may take half of it. What is left is told of at the next tick.
TELLING_S = 20.0


@dataclass(frozen=True)
class Told:
    """How far people were told: of all runs that ended until `until` (epoch seconds), and of the `runs` near it, with
    the time of each."""

    until: float
    runs: Mapping[str, float] = field(default_factory=dict)

    def of(self, run: str, at: float) -> "Told":
        """After one more."""
        until = max(self.until, at)
        near = {known: when for known, when in self.runs.items() if when > until - OVERLAP_S}
        return Told(until, near | {run: at})

    @property
    def cursor(self) -> str:
        return json.dumps({"until": self.until, "runs": self.runs})


def ended_since(
    instance: dg.DagsterInstance, told: Told, *statuses: dg.DagsterRunStatus
) -> list[tuple[dg.DagsterRun, float]]:
    """Runs that ended so and that nobody was told of, each with the time of its end, the earliest first."""
    since = told.until - OVERLAP_S
    asked = dg.RunsFilter(statuses=list(statuses), updated_after=datetime.fromtimestamp(since, UTC))
    records = instance.get_run_records(asked, order_by="update_timestamp", ascending=True)
    ended = [(record.dagster_run, record.end_time or record.update_timestamp.timestamp()) for record in records]
    # A run that was given a tag later is among them, with an end long ago.
    new = [(run, at) for run, at in ended if at > since and run.run_id not in told.runs]
    return sorted(new, key=lambda each: each[1])


def time_is_up(started: float) -> bool:
    """Whether a tick that started then (monotonic seconds) should leave the rest to the next one."""
    return time.monotonic() - started > TELLING_S


def in_words(sent: int, what: str, refused: int, left: int) -> str:
    """What a tick did, for its page."""
    lost = f"; {refused} messages were refused for good (see the log)" if refused else ""
    return f"told of {sent} {what}{lost}" + (f"; {left} others at the next tick" if left else "")
