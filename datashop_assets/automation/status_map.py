"""How far each lens is, shard by shard: what is at its wanted version, what is not, and why it is not being made.

What belongs here: one status of each cell, from what a look found, counted in stretches of the crawl. What does not:
finding it (`reconcile.py`), drawing it (`status_picture.py`).
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from datashop_assets.automation.pauses import Paused
from datashop_assets.automation.reconcile import ATTRIBUTE_JOBS, CASCADE_JOB, FREE_JOBS
from datashop_assets.automation.work import Waiting
from datashop_assets.graph import Graph
from datashop_assets.records import DOCUMENTS, FILTERED, SCORES, Cell, TableSpec
from datashop_assets.scoring.tables import ATTRIBUTE_SCORES
from datashop_assets.seams import Lake

PARSING = (FREE_JOBS[0], CASCADE_JOB)
# Columns of the map at most: of 10,000 shards each is a hundred.
BUCKETS = 100
# The shards of a job and lens that rest.
AtRest = Callable[[str, str | None], Collection[str]]


class Status(StrEnum):
    """What a cell is, or why it is not being made."""

    FRESH = "at the wanted version"
    UNDER_WAY = "under way"
    OLDER = "older version"
    MISSING = "missing"
    PAUSED = "paused"
    RESTING = "resting"


class Noted:
    """What a look tells of the jobs, to be given to `reconcile.outlook` as its `note`."""

    def __init__(self) -> None:
        self.active: dict[str, None] = {}
        self.fresh: dict[tuple[str, str | None], set[str]] = {}

    def __call__(self, job: str, wanted: Collection[Cell], stale: Collection[Cell]) -> None:
        """Keep the shards that are at their wanted version and, of the first step, which there are at all."""
        outdated = set(stale)
        for cell in wanted:
            if cell not in outdated:
                self.fresh.setdefault((job, cell.lens), set()).add(cell.shard)
        if job in PARSING:
            self.active |= dict.fromkeys(cell.shard for cell in wanted)


@dataclass(frozen=True)
class Row:
    """What is made by one job of one lens or attribute: how many cells of each stretch of shards have which status."""

    name: str
    stretches: Sequence[Mapping[Status, int]]

    def total(self, status: Status) -> int:
        return sum(stretch.get(status, 0) for stretch in self.stretches)


@dataclass(frozen=True)
class StatusMap:
    """The rows in the order of the flow, lens by lens, over `shards`: those of the crawl, in its order."""

    rows: Sequence[Row]
    shards: Sequence[str]

    def total(self, status: Status) -> int:
        return sum(row.total(status) for row in self.rows)


def status_map(
    lake: Lake,
    graph: Graph,
    shards: Sequence[str],
    noted: Noted,
    waiting: Sequence[Waiting],
    paused: Paused,
    at_rest: AtRest,
) -> StatusMap:
    """The map of a look that `noted` was told of. `shards` are all, in Dagster's order; those of no landing are left
    out. Where a step cannot say yet what it will want, as a filter before its cut-off, what is there is an older
    version. A `lake` that was looked at already is opened no more."""
    here = [shard for shard in shards if shard in noted.active]
    held: dict[tuple[str, str | None], set[str]] = {}
    for each in waiting:
        held.setdefault((each.job, each.lens), set()).update(each.shards)

    def row(name: str, jobs: Sequence[str], lens: str | None, table: TableSpec) -> Row:
        keys = [(job, lens) for job in jobs]
        fresh = set[str]().union(*(noted.fresh.get(key, ()) for key in keys))
        busy = set[str]().union(*(held.get(key, ()) for key in keys))
        resting = {shard for key in keys for shard in at_rest(*key)} if busy else busy
        there = set(lake.cells(table)["shard"].to_list())

        def status(shard: str) -> Status:
            if shard in fresh:
                return Status.FRESH
            if lens in paused:
                return Status.PAUSED
            if shard in busy:
                return Status.RESTING if shard in resting else Status.UNDER_WAY
            return Status.OLDER if shard in there else Status.MISSING

        return Row(name, [Counter(map(status, stretch)) for stretch in _stretches(here)])

    rows = [row("documents", PARSING, None, DOCUMENTS)]
    for attribute in graph.project.attributes:
        job = ATTRIBUTE_JOBS[attribute in graph.derived_attributes]
        rows.append(row(attribute, [job], attribute, ATTRIBUTE_SCORES.of(attribute)))
    for lens in graph.score_lenses:
        rows.append(row(f"{lens}: scores", ["score_documents"], lens, SCORES.of(lens)))
        rows.append(row(f"{lens}: filtered", ["filter_documents"], lens, FILTERED.of(lens)))
    return StatusMap(rows, here)


def _stretches(shards: Sequence[str]) -> list[Sequence[str]]:
    """The shards cut into BUCKETS neighbours of even length or fewer, each shard in one."""
    count = min(BUCKETS, len(shards))
    edges = [number * len(shards) // count for number in range(count + 1)] if count else [0]
    return [shards[start:end] for start, end in pairwise(edges)]
