"""What rests after runs that failed or were cancelled: which cells, how long, and how they are tried again.

What belongs here: the rules, over plain records of ended runs. What does not: reading them from Dagster (`runs.py`),
which cells are stale (`reconcile.py`): a cell that a failed run committed is not stale, and nobody asks about it.

A run covers up to thousands of cells, and its record does not say which of them broke it. So all that are still stale
are suspects: they rest, then they are tried in runs of SUSPECTS, then each alone. A bad cell among 256 is alone after
two failures, and the other 255 are done.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

from datashop_assets.automation_settings import AutomationSettings

# Cells of a run at most, by how often the worst of them failed. A commit holds 16 (`cellwork.refresh`).
SUSPECTS = 16
# A rest doubles up to this many times `cool_down_s`: a day, as it comes.
LONGEST_REST = 24
# Failures are remembered for this many times `cool_down_s`: a week, as it comes.
REMEMBERED = 7 * LONGEST_REST
# The first rest of a run that was lost with its code server: that is no sign of what its cells are like.
LOST_REST_S = 60
# After failures of so many different stretches in a row, the fault lies with the job and not with cells: it is tried
# with one run at a time.
IN_A_ROW = 8
ROWS_SHOWN = 50


@dataclass(frozen=True)
class Ended:
    """A run that failed or was cancelled, at `at` (epoch seconds), and the shards that it covered. `lost`: it failed
    with the code server that ran it."""

    run: str
    at: float
    cancelled: bool
    shards: Sequence[str]
    lost: bool = False


@dataclass(frozen=True)
class Rest:
    """Of one cell: how often it was in a failed run, until when it is not asked for (epoch seconds), the last run."""

    failures: int
    until: float
    run: str
    cancelled: bool

    @property
    def why(self) -> str:
        """For people."""
        if self.cancelled:
            return "cancelled"
        times = f"failed {self.failures} time{'s' * (self.failures > 1)}"
        return times if self.failures else "lost with its code server"


@dataclass(frozen=True)
class Resting:
    """Cells of one job and lens, next to each other, that rest for the same reason. `needs_somebody`: they failed as
    often as the project file's `attempts`, and somebody should look."""

    job: str
    lens: str | None
    first: str
    last: str
    shards: int
    rest: Rest
    needs_somebody: bool

    def __str__(self) -> str:
        of = f" of {self.lens}" if self.lens else ""
        where = self.first if self.first == self.last else f"{self.first}..{self.last} ({self.shards} shards)"
        again = _time(self.rest.until)
        return f"{self.job}{of}, {where}: {self.rest.why}, last in run {self.rest.run}; tried again after {again}"


def rest_s(failures: int, settings: AutomationSettings) -> float:
    """Seconds that a cell rests after so many failures: `cool_down_s` up to `attempts` of them, then twice as long
    after each, up to LONGEST_REST times."""
    doublings = min(max(0, failures - settings.attempts), LONGEST_REST)
    return settings.cool_down_s * float(min(2**doublings, LONGEST_REST))


def rests(ended: Iterable[Ended], settings: AutomationSettings) -> dict[str, Rest]:
    """By shard, what the ended runs of one job and lens say of it; the rest may be over. A cancelled run is no failure,
    and its cells rest for `cool_down_s`. Nor is the first one that was lost, after which they rest for LOST_REST_S:
    they may be innocent, and a second one may show that they are what kills the server."""
    found: dict[str, Rest] = {}
    for run in sorted(ended, key=lambda run: run.at):
        for shard in run.shards:
            before = found.get(shard)
            forgiven = run.cancelled or (run.lost and before is None)
            failures = (before.failures if before else 0) + (not forgiven)
            pause = settings.cool_down_s if run.cancelled else rest_s(failures, settings)
            pause = min(pause, LOST_REST_S) if forgiven and run.lost else pause
            until = max(run.at + pause, before.until if before else 0)
            found[shard] = Rest(failures, until, run.run, run.cancelled)
    return found


def largest(found: Mapping[str, Rest]) -> dict[str, int]:
    """By shard, the cells that a run over it may cover at most; shards that never failed are not in it."""
    return {shard: SUSPECTS if rest.failures == 1 else 1 for shard, rest in found.items() if rest.failures}


def stretches(
    job: str,
    lens: str | None,
    found: Mapping[str, Rest],
    shards: Sequence[str],
    now: float,
    settings: AutomationSettings,
    *,
    stale: Collection[str] | None = None,
) -> list[Resting]:
    """Those of the shards that rest now, in their order, as stretches; of the `stale` ones alone, where it is known."""

    def reason(shard: str) -> Rest | None:
        rest = found.get(shard)
        return rest if rest and rest.until > now and (stale is None or shard in stale) else None

    resting = []
    for rest, group in groupby(shards, key=reason):
        if rest is not None:
            inside = list(group)
            needs_somebody = rest.failures >= settings.attempts
            resting.append(Resting(job, lens, inside[0], inside[-1], len(inside), rest, needs_somebody))
    return resting


def resting_table(resting: Sequence[Resting]) -> str:
    """Markdown for people: what rests, those that failed most often first, each with its last run."""
    if not resting:
        return "Nothing rests: no run of the sensor or the schedule failed or was cancelled of late."
    ordered = sorted(resting, key=lambda each: (-each.rest.failures, each.job, each.lens or "", each.first))
    lines = ["| job | lens | shards | why | tried again after | last run |", "|---|---|---|---|---|---|"]
    for each in ordered[:ROWS_SHOWN]:
        where = each.first if each.first == each.last else f"{each.first} .. {each.last} ({each.shards})"
        run = f"[{each.rest.run[:8]}](/runs/{each.rest.run})"
        lines.append(
            f"| {each.job} | {each.lens or ''} | {where} | {each.rest.why} | {_time(each.rest.until)} | {run} |"
        )
    more = len(ordered) - ROWS_SHOWN
    return "\n".join([*lines, *([f"\nand {more} more"] if more > 0 else [])])


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
