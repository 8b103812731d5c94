"""People are told of runs that fail: of each, with its error, and again where the webhook did not take it."""

import json
import time
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest

from datashop_assets.asset_metadata import overdue_after
from datashop_assets.automation import alerts
from datashop_assets.automation.alerts import error_of
from datashop_assets.automation.lost import LOST
from datashop_assets.automation.telling import OVERLAP_S, Told
from datashop_assets_tests.resources.test_webhooks import receiver
from datashop_assets_tests.worlds import World, write_project
from resources.webhooks import HttpWebhook, ScriptedWebhook, WebhookError


@pytest.fixture
def webhook() -> ScriptedWebhook:
    return ScriptedWebhook()


@pytest.fixture
def world(tmp_path: Path, webhook: ScriptedWebhook) -> World:
    write_project(tmp_path, automation={"webhook_url_env": "ALERTS", "ui_url": "http://ui:1/", "attempts": 1})
    return World(tmp_path, webhook=webhook)


def tick(world: World, cursor: str | None) -> tuple[str | None, str]:
    """One evaluation: the cursor after it, and what it says."""
    with dg.build_sensor_context(instance=world.instance, cursor=cursor, resources=world.defs.resources) as context:
        result = world.defs.get_sensor_def("failure_alerts")(context)
        assert isinstance(result, dg.SkipReason)
        return context.cursor, str(result.skip_message)


def fail(world: World, name: str) -> dg.ExecuteInProcessResult:
    """A run over a shard with a damaged file."""
    (world.folder / "landing" / f"{name}.jsonl.gz").write_bytes(b"no archive")
    shards = world.register()
    return world.run("parse_and_embed_shards", shards=shards[-1:], fails=True)


def test_a_failed_run_is_told_of_once_with_its_shards_its_error_and_a_link(
    world: World, webhook: ScriptedWebhook
) -> None:
    fail(world, "before")
    cursor, said = tick(world, None)
    assert (webhook.told, said) == ([], "runs that fail from now on are told of"), "what failed long ago is old news"
    begun = time.time()
    result = fail(world, "part-0")
    cursor, said = tick(world, json.dumps({"until": begun + OVERLAP_S, "runs": {}}))
    (told,) = webhook.told
    assert told["run_id"] == result.run_id
    assert told["url"] == f"http://ui:1/runs/{result.run_id}"
    assert (told["event"], told["project"], told["job"]) == ("run_failed", "tiny", "parse_and_embed_shards")
    assert set(told["shards"]) == {world.shards[-1]}
    assert "part-0.jsonl.gz" in told["error"]
    assert told["url"] in told["text"]
    before = len(webhook.told)
    assert tick(world, cursor) == (cursor, "no run failed")
    assert len(webhook.told) == before


def test_what_the_webhook_does_not_take_is_told_at_the_next_tick(world: World, webhook: ScriptedWebhook) -> None:
    cursor, _ = tick(world, None)
    runs = [fail(world, name).run_id for name in ("a", "b")]
    webhook.faults.append("it is down")
    with pytest.raises(WebhookError, match="it is down"):
        tick(world, cursor)  # the daemon keeps the cursor of a tick that failed
    cursor, said = tick(world, cursor)
    assert said == "told of 2 failed runs"
    assert [told["run_id"] for told in webhook.told] == runs


def test_a_webhook_that_fails_after_some_messages_loses_none_and_repeats_none(world: World) -> None:
    cursor, _ = tick(world, None)
    runs = [fail(world, name).run_id for name in ("a", "b", "c")]
    with receiver(204, 404) as (url, received):
        world.overrides["webhook"] = HttpWebhook("ALERTS", url)
        world.reload()
        cursor, said = tick(world, cursor)
        assert said == "told of 1 failed runs; 2 others at the next tick"
        cursor, _ = tick(world, cursor)
        tick(world, cursor)
    taken = [message["body"]["run_id"] for number, message in enumerate(received) if number != 1]
    assert taken == runs


def report_failed(world: World, message: str | None = None) -> str:
    """A run that ended without an error of its own, as one whose process was killed."""
    run = dg.DagsterRun(job_name="score_documents", run_id=str(uuid4()), status=dg.DagsterRunStatus.STARTED)
    world.instance.add_run(run)
    world.instance.report_run_failed(run, message)
    return run.run_id


def test_a_run_that_was_lost_is_told_of_with_the_words_it_was_reported_with(
    world: World, webhook: ScriptedWebhook
) -> None:
    cursor, _ = tick(world, None)
    run = report_failed(world, LOST)
    assert error_of(world.instance, world.instance.get_run_by_id(run)) == LOST
    tick(world, cursor)
    assert [(told["run_id"], told["error"]) for told in webhook.told] == [(run, LOST)]


def test_a_run_whose_log_cannot_be_read_is_told_of_all_the_same(
    world: World, webhook: ScriptedWebhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*_: object) -> str:
        raise ValueError("no event of this release")

    monkeypatch.setattr(alerts, "error_of", damaged)
    cursor, _ = tick(world, None)
    run = report_failed(world)
    tick(world, cursor)
    assert [told["run_id"] for told in webhook.told] == [run]
    assert webhook.told[0]["error"] == "the run's log cannot be read (ValueError: no event of this release)"


def test_a_message_that_is_refused_for_good_holds_up_no_other_and_is_an_error_in_the_log(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []
    read = alerts.runs_to_respect
    monkeypatch.setattr(alerts, "runs_to_respect", lambda *given: looks.append(given) or read(*given))
    cursor, _ = tick(world, None)
    runs = [report_failed(world) for _ in range(3)]
    with receiver(400) as (url, received):
        world.overrides["webhook"] = HttpWebhook("ALERTS", url)
        world.reload()
        errors: list[str] = []
        monkeypatch.setattr("logging.Logger.error", lambda _, text, *given: errors.append(text % given))
        cursor, said = tick(world, cursor)
        assert said == "told of 2 failed runs; 1 messages were refused for good (see the log)"
        assert tick(world, cursor)[1] == "no run failed"
    assert [message["body"]["run_id"] for message in received] == runs
    (error,) = errors
    assert f"nobody was told that run {runs[0]} (score_documents) failed" in error
    assert "it answered 400" in error
    assert len(looks) == 1, "the runs are read once a tick, and not where none failed"


def test_a_run_that_the_sensor_asked_for_says_how_often_its_shards_failed(
    world: World, webhook: ScriptedWebhook
) -> None:
    cursor, _ = tick(world, None)
    (world.folder / "landing" / "a.jsonl.gz").write_bytes(b"no archive")
    world.register()
    with dg.build_sensor_context(instance=world.instance, resources=world.defs.resources) as context:
        (request,) = world.defs.get_sensor_def("reconcile_sensor")(context).run_requests
    job = world.defs.resolve_job_def(request.job_name)
    job.execute_in_process(instance=world.instance, tags=request.tags, raise_on_error=False)
    tick(world, cursor)
    (told,) = webhook.told
    assert (told["asked_by"], told["failures"]) == ("reconcile_sensor", 1)
    assert "they rest" in told["text"]


def test_nobody_is_told_where_the_project_names_no_webhook(world: World) -> None:
    told = {"failure_alerts", "check_alerts"}
    assert told <= {sensor.name for sensor in world.defs.sensors or []}
    world.change_project(automation={})
    assert told.isdisjoint(sensor.name for sensor in world.defs.sensors or [])


def test_the_cursor_stays_small_however_many_runs_fail() -> None:
    told = Told(0.0)
    for number in range(1000):
        told = told.of(f"run-{number}", number * 60.0)
    assert len(told.runs) <= OVERLAP_S / 60 + 1
    assert Told(**json.loads(told.cursor)) == told


@pytest.mark.parametrize(("hours", "overdue"), [(None, None), (36.0, 36 * 3600)])
def test_a_release_is_overdue_where_the_project_says_how_old_it_may_be(
    world: World, hours: float | None, overdue: float | None
) -> None:
    world.change_project(automation={"release_max_age_h": hours})
    specs = {spec.key.to_user_string(): spec for spec in world.defs.resolve_all_asset_specs()}
    policy = specs["release"].freshness_policy
    assert policy == overdue_after(hours)
    assert (policy and policy.fail_window.to_timedelta().total_seconds()) == overdue
