"""The jobs: every asset has one, and their assets share partitions, so that one run can carry them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from datashop_assets.automation.jobs import ANNEALING_STEPS, AUTOMATION_STEPS, CORPUS_STEPS, STEPS, assets_of
from datashop_assets.automation.reconcile import FREE_JOBS
from datashop_assets.definitions import build_defs
from datashop_assets_tests.worlds import write_project
from resources.profiles import laptop

JOBS = CORPUS_STEPS | STEPS | ANNEALING_STEPS | AUTOMATION_STEPS
LENS = {"rater": "scripted"}


def definitions(folder: Path, lenses: Mapping[str, Any]) -> dg.Definitions:
    return build_defs(laptop(write_project(folder, lenses=lenses)))


@pytest.fixture
def defs(tmp_path: Path) -> dg.Definitions:
    return definitions(tmp_path, {"teaching": LENS | {"anneal": True}, "clarity": LENS})


def startable(defs: dg.Definitions) -> set[str]:
    return {target.job_name for sensor in defs.sensors or () for target in sensor.targets}


def test_every_asset_is_made_by_exactly_one_job(defs: dg.Definitions) -> None:
    made = [asset for assets, _ in JOBS.values() for asset in assets]
    known = {key.to_user_string() for key in defs.resolve_asset_graph().materializable_asset_keys}
    assert sorted(made) == sorted(known)


def test_the_assets_of_a_job_share_their_partitions(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    for name in JOBS:
        keys = defs.resolve_job_def(name).asset_layer.selected_asset_keys
        assert len({graph.get(key).partitions_def for key in keys}) == 1, name


def test_no_sensor_can_start_what_costs_money_or_puts_something_in_force(defs: dg.Definitions) -> None:
    assert startable(defs) == set(FREE_JOBS)
    assets = {asset for job in startable(defs) for asset in assets_of(job)}
    assert not assets & {"annotations", "classifier", "promotion", "control_model", "candidate_model"}


def test_a_lens_that_says_so_lets_a_sensor_rate(tmp_path: Path) -> None:
    defs = definitions(tmp_path, {"teaching": LENS | {"auto_annotate": True}, "clarity": LENS})
    assert startable(defs) == {*FREE_JOBS, "rate_documents"}
