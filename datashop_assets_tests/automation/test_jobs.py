"""The jobs: every asset has one, and their assets share partitions, so that one run can carry them."""

from pathlib import Path

import pytest

from datashop_assets.automation.jobs import ANNEALING_STEPS, STEPS
from datashop_assets.automation.reconcile import RECONCILED_JOBS
from datashop_assets.definitions import build_defs
from datashop_assets_tests.worlds import write_project
from resources.profiles import laptop


@pytest.fixture
def defs(tmp_path: Path):
    lenses = {"teaching": {"rater": "scripted", "anneal": True}, "clarity": {"rater": "scripted"}}
    return build_defs(laptop(write_project(tmp_path, lenses=lenses)))


def test_every_asset_is_made_by_exactly_one_job(defs) -> None:
    made = [asset for assets, _ in (STEPS | ANNEALING_STEPS).values() for asset in assets]
    known = {key.to_user_string() for key in defs.resolve_asset_graph().materializable_asset_keys}
    assert sorted(made) == sorted(known)


def test_the_assets_of_a_job_share_their_partitions(defs) -> None:
    graph = defs.resolve_asset_graph()
    for name in STEPS | ANNEALING_STEPS:
        keys = defs.resolve_job_def(name).asset_layer.selected_asset_keys
        assert len({graph.get(key).partitions_def for key in keys}) == 1, name


def test_no_sensor_can_start_what_costs_money_or_puts_something_in_force(defs) -> None:
    startable = {target.job_name for sensor in defs.sensors for target in sensor.targets}
    assert startable == set(RECONCILED_JOBS)
    assets = {asset for job in startable for asset in STEPS[job][0]}
    assert not assets & {"annotations", "classifier", "promotion", "control_model", "candidate_model"}
