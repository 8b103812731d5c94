"""What leaves a project: nothing by default; where it asks, a promoted classifier's files and a training's figures."""

import pytest
import yaml

from datashop_assets_tests.worlds import World
from resources.publishers import ScriptedPublisher
from resources.trackers import ScriptedTracker


@pytest.fixture
def rated(world: World) -> World:
    world.overrides = {"publisher": ScriptedPublisher(), "tracker": ScriptedTracker()}
    world.reload()
    world.land_shards(4)
    world.run("parse_and_embed_shards")
    world.run("rate_documents", "teaching")
    return world


def test_a_promoted_classifier_is_published_without_documents_where_the_project_asks(rated: World) -> None:
    published = rated.overrides["publisher"].published
    rated.run("train_and_promote_classifier", "teaching")
    assert published == {}, "the project file does not ask for it"
    lenses = yaml.safe_load(rated.profile.project_file.read_text())["lenses"]
    lenses["teaching"]["publish"] = {"repository": "org/teaching"}
    rated.change_project(lenses=lenses)
    rated.run("train_and_promote_classifier", "teaching")
    files = published["org/teaching"]
    assert "head.safetensors" in files
    assert not {"held_out.parquet", "confident_errors.md", "_COMPLETE.json"} & set(files)


def test_a_tracker_is_told_of_a_training_with_its_settings_figures_and_curve(rated: World) -> None:
    rated.run("train_and_promote_classifier", "teaching")
    rated.run("train_and_promote_classifier", "teaching")
    (training,) = rated.overrides["tracker"].told.values()
    assert training.settings["recipe.model.kind"] == "linear"
    assert training.settings["lens"] == "teaching"
    assert training.figures["mae_low"] <= training.figures["mae"] <= training.figures["mae_high"]
    assert {name for name, _, _ in training.curve} == {"validation_mae"}
