"""The tiny project that tests of assets, checks and automation share."""

from pathlib import Path

import pytest

from datashop_assets_tests.worlds import World, light_export, write_project


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """An empty project of two lenses; classifiers are stored as their head alone."""
    monkeypatch.setattr("datashop_assets.classifier.produce.export", light_export)
    write_project(tmp_path)
    return World(tmp_path)
