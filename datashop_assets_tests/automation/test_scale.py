"""What automation asks for at 1,000 shards x 4 lenses, read from real Delta logs by the product's own reader.

How long it takes is `python -m benchmarks.automation`'s matter, which grows the same lake ten times as large.
"""

from collections import Counter
from math import ceil
from pathlib import Path

import dagster as dg
import pytest

from benchmarks.automation_lake import SyntheticLake, lens_names, scattered, write_project
from datashop_assets.automation.reconcile import Work, stale_work
from datashop_assets.definitions import build_defs
from datashop_assets.lineage import RunLimits
from datashop_assets.partitions import SHARDS
from datashop_assets.records import TableSpec
from resources.encoders import ScriptedEncoder
from resources.lake import DeltaLake
from resources.profiles import laptop

SHARD_COUNT, LENSES = 1000, lens_names(4)
ENCODER = ScriptedEncoder()
LENS_RUNS = ceil(SHARD_COUNT / RunLimits().stale)


class Grown:
    """The lake, and the number of times each of its tables was opened."""

    def __init__(self, folder: Path) -> None:
        project = write_project(folder, SHARD_COUNT, len(LENSES), files_a_shard=1)
        self.profile = laptop(project)
        self.opened: Counter[str] = Counter()
        self.all = SyntheticLake.of(project, CountingLake(self.profile.lake, opened=self.opened), ENCODER.id)
        self.all.register()
        self.all.parse_and_embed()
        for lens in LENSES:
            self.all.promote(lens, f"{lens}-first")

    def bring_up_to_date(self) -> None:
        for lens in LENSES if self.stale() else ():
            self.all.score(lens)
            self.all.cut(lens)

    def stale(self) -> list[Work]:
        return stale_work(self.all.lake, self.all.graph, ENCODER.id, self.all.keys)


class CountingLake(DeltaLake):
    """The lake, counting which tables are opened."""

    def __init__(self, uri: str, opened: Counter[str]) -> None:
        super().__init__(uri)
        object.__setattr__(self, "opened", opened)

    def open(self, table: TableSpec, version: int | None = None):
        self.opened[table.name] += 1
        return super().open(table, version)


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Grown:
    """Parsed and embedded; classifiers are promoted, and nothing is scored but by a test before."""
    return Grown(tmp_path_factory.mktemp("scale"))


def jobs(work: list[Work]) -> Counter[tuple[str, str | None]]:
    return Counter((item.job, item.stretch.lens) for item in work)


def test_the_number_of_runs_in_the_life_of_a_grid(grown: Grown) -> None:
    lake, *_, last = grown.all, LENSES[-1]
    assert jobs(grown.stale()) == {("score_documents", lens): LENS_RUNS for lens in LENSES}, "the whole grid"
    for lens in LENSES[:-1]:
        lake.score(lens)
        lake.cut(lens)
    assert jobs(grown.stale()) == {("score_documents", last): LENS_RUNS}, "one new lens"
    lake.score(last)
    lake.cut(last)
    assert grown.stale() == [], "all is up to date"
    drawn = scattered(lake.keys, 300)
    lake.scatter(last, drawn)
    asked = grown.stale()
    assert sum(item.stretch.stale for item in asked) == len(drawn)
    assert len(asked) <= 3 * ceil(len(drawn) / RunLimits().stale), "scattered shards"
    lake.mend(last, drawn)
    lake.promote(last, "second")
    assert jobs(grown.stale()) == {("score_documents", last): LENS_RUNS}, "a new classifier of one lens"
    lake.score(last)
    assert {item.job for item in grown.stale()} == {"set_cutoff"}, "then its cut-off, once"
    lake.cut(last)
    assert grown.stale() == []


def tick(grown: Grown, instance: dg.DagsterInstance) -> dg.SensorResult | dg.SkipReason:
    """The reconcile sensor's, with the lake that counts."""
    resources = {"lake": grown.all.lake, "encoder": ENCODER}
    wrapped = {name: dg.ResourceDefinition.hardcoded_resource(value) for name, value in resources.items()}
    defs = build_defs(grown.profile, wrapped)
    with dg.build_sensor_context(instance=instance, resources=defs.resources) as context:
        return defs.get_sensor_def("reconcile_sensor")(context)


def test_a_tick_opens_no_table_again_and_again_and_the_next_one_asks_for_nothing_more(grown: Grown) -> None:
    """Once for its cells or records, and once more for its version where something of it is stale."""
    grown.bring_up_to_date()
    grown.all.promote(LENSES[0], "third")
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(str(SHARDS.name), grown.all.keys)
        grown.opened.clear()
        asked = tick(grown, instance).run_requests
        assert len(asked) == LENS_RUNS
        assert grown.opened, "tables were opened, and counted"
        assert {table: times for table, times in grown.opened.items() if times > 2} == {}
        for request in asked:
            instance.add_run(
                dg.DagsterRun(job_name=request.job_name, status=dg.DagsterRunStatus.STARTED, tags=request.tags)
            )
        waiting = tick(grown, instance)
        assert isinstance(waiting, dg.SkipReason), waiting
