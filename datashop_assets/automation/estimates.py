"""What a plan will take, from what earlier runs took: documents, hours, disk, and the raters' cost.

What belongs here: the arithmetic, over measured figures. What does not: measuring them (`measured.py`), the plan
(`reconcile.py`). What was never measured is null, never a guess.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from statistics import median

from datashop_assets.automation.reconcile import FREE_JOBS
from datashop_assets.automation.work import Waiting, Work

# What waits for nothing but work that is due now, or follows that.
FOLLOWS = ("upstream", "cut-off")
_, SCORING, DECIDING, FILTERING = FREE_JOBS


@dataclass(frozen=True)
class MeasuredRun:
    """A run of a job that went well: its seconds from start to end, and the documents that it worked on."""

    job: str
    seconds: float
    documents: int


@dataclass(frozen=True)
class Rate:
    """Seconds a document: the median run, the fastest and the slowest, of `runs`. Starting a run is part of it, so that
    small runs make it look slow."""

    runs: int
    median: float
    fastest: float
    slowest: float


@dataclass(frozen=True)
class Measured:
    """What is known of a corpus and of earlier runs.

    `documents` of each parsed shard, `bytes` of each registered one's crawl files; `rates` by job; `bytes_a_document`
    of what a job writes, and `cost_a_document` of asking raters, in the project file's currency, by job and lens.
    `sample` is how many documents of a shard a job of raters asks for at most, by lens.
    """

    documents: Mapping[str, int]
    bytes: Mapping[str, int]
    rates: Mapping[str, Rate] = field(default_factory=dict)
    bytes_a_document: Mapping[tuple[str, str | None], float] = field(default_factory=dict)
    cost_a_document: Mapping[tuple[str, str | None], float] = field(default_factory=dict)
    sample: Mapping[tuple[str, str | None], int] = field(default_factory=dict)

    @cached_property
    def documents_a_byte(self) -> float | None:
        """Of the shards of which both are known; null where there are none."""
        there = [shard for shard in self.documents if shard in self.bytes]
        size = sum(self.bytes[shard] for shard in there)
        return sum(self.documents[shard] for shard in there) / size if size else None


@dataclass(frozen=True)
class JobEstimate:
    """Of one job and lens. `hours` are of runs one after the other: as many at once as the project file allows share
    them. They are (fastest, median, slowest), over `measured_runs`. `follows`: what waits for the work that is due; its
    runs are not planned yet, and null."""

    job: str
    lens: str | None
    runs: int | None
    cells: int
    bridged: int | None
    documents: int | None = None
    hours: tuple[float, float, float] | None = None
    measured_runs: int = 0
    disk_bytes: int | None = None
    cost: float | None = None
    follows: bool = False


def rate_of(runs: Sequence[MeasuredRun]) -> Rate | None:
    """The rate of runs of one job; null where none worked on a document."""
    each = sorted(run.seconds / run.documents for run in runs if run.documents)
    return Rate(len(each), median(each), each[0], each[-1]) if each else None


def estimates(work: Sequence[Work], shards: Sequence[str], measured: Measured) -> list[JobEstimate]:
    """An estimate for each job and lens, in the order of the work. `shards` are all, in Dagster's order."""
    position = {shard: index for index, shard in enumerate(shards)}
    grouped: dict[tuple[str, str | None], list[Work]] = {}
    for item in work:
        grouped.setdefault((item.job, item.stretch.lens), []).append(item)

    def inside(item: Work) -> Sequence[str]:
        return shards[position[item.stretch.first] : position[item.stretch.last] + 1]

    return [
        _estimate(job, lens, items, [inside(item) for item in items], measured)
        for (job, lens), items in grouped.items()
    ]


def _estimate(
    job: str, lens: str | None, items: Sequence[Work], covered: Sequence[Sequence[str]], measured: Measured
) -> JobEstimate:
    counts = [_documents(job, lens, item, shards, measured) for item, shards in zip(items, covered, strict=True)]
    known = [count for count in counts if count is not None]
    documents = round(sum(known)) if len(known) == len(counts) else None
    bridged = sum(item.stretch.cells - item.stretch.stale for item in items)
    return _taking(measured, documents, JobEstimate(job, lens, len(items), sum(i.cells for i in items), bridged))


def following(waiting: Sequence[Waiting], work: Sequence[Work], measured: Measured) -> list[JobEstimate]:
    """An estimate for each job and lens of which cells wait for the work that is due, by their count: a cell is taken
    to have as many documents as the mean shard. What waits for a person is left to that person's plan.

    What is to be scored, now or after something else, is filtered after that; a filter that waits for its cut-off waits
    for a run over all documents, which decides it.
    """
    cells: dict[tuple[str, str | None], int] = {}

    def add(job: str, lens: str | None, count: int) -> None:
        cells[job, lens] = cells.get((job, lens), 0) + count

    undecided = {each.lens for each in waiting if (each.job, each.reason) == (FILTERING, "cut-off")}
    for each in waiting:
        if each.reason not in FOLLOWS:
            continue
        if each.lens in undecided and each.job == FILTERING:
            cells[DECIDING, each.lens] = 1
        add(each.job, each.lens, each.cells)
        if each.job == SCORING:
            add(FILTERING, each.lens, each.cells)
    for item in work:
        # Of a filter that waits for its cut-off, what has no scores yet is among the cells that wait.
        if item.job == SCORING and item.stretch.lens not in undecided:
            add(FILTERING, item.stretch.lens, item.cells)
    return [
        _taking(
            measured, _of_cells(job, lens, count, measured), JobEstimate(job, lens, None, count, None, follows=True)
        )
        for (job, lens), count in cells.items()
    ]


def _taking(measured: Measured, documents: int | None, made: JobEstimate) -> JobEstimate:
    """The estimate with what so many documents take."""
    rate = measured.rates.get(made.job)
    hours = None
    if documents is not None and rate is not None:
        fastest, middle, slowest = (documents * each / 3600 for each in (rate.fastest, rate.median, rate.slowest))
        hours = (fastest, middle, slowest)

    def times(figures: Mapping[tuple[str, str | None], float]) -> float | None:
        each = figures.get((made.job, made.lens))
        return None if each is None or documents is None else documents * each

    disk = times(measured.bytes_a_document)
    return replace(
        made,
        documents=documents,
        hours=hours,
        measured_runs=rate.runs if rate else 0,
        disk_bytes=None if disk is None else round(disk),
        cost=times(measured.cost_a_document),
    )


def _documents(job: str, lens: str | None, item: Work, shards: Sequence[str], measured: Measured) -> float | None:
    """Documents of the stretch's stale cells: the stretch's, in proportion. Of shards that are not parsed yet as many
    as the parsed ones have for their bytes; null where there are none."""
    each = [_documents_of(shard, job, lens, measured) for shard in shards]
    known = [count for count in each if count is not None]
    return sum(known) * item.stretch.stale / item.stretch.cells if len(known) == len(each) else None


def _of_cells(job: str, lens: str | None, cells: int, measured: Measured) -> int | None:
    """Documents of so many cells, each taken to be the mean shard; of a cut-off, all. Null where no shard's are known,
    or, of all, those of one are not."""
    each = [_documents_of(shard, job, lens, measured) for shard in measured.bytes]
    known = [count for count in each if count is not None]
    if job == DECIDING:
        return round(sum(known)) if known and len(known) == len(each) else None
    return round(cells * sum(known) / len(known)) if known else None


def _documents_of(shard: str, job: str, lens: str | None, measured: Measured) -> float | None:
    """Those that a job works on; of a shard that is not parsed as many as others have for their bytes."""
    count: float | None = measured.documents.get(shard)
    if count is None:
        density = measured.documents_a_byte
        if density is None or shard not in measured.bytes:
            return None
        count = measured.bytes[shard] * density
    most = measured.sample.get((job, lens))
    return count if most is None else min(count, most)
