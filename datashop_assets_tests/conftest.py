"""The tiny project that tests of assets, checks and automation share."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from datashop_assets_tests.workshops import AnnealingWorld
from datashop_assets_tests.worlds import World, light_export, write_project

# A busy machine is no fault of the code: properties are judged by what they find, not by how fast inputs are drawn.
settings.register_profile("other", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# The same inputs each time: a change is what turns a test red. `pytest --hypothesis-profile other` draws others.
settings.register_profile("same", settings.get_profile("other"), derandomize=True)
settings.load_profile("same")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """An empty project of two lenses; classifiers are stored as their head alone."""
    monkeypatch.setattr("datashop_assets.classifier.produce.export", light_export)
    write_project(tmp_path)
    return World(tmp_path)


@pytest.fixture
def annealing_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AnnealingWorld:
    """The project parsed and filtered for one lens that asks to be annealed; its workers are scripts."""
    return AnnealingWorld(tmp_path, monkeypatch)
