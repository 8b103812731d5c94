"""People are told of a check that turned from passed to failed and stopped nothing: once, and nothing is lost."""

from collections.abc import Sequence
from pathlib import Path

import dagster as dg
import pytest

from datashop_assets_tests.resources.test_webhooks import receiver
from datashop_assets_tests.worlds import World, write_project
from resources.webhooks import HttpWebhook, ScriptedWebhook, WebhookError

WARN, ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR
DRIFT, LANGUAGES = "new_scores_are_like_the_reference", "new_languages_are_like_the_reference"


@pytest.fixture
def webhook() -> ScriptedWebhook:
    return ScriptedWebhook()


@pytest.fixture
def world(tmp_path: Path, webhook: ScriptedWebhook) -> World:
    write_project(tmp_path, automation={"webhook_url_env": "ALERTS", "ui_url": "http://ui:1/"})
    return World(tmp_path, webhook=webhook)


def tick(world: World, cursor: str | None) -> tuple[str | None, str]:
    """One evaluation: the cursor after it, and what it says."""
    with dg.build_sensor_context(instance=world.instance, cursor=cursor, resources=world.defs.resources) as context:
        result = world.defs.get_sensor_def("check_alerts")(context)
        assert isinstance(result, dg.SkipReason)
        return context.cursor, str(result.skip_message)


def run(world: World, *checks: tuple[str, bool], severity: dg.AssetCheckSeverity = WARN, blocking: bool = False) -> str:
    """A run that makes `scores` and evaluates the checks with these outcomes."""

    @dg.asset
    def scores() -> None: ...

    def check(name: str, passed: bool) -> dg.AssetChecksDefinition:
        found = {
            "index": 0.31,
            "shift": dg.MetadataValue.md("| lens |"),
            "plot": dg.MetadataValue.md("![](data:image/"),
        }

        @dg.asset_check(asset=scores, name=name, blocking=blocking)
        def checked() -> dg.AssetCheckResult:
            return dg.AssetCheckResult(passed=passed, severity=severity, metadata=found)

        return checked

    made: Sequence[dg.AssetsDefinition | dg.AssetChecksDefinition] = [scores, *(check(*each) for each in checks)]
    return dg.materialize(made, instance=world.instance, raise_on_error=False).run_id


def told(webhook: ScriptedWebhook) -> list[str]:
    return [message["check"] for message in webhook.told]


def test_a_check_that_goes_on_failing_is_told_of_once_and_again_after_it_passed(
    world: World, webhook: ScriptedWebhook
) -> None:
    cursor, said = tick(world, None)
    assert said == "checks that fail from now on are told of"
    run(world, (DRIFT, True), (LANGUAGES, True))
    cursor, said = tick(world, cursor)
    assert (webhook.told, said) == ([], "told of 0 failed checks")
    failed = run(world, (DRIFT, False), (LANGUAGES, True))
    run(world, (DRIFT, False))
    cursor, said = tick(world, cursor)
    assert said == "told of 1 failed checks"
    run(world, (DRIFT, False), (LANGUAGES, False))
    cursor, _ = tick(world, cursor)
    assert told(webhook) == [DRIFT, LANGUAGES]
    run(world, (DRIFT, True))
    run(world, (DRIFT, False))
    tick(world, cursor)
    assert told(webhook) == [DRIFT, LANGUAGES, DRIFT], "it had passed in between"
    first = webhook.told[0]
    assert (first["event"], first["project"], first["run_id"]) == ("check_failed", "tiny", failed)
    assert first["url"] == f"http://ui:1/assets/scores?view=checks&checkDetail={DRIFT}"
    assert first["url"] in first["text"]
    assert first["found"] == {"index": "0.31", "shift": "| lens |"}, "pictures stay in the UI"


@pytest.mark.parametrize(
    ("severity", "blocking", "messages"),
    [
        pytest.param(WARN, True, 1, id="blocking, but a warning stops nothing"),
        pytest.param(ERROR, False, 1, id="an error that blocks nothing"),
        pytest.param(ERROR, True, 0, id="what stops its run is told of as a failed run"),
    ],
)
def test_checks_that_stop_nothing_are_told_of(
    world: World, webhook: ScriptedWebhook, severity: dg.AssetCheckSeverity, blocking: bool, messages: int
) -> None:
    cursor, _ = tick(world, None)
    run(world, (DRIFT, False), severity=severity, blocking=blocking)
    tick(world, cursor)
    assert len(webhook.told) == messages


def test_what_turned_while_the_receiver_was_down_is_told_of_in_its_order(
    world: World, webhook: ScriptedWebhook
) -> None:
    cursor, _ = tick(world, None)
    run(world, (DRIFT, False))
    webhook.faults.append("it is down")
    with pytest.raises(WebhookError, match="it is down"):
        tick(world, cursor)  # the daemon keeps the cursor of a tick that failed
    run(world, (DRIFT, True))
    run(world, (LANGUAGES, False), (DRIFT, False))
    cursor, said = tick(world, cursor)
    assert said == "told of 3 failed checks"
    assert sorted(told(webhook)) == sorted([DRIFT, LANGUAGES, DRIFT])
    assert told(webhook)[0] == DRIFT
    assert tick(world, cursor)[1] == "told of 0 failed checks"


def test_a_receiver_that_breaks_down_after_a_message_is_told_the_others_later(world: World) -> None:
    cursor, _ = tick(world, None)
    run(world, (DRIFT, False))
    run(world, (LANGUAGES, False))
    with receiver(204, 404) as (url, received):
        world.overrides["webhook"] = HttpWebhook("ALERTS", url)
        world.reload()
        cursor, said = tick(world, cursor)
        assert said == "told of 1 failed checks; 1 others at the next tick"
        tick(world, cursor)
    assert [message["body"]["check"] for message in received] == [DRIFT, LANGUAGES, LANGUAGES]


def test_each_lens_has_a_state_of_its_own(world: World, webhook: ScriptedWebhook) -> None:
    lenses = dg.StaticPartitionsDefinition(["clarity", "teaching"])

    @dg.asset(partitions_def=lenses)
    def cutoff() -> None: ...

    @dg.asset_check(asset=cutoff, partitions_def=lenses)
    def cutoff_divides_the_corpus() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=False, severity=WARN)

    cursor, _ = tick(world, None)
    for lens in ("clarity", "teaching", "clarity"):
        dg.materialize([cutoff, cutoff_divides_the_corpus], instance=world.instance, partition_key=lens)
    tick(world, cursor)
    assert [message["lens"] for message in webhook.told] == ["clarity", "teaching"]
