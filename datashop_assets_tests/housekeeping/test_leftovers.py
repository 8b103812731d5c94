"""What goes from the staging folder and the model store, and what was paid for or is in use and stays."""

import os
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from datashop_assets.housekeeping.leftovers import clear_models, clear_staging, clear_work, judged_through
from datashop_assets.records import CLASSIFIERS
from datashop_assets_tests.worlds import World, metadata_of
from resources.lake import DeltaLake
from resources.model_store import LocalModelStore

WEEK_S = 7 * 24 * 3600
LENSES = {"teaching": "v2"}
NOW_VERSIONS = {"annotations": LENSES, "exemplars": LENSES, "rated_attributes": {"depth": "v2"}}


def old_file(path: Path, age_s: float = 2 * WEEK_S) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"rows")
    os.utime(path, (time.time() - age_s,) * 2)
    return path


@pytest.mark.parametrize(
    ("place", "age_s", "goes"),
    [
        pytest.param("embeddings/e/shard/v", 2 * WEEK_S, True, id="vectors of a cell that nobody came back to"),
        pytest.param("scores/teaching/c/shard/v", 2 * WEEK_S, True, id="scores of one"),
        pytest.param("embeddings/e/shard/v", 60, False, id="a cell that a run works on"),
        pytest.param("annotations/teaching/v1/rater/shard", 2 * WEEK_S, True, id="judgements through an earlier lens"),
        pytest.param(
            "annotations/off/v1/rater/shard", 2 * WEEK_S, False, id="judgements of a lens that is switched off"
        ),
        pytest.param(
            "rated_attributes/depth/v1/rater/shard", 2 * WEEK_S, True, id="an attribute's, by an earlier lens"
        ),
        pytest.param("rated_attributes/depth/v2/rater/shard", 2 * WEEK_S, False, id="an attribute's judgements"),
        pytest.param(
            "rated_attributes/off/v1/rater/shard", 2 * WEEK_S, False, id="of an attribute that left the project"
        ),
        pytest.param("annotations/teaching/v2/rater/shard", 2 * WEEK_S, False, id="judgements that a run would use"),
        pytest.param("annotations/teaching/v1/rater/shard", 60, False, id="judgements that came in just now"),
        pytest.param("spent/run-annotations-rater", 2 * WEEK_S, False, id="what a run has spent"),
    ],
)
@pytest.mark.parametrize("dry_run", [True, False])
def test_kept_rows_go_when_nothing_will_pick_them_up(
    tmp_path: Path, place: str, age_s: float, goes: bool, dry_run: bool
) -> None:
    file = old_file(tmp_path / place / "00000000-1-a.parquet", age_s)
    chores = list(clear_staging(tmp_path, NOW_VERSIONS, WEEK_S, dry_run))
    assert [(chore.what, chore.bytes, chore.done) for chore in chores] == [(f"staging/{place}", 4, not dry_run)] * goes
    assert file.exists() is not (goes and not dry_run)
    if goes and not dry_run:
        assert list(tmp_path.iterdir()) == [], "and the folders that this left empty"


@pytest.mark.parametrize(
    ("columns", "version", "goes"),
    [
        pytest.param({"id": ["a"], "score": [1.0]}, "v2", True, id="scores by a model"),
        pytest.param({"id": ["a"], "score": [1.0], "rater": ["r"]}, "v2", False, id="judgements that a run would use"),
        pytest.param({"id": ["a"], "score": [1.0], "rater": ["r"]}, "v1", True, id="judgements by an earlier lens"),
        pytest.param(None, "v2", False, id="a file that cannot be read"),
    ],
)
def test_in_the_stage_that_judgements_once_shared_with_models_they_are_told_apart(
    tmp_path: Path, columns: dict[str, list[Any]] | None, version: str, goes: bool
) -> None:
    file = old_file(tmp_path / "attributes" / "depth" / version / "rater" / "shard" / "0.parquet")
    if columns:
        pl.DataFrame(columns).write_parquet(file)
        os.utime(file, (time.time() - 2 * WEEK_S,) * 2)
    list(clear_staging(tmp_path, NOW_VERSIONS, WEEK_S, False))
    assert file.exists() is not goes


def test_judgements_of_an_attribute_stay_until_its_lens_is_another(world: World) -> None:
    rated = {"kind": "rater", "rater": "scripted", "lens": "clarity"}
    world.change_project(attributes={"depth": rated, "words": {"kind": "length", "unit": "words"}})
    versions = judged_through(world.graph)
    clarity = world.graph.lenses["clarity"].version
    assert versions["rated_attributes"] == {"depth": clarity}
    assert versions["annotations"]["clarity"] == versions["exemplars"]["clarity"] == clarity


def test_a_staging_folder_that_was_never_made_is_nothing_to_do(tmp_path: Path) -> None:
    assert list(clear_staging(tmp_path / "never", NOW_VERSIONS, WEEK_S, False)) == []
    assert list(clear_work(tmp_path / "never", WEEK_S, False)) == []


def test_a_workers_files_go_when_no_run_came_back_and_results_of_evaluations_stay(tmp_path: Path) -> None:
    for name, age_s in (("abandoned", 2 * WEEK_S), ("evaluation", 2 * WEEK_S), ("at work", 60)):
        old_file(tmp_path / name / "checkpoint" / "model.bin", age_s)
    assert [chore.what for chore in clear_work(tmp_path, WEEK_S, False)] == ["work/abandoned"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["at work", "evaluation"]


def test_models_that_no_record_names_go_and_recorded_ones_never(world: World) -> None:
    world.land_shards(4)
    world.run("parse_and_embed_shards")
    world.run("rate_documents", "teaching")
    path = metadata_of(world.run("train_and_promote_classifier", "teaching"), "classifier")["teaching"]["path"]
    models = LocalModelStore(Path(world.profile.models))
    left = world.folder / "left"
    left.mkdir()
    (left / "head.bin").write_bytes(b"0" * 100)
    models.put("classifiers/teaching/killed-before-its-record", left)
    assert list(clear_models(world.lake, models, WEEK_S, False)) == [], "it may be recorded in the next moment"
    for manifest in Path(world.profile.models).rglob("_COMPLETE.json"):
        os.utime(manifest, (time.time() - 2 * WEEK_S,) * 2)
    (chore,) = clear_models(world.lake, models, WEEK_S, True)
    assert (chore.what, chore.done) == ("models/classifiers/teaching/killed-before-its-record", False)
    assert len(models.stored()) == 2
    (chore,) = clear_models(world.lake, models, WEEK_S, False)
    assert chore.done
    (kept,) = models.stored()
    assert models.place(kept.name) == path == models.place(world.read(CLASSIFIERS)["uri"].item())
    assert list(clear_models(world.lake, models, WEEK_S, False)) == []


@pytest.fixture
def shelf(tmp_path: Path) -> LocalModelStore:
    """A store of one model of long ago."""
    models = LocalModelStore(tmp_path / "models")
    old_file(tmp_path / "made" / "head.bin")
    models.put("classifiers/teaching/one", tmp_path / "made")
    for manifest in (tmp_path / "models").rglob("_COMPLETE.json"):
        os.utime(manifest, (time.time() - 2 * WEEK_S,) * 2)
    return models


def test_a_lake_that_records_no_model_may_be_the_wrong_one_and_none_goes(
    tmp_path: Path, shelf: LocalModelStore
) -> None:
    (chore,) = clear_models(DeltaLake(str(tmp_path / "mistyped")), shelf, WEEK_S, False)
    assert not chore.done
    assert "left alone: this lake records no model" in chore.note
    assert len(shelf.stored()) == 1


def test_where_records_of_models_cannot_be_read_none_goes(tmp_path: Path, shelf: LocalModelStore) -> None:
    lake = DeltaLake(str(tmp_path / "lake"))
    lake.commit(CLASSIFIERS, CLASSIFIERS.empty(), None, {})
    for entry in (tmp_path / "lake" / "classifiers" / "_delta_log").glob("*.json"):
        entry.write_text("no log")
    (chore,) = clear_models(lake, shelf, WEEK_S, False)
    assert not chore.done
    assert chore.note.startswith("left alone: table classifiers: ")
    assert len(shelf.stored()) == 1
