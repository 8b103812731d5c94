"""Killing the process at any moment, and running again, gives the same tables as a run that nobody disturbed.

Real processes, killed by SIGKILL: at random moments of every step, and between the writing of a data file and the
commit that names it. The seed is printed with a failure; DATASHOP_TEST_SEED repeats it.
"""

import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import polars as pl
import pytest

from datashop_assets.durable import files_below, sha256_of
from datashop_assets.filtering.release import verify_release
from datashop_assets.tables import TABLES
from datashop_assets_tests.slow.main_path import DONE, REGISTER
from datashop_assets_tests.slow.small_project import SmallProject, drop_crawl, open_project, python, write_project
from resources.lake import DeltaLake
from resources.profiles import REPOSITORY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

SHARDS, DOCUMENTS, RATED = 3, 26, 24
# When a row was made and how long that took: the only columns in which two runs may differ. A release's
# manifest has such times too; its data files are compared byte by byte instead.
INCIDENTAL = {
    "registered_at", "rated_at", "seconds", "trained_at", "promoted_at", "created_at", "manifest", "bytes"
}  # fmt: skip
STEPS = (
    REGISTER,
    "parse_and_embed_shards",
    "rate_documents",
    "train_and_promote_classifier",
    "score_documents",
    "set_cutoff",
    "filter_documents",
    "cut_release",
)
# On each lake, one kill in each step at a random moment, and before two of the steps' kills one when a data file of the
# table appears: 20 in all.
WATCHED = (
    {"parse_and_embed_shards": "documents", "score_documents": "scores"},
    {"rate_documents": "annotations", "filter_documents": "filtered_documents"},
)
RUN_LIMIT_S = 400
# One thread looks for a data file at a time: two would wait for each other's interpreter lock and look too late.
ONE_WATCHER = Lock()


@dataclass
class Killed:
    """What the kills of one lake hit."""

    moments: list[str] = field(default_factory=list)
    orphans: int = 0


class Run:
    """The main path in a process of its own, on one CPU: two torch processes of two threads each thrash."""

    def __init__(self, project: SmallProject, cpu: int) -> None:
        self.log = project.home / "run.log"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                python("-m", "datashop_assets_tests.slow.main_path"),
                cwd=REPOSITORY,
                env=project.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=lambda: os.sched_setaffinity(0, {cpu}),
            )

    def at(self) -> str:
        """The step that is under way; `start` before the first."""
        steps = [line for line in self.log.read_text(errors="replace").splitlines() if line in (*STEPS, DONE)]
        return steps[-1] if steps else "start"

    def reached(self, step: str) -> bool:
        """Wait for the step to begin, or a later one; False where the process ended before."""
        order = ("start", *STEPS, DONE)
        deadline = time.monotonic() + RUN_LIMIT_S
        while order.index(self.at()) < order.index(step):
            if self.process.poll() is not None:
                return False
            if time.monotonic() > deadline:
                raise TimeoutError(f"{step} did not begin within {RUN_LIMIT_S} s:\n{self.tail()}")
            time.sleep(0.01)
        return True

    def stays_in(self, step: str, seconds: float) -> None:
        """Wait so long, or until the step is over: a run that finds half of its work done is quicker."""
        deadline = time.monotonic() + seconds
        while self.at() == step and time.monotonic() < deadline:
            time.sleep(0.01)

    def kill(self) -> bool:
        """SIGKILL to the process and its children; False where it had ended by itself, which must be in success."""
        if self.process.poll() is not None:
            assert self.process.returncode == 0, self.tail()
            return False
        os.killpg(self.process.pid, signal.SIGKILL)
        return self.process.wait(30) == -signal.SIGKILL

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]


@contextmanager
def running(project: SmallProject, cpu: int) -> Iterator[Run]:
    run = Run(project, cpu)
    try:
        yield run
    finally:
        if run.process.poll() is None:
            os.killpg(run.process.pid, signal.SIGKILL)
            run.process.wait(30)


def undisturbed(project: SmallProject, cpu: int) -> dict[str, float]:
    """Run to the end; seconds that each step took."""
    begun: dict[str, float] = {}
    with running(project, cpu) as run:
        for step in (*STEPS, DONE):
            assert run.reached(step), run.tail()
            begun[step] = time.monotonic()
        assert run.process.wait(60) == 0, run.tail()
    times = list(begun.values())
    return {step: end - start for step, start, end in zip(begun, times, times[1:], strict=False)}


def rows(project: SmallProject) -> dict[str, Counter[str]]:
    """Every table's rows as text, marker rows included, without what is incidental; read through the lake."""
    home = Path(project.profile.lake)
    lake = DeltaLake(project.profile.lake)
    specs = {table.name: table for table in TABLES}
    found = {}
    for log in sorted(home.rglob("_delta_log")):
        name = log.parent.relative_to(home).as_posix()
        base, _, part = name.partition("/")
        table = specs[base].of(part) if part else specs[base]
        stored = lake.open(table)
        if stored is None:
            continue  # its first commit never happened
        frame = pl.scan_delta(stored).collect()
        if table.key and table.partition_by:
            # An id is unique within its shard.
            address = [*table.partition_by, *(["shard"] if "shard" in table.columns else []), table.key]
            keys = frame.drop_nulls(table.key).select(list(dict.fromkeys(address)))
            if base != "quarantine":  # many rows of one file
                assert keys.is_unique().all(), f"{name} holds a row twice"
        kept = frame.drop([column for column in frame.columns if column in INCIDENTAL])
        found[name] = Counter(kept.with_columns(pl.col(pl.Binary).bin.encode("hex")).write_ndjson().splitlines())
    return found


def checksums(folder: Path, pattern: str) -> dict[str, str]:
    return {name: sha256_of(path) for name, path in files_below(folder).items() if path.match(pattern)}


def orphans(folder: Path) -> set[str]:
    """Data files below a table's folder that no log entry of their table names."""
    lost = set()
    for log in folder.rglob("_delta_log"):
        table = log.parent
        on_disk = {path.relative_to(table).as_posix() for path in table.rglob("*.parquet") if log not in path.parents}
        named = {entry.read_text() for entry in log.glob("*.json")}
        lost |= {file for file in on_disk if not any(Path(file).name in text for text in named)}
    return lost


def entries(table: Path) -> set[str]:
    """Every folder and file below a table's folder but for its log, files that are still being written included."""
    return {
        f"{place}/{name}"
        for place, folders, files in os.walk(table)
        for name in folders + files
        if "_delta_log" not in place
    }


def kill_at_data_file(run: Run, step: str, table: Path) -> bool:
    """Kill when a new data file is there and no log entry names it; at the end of the step where that was missed.

    It lasts for some milliseconds only. So the first sign of a data file, its partition's folder or its unfinished
    self, stops the process, and from then on it moves in slices of 0.2 ms and is looked at while it stands still.
    """
    before, known = entries(table), orphans(table)
    while run.process.poll() is None and run.at() == step:
        for _ in range(200):  # reading the step is slower than looking at the folder
            if entries(table) - before:
                break
        else:
            continue
        for _ in range(500):
            os.killpg(run.process.pid, signal.SIGSTOP)
            if orphans(table) - known:
                return run.kill()
            os.killpg(run.process.pid, signal.SIGCONT)
            time.sleep(0.0002)
        before = entries(table)
    return run.kill()


def kill_along_the_path(
    number: int, project: SmallProject, cpu: int, seed: int, spans: dict[str, float], whole: dict[str, Counter[str]]
) -> Killed:
    """The kills of one lake, each followed by a look at the tables."""
    chance = random.Random(f"{seed}-{number}")
    killed = Killed()
    lake = Path(project.profile.lake)

    def look(moment: str) -> None:
        killed.moments.append(moment)
        for name, partial in rows(project).items():
            strange = partial - whole[name]
            assert not strange, f"lake {number}, after {killed.moments}: {name} has rows that no run makes: {strange}"

    for step in STEPS:
        if table := WATCHED[number].get(step):
            with ONE_WATCHER, running(project, cpu) as run:
                assert run.reached(step), run.tail()
                known = orphans(lake / table)
                if kill_at_data_file(run, step, lake / table):
                    new = orphans(lake / table) - known
                    killed.orphans += bool(new)
                    look(f"{run.at()}: {table} has {len(new)} data files that no commit names")
        after = chance.uniform(0, spans[step])
        with running(project, cpu) as run:
            assert run.reached(step), run.tail()
            run.stays_in(step, after)
            at = run.at()
            if run.kill():
                look(f"{at}: at most {after:.2f} s after {step} began")
    return killed


def test_a_killed_and_repeated_run_gives_what_an_undisturbed_run_gives(tmp_path: Path) -> None:
    seed = int(os.environ.get("DATASHOP_TEST_SEED", time.time_ns() % 1_000_000))
    print(f"seed {seed}: DATASHOP_TEST_SEED={seed} repeats the moments")  # noqa: T201
    file = write_project(tmp_path, RATED)
    drop_crawl(tmp_path / "landing", SHARDS, DOCUMENTS)
    cpus = sorted(os.sched_getaffinity(0))
    reference = open_project(file, tmp_path / "undisturbed")
    spans = undisturbed(reference, cpus[0])
    whole = rows(reference)
    print("an undisturbed run:", {step: round(seconds, 1) for step, seconds in spans.items()})  # noqa: T201
    assert len(whole["annotations/explanations"]) == SHARDS * RATED

    lakes = [open_project(file, tmp_path / f"killed-{number}") for number in range(len(WATCHED))]
    for project in lakes:  # the converted language model, a cache
        shutil.copytree(reference.profile.cache, project.profile.cache)
    with ThreadPoolExecutor(len(lakes)) as pool:
        jobs = [
            pool.submit(kill_along_the_path, number, project, cpus[number % len(cpus)], seed, spans, whole)
            for number, project in enumerate(lakes)
        ]
        killed = [job.result() for job in jobs]
        for each in killed:
            print(*each.moments, sep="\n")  # noqa: T201
        list(pool.map(undisturbed, lakes, [cpus[number % len(cpus)] for number in range(len(lakes))]))

    assert sum(len(each.moments) for each in killed) == 20
    assert sum(each.orphans for each in killed) >= 1, "no kill fell between a data file and its commit"
    releases = checksums(reference.profile.releases, "data/*") | checksums(reference.profile.releases, "jsonl/*")
    models = checksums(Path(reference.profile.models), "*")
    assert releases
    assert models
    for project in lakes:
        assert rows(project) == whole
        assert (
            checksums(project.profile.releases, "data/*") | checksums(project.profile.releases, "jsonl/*") == releases
        )
        assert checksums(Path(project.profile.models), "*") == models
        for manifest in project.profile.releases.rglob("manifest.json"):
            assert not verify_release(manifest.parent)
