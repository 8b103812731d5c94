"""What a look at the whole graph finds: work, a run each, and what waits, with the reason.

What belongs here: these types, the order in which work is asked for, budgets. What does not: finding it
(`reconcile.py`), making runs of it (`requests.py`, `sensors.py`, `schedules.py`).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from datashop_assets.lineage import Rectangle
from datashop_assets.records import Cell

# The shards of a job and lens that runs work on already, or that have to rest for a while.
Busy = Callable[[str, str | None], Collection[str]]
# How many cells a run over a shard of a job and lens may cover at most, where it failed before.
Largest = Callable[[str, str | None], Mapping[str, int]]
# Told of each job that was looked at: the cells that a run could work on now, and those of them that are stale.
Note = Callable[[str, Collection[Cell], Collection[Cell]], None]

# Why stale cells are not asked for now.
Reason = Literal["paused", "busy", "upstream", "not promoted", "other encoder", "cut-off", "fault"]
REASONS: dict[Reason, str] = {
    "paused": "a person paused it",
    "busy": "runs work on them, a backfill is to make them, or they rest after a failure",
    "upstream": "what they are made of is not there yet",
    "not promoted": "the lens has no classifier in force",
    "other encoder": "the classifier in force reads vectors of another encoder",
    "cut-off": "they wait for the cut-off, and that for all scores",
    "fault": "the work cannot be planned before a fault is mended",
}


@dataclass(frozen=True)
class Work:
    """One run's worth: a job, and the stretch of shards. `target` names the wanted versions and the table's version.

    The table's version makes a key of its own for work that was done, undone by a promotion, and is wanted again.
    `partition_key` is the lens of a job that is partitioned by lens alone, for which the stretch is all shards.
    """

    job: str
    stretch: Rectangle
    target: str
    partition_key: str | None = None

    @property
    def key(self) -> str:
        """The same for the same work asked for again."""
        s = self.stretch
        return f"{self.job}:{s.lens or '-'}:{s.first}..{s.last}:{self.target}"

    @property
    def cells(self) -> int:
        """Stale cells; of a job that is partitioned by lens alone, one."""
        return 1 if self.partition_key else self.stretch.stale


@dataclass(frozen=True)
class Waiting:
    """Stale cells of a job and lens that are not asked for now. `detail` says more, where there is more to say; of
    what is busy, `shards` are the cells' own."""

    job: str
    lens: str | None
    reason: Reason
    cells: int
    detail: str = ""
    shards: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outlook:
    """`work` in the order in which it is to be asked for; `waiting` stage by stage."""

    work: Sequence[Work]
    waiting: Sequence[Waiting]


def nobody(job: str, lens: str | None) -> Collection[str]:  # noqa: ARG001 - the signature of Busy
    """No shard is busy."""
    return ()


def anything(job: str, lens: str | None) -> Mapping[str, int]:  # noqa: ARG001 - the signature of Largest
    """Runs may cover as much as they can."""
    return {}


def nothing_noted(job: str, wanted: Collection[Cell], stale: Collection[Cell]) -> None:
    """Nobody wants to know."""


def by_crawl(work: Sequence[Work], shards: Sequence[str], *, newest_first: bool) -> list[Work]:
    """The newest crawl through all its stages and lenses before an older one, or the other way round; what ends (or
    starts) at the same shard stays in its order, which is that of the flow."""
    position = {shard: index for index, shard in enumerate(shards)}
    if newest_first:
        return sorted(work, key=lambda item: -position[item.stretch.last])
    return sorted(work, key=lambda item: position[item.stretch.first])


def within_budget(work: Sequence[Work], *, cells: int, runs: int) -> list[Work]:
    """The first of the work that has at most so many stale cells and runs."""
    chosen: list[Work] = []
    for item in work[: max(0, runs)]:
        cells -= item.cells
        if cells < 0:
            break
        chosen.append(item)
    return chosen


def told(seen: Outlook) -> str:
    """In a sentence or two: how much there is to do, and what waits for what."""
    reasons: dict[Reason, int] = {}
    for each in seen.waiting:
        reasons[each.reason] = reasons.get(each.reason, 0) + each.cells
    due = f"{len(seen.work)} runs over {sum(work.cells for work in seen.work)} stale cells are due"
    waits = "; ".join(f"{cells} cells wait: {REASONS[reason]}" for reason, cells in reasons.items())
    said = f"{due if seen.work else 'nothing is due'}; {waits}" if waits else due if seen.work else "nothing is stale"
    return ". ".join([said, *faults(seen.waiting)])


def faults(waiting: Sequence[Waiting]) -> list[str]:
    """A line for each job and lens that cannot be planned: what is wrong with it."""
    return [f"{each.job} of {each.lens} cannot be planned: {each.detail}" for each in waiting if each.reason == "fault"]
