"""The scheduled backfill as the daemon calls it: what it asks for, and what bounds it."""

from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus

from datashop_assets.automation import schedules
from datashop_assets.automation.requests import ASKED_BY_TAG
from datashop_assets.automation.runs import runs_to_respect
from datashop_assets.automation.schedules import BACKFILL, outstanding_cells, sensor_asks
from datashop_assets.automation.sensors import RECONCILE
from datashop_assets.partitions import RANGE_TAGS, range_tags
from datashop_assets.project import ProjectError, load_project
from datashop_assets_tests.worlds import World, write_project

NIGHTLY = {"cron": "0 2 * * *", "max_runs": 1}


@pytest.fixture
def nightly(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Two shards that nothing was made of, on an instance that a schedule's context can open anew; no sensor is on."""
    monkeypatch.setattr(schedules, "sensor_asks", lambda _: False)
    (tmp_path / "dagster").mkdir()
    world.instance = dg.DagsterInstance.local_temp(str(tmp_path / "dagster"))
    world.change_project(automation={"backfill": NIGHTLY})
    world.land_shards(2, documents=2)
    return world


def tick(world: World, job: str) -> list[dg.RunRequest] | dg.SkipReason:
    context = dg.build_schedule_context(instance=world.instance, resources=world.defs.resources)
    with context:
        return world.defs.get_schedule_def(f"backfill_{job}")(context)


def test_there_is_none_without_a_cron(world: World) -> None:
    assert list(world.defs.schedules or []) == []


def test_it_asks_for_what_the_sensor_would_behind_all_else_in_the_queue(nightly: World) -> None:
    (request,) = tick(nightly, "parse_and_embed_shards")
    assert [request.tags[tag] for tag in RANGE_TAGS] == ["crawl-00000", "crawl-00001"]
    assert (request.tags["dagster/priority"], request.tags[ASKED_BY_TAG]) == ("-10", BACKFILL)
    (work,) = nightly.stale()
    assert request.run_key.startswith(work.key)


@pytest.mark.parametrize(
    ("most", "left"),
    [
        pytest.param(8, [], id="the sensor can ask for all of it"),
        pytest.param(1, ["crawl-00000"], id="the sensor can ask for the newest"),
    ],
)
def test_what_the_sensor_asks_for_next_is_left_to_it(
    nightly: World, monkeypatch: pytest.MonkeyPatch, most: int, left: list[str]
) -> None:
    monkeypatch.setattr(schedules, "sensor_asks", sensor_asks)
    nightly.change_project(automation={"backfill": NIGHTLY | {"max_runs": 4}, "max_runs": most})
    job = nightly.defs.resolve_job_def("parse_and_embed_shards")
    nightly.land_shards(1, documents=2, start=2)
    between = range_tags(None, "crawl-00001", "crawl-00001")  # so that there are two stretches
    nightly.instance.create_run_for_job(job, tags=between, status=dg.DagsterRunStatus.STARTED)
    with dg.build_sensor_context(instance=nightly.instance, resources=nightly.defs.resources) as context:
        sensors = nightly.defs.get_sensor_def("reconcile_sensor")(context)
    asked = tick(nightly, "parse_and_embed_shards")
    assert [request.tags[RANGE_TAGS[0]] for request in asked if isinstance(asked, list)] == left
    both = {request.tags[RANGE_TAGS[0]] for request in sensors.run_requests} | set(left)
    assert both == {"crawl-00000", "crawl-00002"}


@pytest.mark.parametrize(
    ("status", "asks"),
    [
        pytest.param(None, True, id="never touched"),
        pytest.param(InstigatorStatus.RUNNING, True, id="switched on"),
        pytest.param(InstigatorStatus.STOPPED, False, id="switched off"),
    ],
)
def test_a_sensor_that_a_person_switched_off_leaves_all_to_the_schedule(
    status: InstigatorStatus | None, asks: bool
) -> None:
    with dg.instance_for_test() as instance:
        if status is not None:
            location = RegisteredCodeLocationOrigin("datashop")
            origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "repository"), RECONCILE)
            instance.add_instigator_state(InstigatorState(origin, InstigatorType.SENSOR, status))
        assert sensor_asks(instance) is asks


def test_cells_outstanding_are_counted_as_those_that_are_asked_for(nightly: World) -> None:
    """A run bridges cells that are up to date; neither side counts them."""
    nightly.land_shards(1, documents=2, start=2)
    nightly.run("parse_and_embed_shards", shards=["crawl-00001"])
    (request,) = tick(nightly, "parse_and_embed_shards")
    assert [request.tags[tag] for tag in RANGE_TAGS] == ["crawl-00000", "crawl-00002"]
    job = nightly.defs.resolve_job_def("parse_and_embed_shards")
    nightly.instance.create_run_for_job(job, tags=request.tags, status=dg.DagsterRunStatus.STARTED)
    settings = nightly.graph.project.automation
    assert outstanding_cells(runs_to_respect(nightly.instance, settings)) == 2


def test_the_schedule_of_another_job_says_why_it_asks_for_nothing(nightly: World) -> None:
    skipped = tick(nightly, "score_documents")
    assert isinstance(skipped, dg.SkipReason)
    assert "nothing of score_documents" in str(skipped.skip_message)


def test_runs_that_are_outstanding_count_and_the_next_one_waits(nightly: World) -> None:
    (request,) = tick(nightly, "parse_and_embed_shards")
    job = nightly.defs.resolve_job_def("parse_and_embed_shards")
    run = nightly.instance.create_run_for_job(job, tags=request.tags, status=dg.DagsterRunStatus.NOT_STARTED)
    nightly.land_shards(1, documents=2, start=2)
    assert isinstance(tick(nightly, "parse_and_embed_shards"), dg.SkipReason), "one run at most"
    nightly.change_project(automation={"backfill": NIGHTLY | {"max_runs": 2}})
    (second,) = tick(nightly, "parse_and_embed_shards")
    assert second.tags[RANGE_TAGS[0]] == "crawl-00002", "what the first run works on is not asked for again"
    nightly.instance.delete_run(run.run_id)
    assert tick(nightly, "parse_and_embed_shards")[0].tags[RANGE_TAGS[1]] == "crawl-00002"


@pytest.mark.parametrize(
    "automation",
    [
        pytest.param({"backfill": {"cron": "nightly"}}, id="a cron that is none"),
        pytest.param({"backfill": {"cron": "0 2 * * *", "max_cells": 10}}, id="a budget below one run's"),
        pytest.param({"paused_lenses": ["nobody"]}, id="a pause of a lens that is not enabled"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_the_project_file(world: World, automation: dict[str, object]) -> None:
    with pytest.raises(ProjectError, match="automation"):
        load_project(write_project(world.folder, automation=automation))
