"""Old runs go, and the pages of the assets show what they showed."""

from collections.abc import Mapping

import dagster as dg
import pytest

from datashop_assets.housekeeping.old_runs import prune_runs
from datashop_assets_tests.worlds import World
from resources.run_storage import RunStorage

# Every run that has ended is older than this.
AT_ONCE = -1.0


@pytest.fixture
def ran(world: World) -> World:
    """Shards parsed three times, and a lens rated; a training that failed is the last that its checks saw."""
    world.land_shards(3)
    for _ in range(3):
        world.run("parse_and_embed_shards")
    world.run("rate_documents", "teaching")
    world.run("train_and_promote_classifier", "clarity", fails=True)
    return world


def storage(world: World) -> RunStorage:
    return RunStorage(world.instance)


def pages(world: World) -> dict[str, Mapping[str, int]]:
    """What the UI shows of each asset: its materialized partitions and their latest events."""
    events = world.instance.event_log_storage
    kind = dg.DagsterEventType.ASSET_MATERIALIZATION
    keys = world.instance.all_asset_keys()
    return {key.to_user_string(): events.get_latest_storage_id_by_partition(key, kind) for key in keys}


def checks(world: World) -> set[tuple[str, str | None, str]]:
    """The latest result of every check: its name, the partition and the status."""
    keys = list(world.defs.resolve_asset_graph().asset_check_keys)
    found = world.instance.event_log_storage.get_asset_check_partition_info(keys)
    return {(info.check_key.name, info.partition_key, info.latest_execution_status.value) for info in found}


def run_ids(world: World) -> set[str]:
    return {run.run_id for run in world.instance.get_runs()}


def test_only_runs_of_which_nothing_is_shown_go(ran: World) -> None:
    before, shown = run_ids(ran), pages(ran)
    results = checks(ran)
    chores = list(prune_runs(storage(ran), AT_ONCE, dry_run=False))
    gone = before - run_ids(ran)
    assert {chore.what for chore in chores} == {f"run {run_id}" for run_id in gone}
    assert len(gone) == 2, "the parsings whose shards were parsed again"
    assert pages(ran) == shown
    assert checks(ran) == results
    assert not [event for run_id in gone for event in ran.instance.all_logs(run_id)]
    assert "parse_and_embed_shards, success, ended" in " ".join(chore.note for chore in chores)
    assert list(prune_runs(storage(ran), AT_ONCE, dry_run=False)) == []


def test_a_dry_run_and_a_young_run_lose_nothing(ran: World) -> None:
    before = run_ids(ran)
    assert len(list(prune_runs(storage(ran), AT_ONCE, dry_run=True))) == 2
    assert list(prune_runs(storage(ran), 30, dry_run=False)) == []
    assert run_ids(ran) == before


def test_one_killed_in_the_middle_of_a_run_is_ended_by_the_next(ran: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(_: dg.DagsterInstance, run_id: str) -> None:
        raise KeyboardInterrupt(run_id)

    before, shown = run_ids(ran), pages(ran)
    with monkeypatch.context() as patch:
        patch.setattr(dg.DagsterInstance, "delete_run", killed)
        with pytest.raises(KeyboardInterrupt):
            list(prune_runs(storage(ran), AT_ONCE, dry_run=False))
    assert run_ids(ran) == before
    assert len(list(prune_runs(storage(ran), AT_ONCE, dry_run=False))) == 2
    assert pages(ran) == shown


def test_two_at_once_are_no_error(ran: World) -> None:
    one, other = (prune_runs(storage(ran), AT_ONCE, dry_run=False) for _ in range(2))
    next(one)
    assert len(list(other)) == 1, "it lists what the first one has not taken yet"
    assert len(list(one)) == 1, "that is gone already"
    assert len(run_ids(ran)) == 3
