"""Housekeeping as a person and a schedule run it: a report first, and a record of what was done."""

import dagster as dg
import polars as pl
import pytest

from datashop_assets.housekeeping.tables import HOUSEKEEPING
from datashop_assets.records import QUARANTINE
from datashop_assets_tests.worlds import World, metadata_of

JOB = "keep_house"
ASSETS = ("compacted_tables", "vacuumed_tables", "cleared_leftovers", "pruned_runs")


@pytest.fixture
def crowded(world: World) -> World:
    """A table of nine small files where one would do."""
    world.land_shards(1)
    world.run("parse_and_embed_shards")
    row = {"shard": "s", "dataset": "crawl", "file": "f", "row": 0, "reason": "r", "detail": "d", "version": "v"}
    for _ in range(9):
        world.lake.commit(QUARANTINE, pl.DataFrame([row], schema=QUARANTINE.schema), None, {})
    return world


def test_by_default_it_only_reports(crowded: World) -> None:
    before = crowded.table_versions()
    result = crowded.run(JOB)
    for asset in ASSETS:
        told = metadata_of(result, asset)[None]
        assert told["dry run"] is True
        assert told["done"] == 0
    told = metadata_of(result, "compacted_tables")[None]
    assert "| quarantine | compact | 9 |" in told["report"]
    assert told["outcome"].startswith("dry run: 1 to do")
    assert crowded.table_versions() == before


def test_asked_to_in_the_launchpad_it_does_it_and_writes_it_down(crowded: World) -> None:
    result = crowded.run(JOB, config={asset: {"dry_run": False} for asset in ASSETS})
    assert metadata_of(result, "compacted_tables")[None]["outcome"] == "1 of 1 done"
    (done,) = crowded.read(HOUSEKEEPING).to_dicts()
    assert (done["kind"], done["what"], done["run_id"]) == ("compacted_tables", "quarantine", result.run_id)
    assert crowded.read(QUARANTINE).height == 9


def test_the_project_file_says_when_and_whether_anything_is_touched(world: World) -> None:
    assert world.defs.get_repository_def().schedule_defs == []
    world.change_project(automation={"housekeeping": {"cron": "0 4 * * 0", "dry_run": False}})
    (schedule,) = world.defs.get_repository_def().schedule_defs
    assert (schedule.cron_schedule, schedule.job_name) == ("0 4 * * 0", JOB)
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    assert metadata_of(world.run(JOB), "compacted_tables")[None]["dry run"] is False
    world.change_project(automation={"paused": True, "housekeeping": {"cron": "0 4 * * 0"}})
    assert world.defs.get_repository_def().schedule_defs == []
