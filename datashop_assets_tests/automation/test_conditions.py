"""One asset of a lens follows another by itself: behind the blocking checks, and never twice."""

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from datashop_assets.automation.conditions import SENSOR
from datashop_assets.automation.pauses import record_pauses
from datashop_assets.records import CLASSIFIERS, PROMOTIONS
from datashop_assets_tests.worlds import World

LENS = {"rater": "scripted", "sample_per_shard": 40, "cutoff": {"keep_fraction": 0.25}}
WATCHED = ("classifier", "promotion", "eval_report")


class Evaluations:
    """Ticks of the condition sensor, a minute apart."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.cursor: Any = None
        self.at = datetime.now(UTC)

    def tick(self, minutes: float = 1) -> set[tuple[str, str]]:
        """What is asked for now: asset and lens."""
        self.at += timedelta(minutes=minutes)
        repository = self.world.defs.get_repository_def()
        known = [key for key in repository.asset_graph.get_all_asset_keys() if key.to_user_string() in WATCHED]
        result = dg.evaluate_automation_conditions(
            self.world.defs,
            self.world.instance,
            asset_selection=dg.AssetSelection.assets(*known),
            cursor=self.cursor,
            evaluation_time=self.at,
        )
        self.cursor = result.cursor
        asked = {key: result.get_requested_partitions(key) for key in known}
        return {(key.to_user_string(), str(part)) for key, parts in asked.items() for part in parts}


def train_alone(world: World, lens: str) -> dg.ExecuteInProcessResult:
    """`classifier` from its page, with its checks."""
    job = world.defs.resolve_implicit_global_asset_job_def().get_subset(asset_selection={dg.AssetKey("classifier")})
    return job.execute_in_process(
        instance=world.instance, partition_key=lens, resources=world.defs.resources, raise_on_error=False
    )


def rate(world: World) -> World:
    world.land_shards(4)
    world.run("parse_and_embed_shards")
    for lens in ("teaching", "clarity"):
        world.run("rate_documents", lens)
    return world


def change_lens(world: World, **changes: Any) -> None:
    world.change_project(lenses={"teaching": LENS | changes, "clarity": LENS})


@pytest.fixture
def rated(world: World) -> World:
    return rate(world)


def test_a_classifier_trained_alone_is_promoted_and_then_nothing_is_asked_for(rated: World) -> None:
    sensor = Evaluations(rated)
    assert sensor.tick() == set()
    assert train_alone(rated, "teaching").success
    assert sensor.tick() == {("promotion", "teaching")}
    assert rated.promote("teaching").success
    assert [sensor.tick() for _ in range(3)] == [set()] * 3
    assert rated.read(PROMOTIONS)["lens"].to_list() == ["teaching"]


def test_what_the_job_promoted_in_the_same_run_is_not_promoted_again(rated: World) -> None:
    """As the headless demo does, before and after a first tick."""
    rated.run("train_and_promote_classifier", "clarity")
    sensor = Evaluations(rated)
    assert sensor.tick() == set()
    rated.run("train_and_promote_classifier", "teaching")
    assert [sensor.tick() for _ in range(2)] == [set()] * 2


def test_one_that_fails_its_checks_triggers_nothing_until_a_better_one_lands(rated: World) -> None:
    chance = random.Random(0)
    rated.judge = lambda text: float(chance.randint(0, 5))
    rated.run("rate_documents", "teaching", config={"annotations": {"rater": "other"}})
    sensor = Evaluations(rated)
    sensor.tick()
    change_lens(rated, rater="other")
    assert not train_alone(rated, "teaching").success
    assert [sensor.tick() for _ in range(3)] == [set()] * 3
    change_lens(rated)
    assert train_alone(rated, "teaching").success
    assert sensor.tick() == {("promotion", "teaching")}


def test_one_that_is_worse_than_the_one_in_force_triggers_nothing(rated: World) -> None:
    rated.run("train_and_promote_classifier", "teaching")
    sensor = Evaluations(rated)
    sensor.tick()
    change_lens(rated, recipe={"model": {"kind": "linear", "l2": [300.0]}})
    assert not train_alone(rated, "teaching").success
    assert rated.read(CLASSIFIERS).height == 2
    assert [sensor.tick() for _ in range(3)] == [set()] * 3


@pytest.mark.parametrize(
    ("project", "lens"),
    [
        pytest.param({}, {"promotion": {"automatic": False}}, id="the lens wants a person to promote"),
        pytest.param({"automation": {"paused": True}}, {}, id="automation is paused"),
        pytest.param({"automation": {"paused_lenses": ["teaching"]}}, {}, id="the lens is paused"),
    ],
)
def test_switched_off_nothing_is_asked_for_and_switched_on_what_was_missed_is(
    rated: World, project: Mapping[str, Any], lens: Mapping[str, Any]
) -> None:
    rated.change_project(**project)
    change_lens(rated, **lens)
    sensor = Evaluations(rated)
    sensor.tick()
    train_alone(rated, "teaching")
    assert sensor.tick() == set()
    rated.change_project(automation={})
    change_lens(rated)
    assert sensor.tick() == {("promotion", "teaching")}


@pytest.mark.parametrize("name", ["teaching", "*"])
def test_the_pause_switch_holds_it_back_and_what_was_missed_comes_when_it_is_taken_back(
    rated: World, name: str
) -> None:
    sensor = Evaluations(rated)
    sensor.tick()
    record_pauses(rated.lake, ["teaching", "clarity"], [name], [], "ann", "hold", {})
    train_alone(rated, "teaching")
    assert sensor.tick() == set()
    record_pauses(rated.lake, ["teaching", "clarity"], [], [name], "ann", "go on", {})
    assert sensor.tick() == {("promotion", "teaching")}


def test_a_lens_with_a_time_is_trained_then_and_promoted_behind_it(rated: World) -> None:
    change_lens(rated, auto_train="0 3 * * *")
    sensor = Evaluations(rated)
    sensor.at = datetime(2026, 5, 1, 2, 0, tzinfo=UTC)
    assert [sensor.tick(10) for _ in range(3)] == [set()] * 3
    assert ("classifier", "teaching") in sensor.tick(60)
    assert not [asked for asked in sensor.tick() if asked[1] == "clarity"]


def test_the_sensor_is_on_and_watches_lens_assets_alone(rated: World) -> None:
    sensor = rated.defs.get_sensor_def(SENSOR)
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
    graph = rated.defs.resolve_asset_graph()
    watched = {key for key in graph.get_all_asset_keys() if graph.get(key).automation_condition is not None}
    assert watched == {dg.AssetKey("promotion")}
    assert all(not isinstance(graph.get(key).partitions_def, dg.MultiPartitionsDefinition) for key in watched)
