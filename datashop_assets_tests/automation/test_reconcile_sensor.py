"""What the reconcile sensor says and shows: tags, what rests, why nothing is asked for; promotions at any moment."""

import dagster as dg
import pytest

from datashop_assets.automation.requests import PURPOSE_TAG, WORK_TAG
from datashop_assets.classifier.registry import promoted
from datashop_assets.partitions import RANGE_TAGS, SHARDS
from datashop_assets_tests.automation.test_sensors import tick
from datashop_assets_tests.worlds import World, promote_for_four_shards, worth

LENS_ASKED = {"rater": "scripted", "sample_per_shard": 40, "cutoff": {"keep_fraction": 0.25}}


@pytest.fixture
def scorable(world: World) -> World:
    return world.once(promote_for_four_shards)


def test_a_run_can_be_found_by_its_lens_its_job_and_what_it_is_for(scorable: World) -> None:
    (request,) = tick(scorable, "reconcile_sensor").run_requests
    promotion = promoted(scorable.lake, "teaching")
    assert {key: value for key, value in request.tags.items() if key.startswith("datashop/")} == {
        "datashop/job": "score_documents",
        "datashop/lens": "teaching",
        "datashop/for": promotion.classifier,
        "datashop/asked_by": "reconcile_sensor",
        "datashop/stale_cells": "4",
        "datashop/work": request.tags[WORK_TAG],
    }


def test_what_rests_is_shown_with_its_run_until_it_is_done(scorable: World) -> None:
    def shown() -> dict[str, object]:
        event = scorable.instance.get_latest_materialization_event(dg.AssetKey("resting_work"))
        return {name: value.value for name, value in event.asset_materialization.metadata.items()} if event else {}

    cursors: dict[str, str | None] = {}
    (request,) = tick(scorable, "reconcile_sensor", cursors).run_requests
    assert shown() == {}, "nothing rests: nothing to tell"
    scorable.run("score_documents", "teaching", shards=scorable.shards[:1])
    job = scorable.defs.resolve_job_def(request.job_name)
    run = scorable.instance.create_run_for_job(job, tags=request.tags, status=dg.DagsterRunStatus.STARTED)
    scorable.instance.report_run_failed(run)
    skipped = str(tick(scorable, "reconcile_sensor", cursors).skip_message)
    assert "score_documents of teaching, crawl-00001..crawl-00003 (3 shards): failed 1 time" in skipped
    assert shown()["resting cells"] == 3, "the first was committed"
    assert run.run_id in str(shown()["what rests"])
    scorable.run("score_documents", "teaching")
    tick(scorable, "reconcile_sensor", cursors)
    assert shown()["resting cells"] == 0


def test_a_promotion_is_followed_at_once_though_runs_for_the_last_classifier_failed(scorable: World) -> None:
    (request,) = tick(scorable, "reconcile_sensor").run_requests
    job = scorable.defs.resolve_job_def(request.job_name)
    run = scorable.instance.create_run_for_job(job, tags=request.tags, status=dg.DagsterRunStatus.STARTED)
    scorable.instance.report_run_failed(run)
    assert isinstance(tick(scorable, "reconcile_sensor"), dg.SkipReason)
    scorable.judge = lambda text: 5.0 - worth(text)
    scorable.run("rate_documents", "teaching", config={"annotations": {"rater": "other"}})
    scorable.change_project(lenses={"teaching": LENS_ASKED | {"rater": "other"}, "clarity": LENS_ASKED})
    scorable.run("train_and_promote_classifier", "teaching")
    result = tick(scorable, "reconcile_sensor")
    assert isinstance(result, dg.SensorResult), result.skip_message
    (again,) = result.run_requests or ()
    assert again.tags[PURPOSE_TAG] != request.tags[PURPOSE_TAG]
    assert again.tags[RANGE_TAGS[0]] == "teaching|crawl-00000"


def test_two_lenses_promoted_before_one_tick_are_both_followed_and_one_right_after_it_at_the_next(
    scorable: World,
) -> None:
    """Nothing is remembered of the tick before: what a table has is compared with what is promoted now."""
    (first,) = tick(scorable, "reconcile_sensor").run_requests
    scorable.instance.create_run_for_job(
        scorable.defs.resolve_job_def(first.job_name), tags=first.tags, status=dg.DagsterRunStatus.STARTED
    )
    scorable.run("rate_documents", "clarity")
    scorable.run("train_and_promote_classifier", "clarity")
    (second,) = tick(scorable, "reconcile_sensor").run_requests
    assert second.tags["datashop/lens"] == "clarity"
    fresh = World(scorable.folder, scorable.profile)  # the same tables, and an instance that knows of no run
    fresh.instance.add_dynamic_partitions(str(SHARDS.name), scorable.shards)
    both = tick(fresh, "reconcile_sensor").run_requests
    assert {request.tags["datashop/lens"] for request in both} == {"teaching", "clarity"}
    assert len({request.run_key for request in both}) == 2


@pytest.mark.parametrize(
    ("automation", "said"),
    [
        pytest.param({"paused": True}, "a person paused it", id="everything"),
        pytest.param({"paused_lenses": ["teaching"]}, "teaching: 4 cells wait, a person paused it", id="the lens"),
    ],
)
def test_a_paused_tick_says_so_and_asks_for_nothing(scorable: World, automation: dict[str, object], said: str) -> None:
    scorable.change_project(automation=automation)
    assert said in str(tick(scorable, "reconcile_sensor").skip_message)


def test_a_tick_that_has_reached_its_cap_says_what_waits(scorable: World) -> None:
    scorable.change_project(automation={"max_runs": 1})
    (request,) = tick(scorable, "reconcile_sensor").run_requests
    job = scorable.defs.resolve_job_def(request.job_name)
    scorable.instance.create_run_for_job(job, tags=request.tags, status=dg.DagsterRunStatus.STARTED)
    scorable.land_shards(1, start=4)
    said = str(tick(scorable, "reconcile_sensor").skip_message)
    assert "1 runs wait: 1 of this sensor's are outstanding" in said
