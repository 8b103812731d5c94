"""What runs there are: so that nobody asks for what is under way, or has just failed, or for more than was allowed.

What belongs here: reading runs' jobs, assets, tags and ends from Dagster. What does not: how long what failed rests
(`cooling.py`), what is stale (`reconcile.py`), asking for runs (`requests.py`, `sensors.py`, `schedules.py`).
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice

import dagster as dg

from datashop_assets.automation.backfills import Awaited, awaited_cells
from datashop_assets.automation.cooling import IN_A_ROW, REMEMBERED, Ended, Rest, Resting, largest, rests, stretches
from datashop_assets.automation.jobs import assets_of
from datashop_assets.automation.lost import LOST_TAG, SERVER_TAG
from datashop_assets.automation.reconcile import RATING_JOBS
from datashop_assets.automation.requests import ASKED_BY_TAG, LENS_TAG, PURPOSE_TAG, WORK_TAG
from datashop_assets.automation.work import Waiting, Work
from datashop_assets.automation_settings import AutomationSettings
from datashop_assets.partitions import PARTITION_TAG, RANGE_TAGS

OUTSTANDING = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
ENDED_BADLY = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
# Of what was asked for here and ended badly, so many runs count, the latest first: what is older has rested.
MOST_ENDED = 1000
# Runs are read so many at a time.
PAGE = 1000
# A run that has been about to start for so long does not: whoever was to start it is gone.
STUCK_S = 3600
# What runs over a lens's cells are for, e.g. its classifier: failures for another one do not count.
Purpose = Callable[[str, str | None], str]


def no_purpose(job: str, lens: str | None) -> str:  # noqa: ARG001 - the signature of Purpose
    """All runs of a job are for the same."""
    return ""


@dataclass(frozen=True)
class EndedRun:
    """A run that was asked for here and failed or was cancelled, at `at` (epoch seconds)."""

    run: dg.DagsterRun
    at: float

    @property
    def cancelled(self) -> bool:
        return self.run.status == dg.DagsterRunStatus.CANCELED

    @property
    def lost(self) -> bool:
        return LOST_TAG in self.run.tags


@dataclass(frozen=True)
class Runs:
    """The runs that whoever asks for more has to respect, as they were at `now` (epoch seconds).

    `under_way`: all, whoever launched them, but for those that are `stuck` before their start. `ended`: what was asked
    for here and failed or was cancelled of late. `cancelled`: what people launched and cancelled of late.
    `rated`: what was asked for here and went well of late, of jobs that spend on raters: a budget bounds a run, so
    that runs without a pause would have no bound. `broken`: job and lens of which nothing goes well (see `_broken`).
    `awaited`: what backfills of the UI are still to ask for.
    """

    now: float
    settings: AutomationSettings
    under_way: Sequence[dg.DagsterRun] = ()
    ended: Sequence[EndedRun] = ()
    rated: Sequence[dg.DagsterRun] = ()
    broken: Collection[tuple[str, str]] = ()
    cancelled: Sequence[EndedRun] = ()
    stuck: Sequence[dg.DagsterRun] = ()
    awaited: Awaited = field(default_factory=dict)

    def asked_by(self, who: str) -> int:
        """How many of the runs under way were asked for by the sensor or schedule of this name."""
        return sum(run.tags.get(ASKED_BY_TAG) == who for run in self.under_way)

    @property
    def bucket(self) -> str:
        """Part of run keys: within `cool_down_s` the same work is asked for once, and again after a run was lost."""
        return f"{int(self.now // self.settings.cool_down_s)}.{sum(each.lost for each in self.ended)}"

    def over(self, shards: Sequence[str], purpose: Purpose = no_purpose) -> "Respected":
        """The same by shard, of all shards in Dagster's order."""
        return Respected(self, shards, {shard: index for index, shard in enumerate(shards)}, purpose)


@dataclass(frozen=True)
class Respected:
    """What the runs mean for the shards: `busy` and `largest` are what `reconcile.stale_work` asks."""

    runs: Runs
    shards: Sequence[str]
    position: Mapping[str, int]
    purpose: Purpose
    _rests: dict[tuple[str, str | None], dict[str, Rest]] = field(default_factory=dict)

    def busy(self, job: str, lens: str | None) -> Collection[str]:
        """Shards that runs work on, or that a backfill is to make, or that rest."""
        resting = self.at_rest(job, lens)
        covered = {
            shard
            for run in (*self.runs.under_way, *self.runs.rated)
            if makes(run, job)
            for shard in self.covered(run, lens)
        }
        return self.shards if resting is self.shards else covered.union(self.awaited(job, lens), resting)

    def awaited(self, job: str, lens: str | None) -> Collection[str]:
        """Shards that a backfill of the UI has no run of yet; all of them where it is over the lens alone."""
        names, awaited = (job, *assets_of(job)), self.runs.awaited
        if any(lens in awaited.get((name, ""), ()) for name in names):
            return self.shards
        return frozenset[str]().union(*(awaited.get((name, lens or ""), ()) for name in names))

    def at_rest(self, job: str, lens: str | None) -> Collection[str]:
        """Shards that rest; all of them while a job rests as a whole."""
        if self.is_broken(job, lens) and self.broken_until(job, lens) > self.runs.now:
            return self.shards
        return {shard for shard, rest in self.rests(job, lens).items() if rest.until > self.runs.now}

    def largest(self, job: str, lens: str | None) -> Mapping[str, int]:
        """Shards that failed before -> the cells that a run over them may cover."""
        return largest(self.rests(job, lens))

    def rests(self, job: str, lens: str | None) -> dict[str, Rest]:
        """By shard, what became of it in runs of the job that failed or were cancelled."""
        if (job, lens) not in self._rests:
            ended = [
                Ended(each.run.run_id, each.at, each.cancelled, self.covered(each.run, lens), each.lost)
                for each in (*self._ended(job, lens), *self.runs.cancelled)
                if makes(each.run, job)
            ]
            self._rests[job, lens] = rests(ended, self.runs.settings)
        return self._rests[job, lens]

    def resting(self, waiting: Sequence[Waiting] | None = None) -> list[Resting]:
        """What rests now, for people; of what an outlook says is `waiting` alone, where it is given: what a failed run
        committed does not rest."""
        stale = [(each.job, each.lens, shard) for each in waiting or () for shard in each.shards]
        ours = {(each.run.job_name, each.run.tags.get(LENS_TAG)) for each in self.runs.ended}
        # What people cancelled may be of any job, by whatever name: it is shown of what waits.
        places = sorted(ours | {(each.job, each.lens) for each in waiting or ()}, key=str)
        return [
            each
            for job, lens in places
            for each in stretches(
                job,
                lens,
                self.rests(job, lens),
                self.shards,
                self.runs.now,
                self.runs.settings,
                stale=None if waiting is None else {shard for *place, shard in stale if place == [job, lens]},
            )
        ]

    def is_broken(self, job: str, lens: str | None) -> bool:
        """Whether so many runs of the job failed in a row that it is tried with one run at a time."""
        return (job, lens or "") in self.runs.broken

    def broken_until(self, job: str, lens: str | None) -> float:
        """When a broken job is tried again, epoch seconds."""
        return max((each.at for each in self._ended(job, lens)), default=0) + self.runs.settings.cool_down_s

    def admit(self, due: Sequence[Work], asked_by: str, most: int) -> list[Work]:
        """Those of the due work that may be asked for now: `most` runs of `asked_by` may be outstanding, and one of a
        job and lens that is broken."""
        trying = {key for key in self.runs.broken if any(_of(run) == key for run in self.runs.under_way)}
        admitted: list[Work] = []
        for work in due:
            key = (work.job, work.stretch.lens or work.partition_key or "")
            if key in self.runs.broken:
                if key in trying:
                    continue
                trying.add(key)
            admitted.append(work)
        return admitted[: max(0, most - self.runs.asked_by(asked_by))]

    def covered(self, run: dg.DagsterRun, lens: str | None) -> Sequence[str]:
        """The shards of the lens inside the run's partition or range; all of them where it has the lens alone.

        An end that was withdrawn meanwhile stands for its neighbour inside the range, of the same dataset.
        """
        (first_lens, start), (last_lens, end) = _ends(run)
        if lens is not None and not first_lens:
            return self.shards if start <= lens <= end else []
        if not first_lens <= (lens or "") <= last_lens:
            return []
        first = self.position[start] if start in self.position else self._next_to(start)
        last = self.position[end] if end in self.position else self._next_to(end) - 1
        return self.shards[first : last + 1]

    def _next_to(self, shard: str) -> int:
        """The position before which a shard that is not known stood; 0 where its dataset has no shard any more."""
        dataset, _, _ = shard.rpartition("-")
        theirs = [known for known in self.shards if known.rpartition("-")[0] == dataset]
        before = [known for known in theirs if known < shard]
        return self.position[before[-1]] + 1 if before else self.position[theirs[0]] if theirs else 0

    def _ended(self, job: str, lens: str | None) -> list[EndedRun]:
        purpose = self.purpose(job, lens)
        return [
            each
            for each in self.runs.ended
            if _of(each.run) == (job, lens or "") and each.run.tags.get(PURPOSE_TAG, "") == purpose
        ]


def _of(run: dg.DagsterRun) -> tuple[str, str]:
    return run.job_name, run.tags.get(LENS_TAG, "")


def _ends(run: dg.DagsterRun) -> tuple[tuple[str, str], tuple[str, str]]:
    """First and last of what the run covers, each as lens (if any) and shard, or as nothing and a lens."""
    first, last = (run.tags.get(tag, run.tags.get(PARTITION_TAG, "")) for tag in RANGE_TAGS)
    (first_lens, _, start), (last_lens, _, end) = first.rpartition("|"), last.rpartition("|")
    return (first_lens, start), (last_lens, end)


def makes(run: dg.DagsterRun, job: str) -> bool:
    """Whether the run is one of the job, or of any of its assets by whatever name: a backfill, or by hand."""
    selected = {key.to_user_string() for key in run.asset_selection or ()}
    return run.job_name == job or bool(selected & set(assets_of(job)))


def runs_to_respect(instance: dg.DagsterInstance, settings: AutomationSettings, now: float | None = None) -> Runs:
    """Read the runs as they are: those under way, and of the others what ended within the time that counts.

    Each question is one that the run table has an index for (status and time of change); of 100,000 runs none is read
    that does not count.
    """
    now = time.time() if now is None else now
    remembered = datetime.fromtimestamp(now - REMEMBERED * settings.cool_down_s, UTC)
    of_late = datetime.fromtimestamp(now - settings.cool_down_s, UTC)
    badly = list(_latest_first(instance, ENDED_BADLY, remembered))
    ours = (each for each in badly if WORK_TAG in each.dagster_run.tags)
    ended = [_as_ended(record) for record in islice(ours, MOST_ENDED)]
    by_hand = [_as_ended(record) for record in badly if WORK_TAG not in record.dagster_run.tags]
    rated = [
        run
        for job in sorted(set(RATING_JOBS.values()))
        for run in instance.get_runs(
            dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.SUCCESS], updated_after=of_late)
        )
        if WORK_TAG in run.tags
    ]
    outstanding = instance.get_run_records(dg.RunsFilter(statuses=OUTSTANDING))
    stuck = [record.dagster_run for record in outstanding if _is_stuck(record, now)]
    return Runs(
        now,
        settings,
        under_way=[record.dagster_run for record in outstanding if not _is_stuck(record, now)],
        ended=ended,
        rated=rated,
        broken=_broken(instance, ended),
        cancelled=[each for each in by_hand if each.cancelled and each.at > of_late.timestamp()],
        stuck=stuck,
        awaited=awaited_cells(instance),
    )


def _as_ended(record: dg.RunRecord) -> EndedRun:
    return EndedRun(record.dagster_run, record.end_time or record.update_timestamp.timestamp())


def _is_stuck(record: dg.RunRecord, now: float) -> bool:
    """Whether the run was created and never queued, or is starting on no server, for longer than any start takes.
    Those that a server has are `lost.py`'s; those that are queued wait for others, which may take days."""
    run = record.dagster_run
    starting = run.status == dg.DagsterRunStatus.STARTING and SERVER_TAG not in run.tags
    waits = starting or run.status == dg.DagsterRunStatus.NOT_STARTED
    return waits and record.update_timestamp.timestamp() < now - STUCK_S


def _latest_first(
    instance: dg.DagsterInstance, statuses: list[dg.DagsterRunStatus], since: datetime, job: str | None = None
) -> Iterator[dg.RunRecord]:
    """Runs that changed since, the latest first, read as they are asked for: by status, job and time, which the run
    table has indexes for. By tags it took minutes at 50,000 runs on SQLite."""
    before: datetime | None = None
    seen: set[str] = set()
    while True:
        asked = dg.RunsFilter(job_name=job, statuses=statuses, updated_after=since, updated_before=before)
        page = instance.get_run_records(asked, limit=PAGE, order_by="update_timestamp")
        fresh = [record for record in page if record.dagster_run.run_id not in seen]
        yield from fresh
        if len(page) < PAGE or not fresh:
            return
        seen = {record.dagster_run.run_id for record in page}
        # Those of the same moment once more: the page may have ended between them.
        before = page[-1].update_timestamp + timedelta(microseconds=1)


def _broken(instance: dg.DagsterInstance, ended: Sequence[EndedRun]) -> set[tuple[str, str]]:
    """Job and lens of which IN_A_ROW different stretches failed since anything of them went well.

    A stretch counts once: of one bad shard that is tried again and again, with its neighbours and then alone, only the
    first failure does. A run that a person cancelled, or that was lost with its code server, is no failure.
    """
    failures: dict[tuple[str, str], list[EndedRun]] = {}
    for each in ended:
        if not each.cancelled and not each.lost:
            failures.setdefault(_of(each.run), []).append(each)
    broken = set()
    for (job, lens), runs in failures.items():
        times = _first_failures(runs)
        if len(times) < IN_A_ROW:
            continue
        since = datetime.fromtimestamp(times[-IN_A_ROW], UTC)
        well = _latest_first(instance, [dg.DagsterRunStatus.SUCCESS], since, job)
        if not any(_of(record.dagster_run) == (job, lens) for record in well):
            broken.add((job, lens))
    return broken


def _first_failures(runs: Sequence[EndedRun]) -> list[float]:
    """When runs of a job and lens failed over shards of which none had failed before, in order. Of shards the keys are
    compared, which are in order within a dataset: where a stretch goes over several, fewer may count than could."""
    before: list[tuple[str, str]] = []
    times = []
    for each in sorted(runs, key=lambda each: each.at):
        (_, start), (_, end) = _ends(each.run)
        first, last = sorted((start, end))
        if all(last < other_first or other_last < first for other_first, other_last in before):
            times.append(each.at)
        before.append((first, last))
    return times
