"""Recipes that read texts, as a project file asks for them."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from datashop_assets.classifier.fine_tune_recipe import KEPT_S, _remove_old, base_content
from datashop_assets.classifier.known_recipes import recipe_of
from datashop_assets.classifier.recipes import Examples
from datashop_assets.classifier.workbench import Workbench
from datashop_assets.classifier_settings import ClassifierRecipe
from datashop_assets.encoder_settings import EncoderSettings
from datashop_assets.recipe_presets import deviations
from datashop_assets.text_model_settings import FastTextSettings, FineTuneSettings
from datashop_assets_tests.classifier.lenses import lens
from resources.model_files import ScriptedModelFiles


def test_the_published_fine_tune_is_a_preset_that_names_its_substitute() -> None:
    recipe = ClassifierRecipe(preset="medu")
    assert isinstance(recipe.model, FineTuneSettings)
    model = recipe.model
    assert (model.learning_rate, model.schedule, model.warmup_share, model.epochs) == (5e-5, "cosine", 0.1, 3)
    assert (model.max_tokens, model.batch_size, model.best_by) == (512, 128, "macro_f1")
    assert (recipe.validation_share, model.model) == (0.1, "Alibaba-NLP/gte-modernbert-base")
    (note,) = deviations("medu", EncoderSettings())
    assert "gte-base-en-v1.5" in note
    assert "native substitute" in note


def test_a_batch_is_a_multiple_of_what_is_held_at_once() -> None:
    with pytest.raises(ValidationError, match="`batch_size` has to be a multiple of `device_batch_size`"):
        FineTuneSettings(batch_size=100, device_batch_size=32)


def test_a_fine_tune_asks_for_somewhere_to_run() -> None:
    rows = Examples(["a"], np.ones(1), np.ones(1), np.ones(1))
    with pytest.raises(ValueError, match="give `recipe_of` a Workbench"):
        recipe_of(FineTuneSettings()).fit(rows, rows, lens(), 0)


def test_what_a_fine_tune_starts_from_is_known_by_its_content(tmp_path: Path) -> None:
    for name, weights in (("a", b"1"), ("the same elsewhere", b"1"), ("b", b"2")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
        (tmp_path / name / "model.safetensors").write_bytes(weights)

    def content(folder: str) -> list[str]:
        bench = Workbench(lambda worker, extras: {}, ScriptedModelFiles({"org/base": tmp_path / folder}), tmp_path)
        return base_content(FineTuneSettings(model="org/base"), bench)

    assert content("a") == content("the same elsewhere") != content("b")
    assert base_content(FastTextSettings(), None) == []
    with pytest.raises(ValueError, match="give a Workbench"):
        base_content(FineTuneSettings(), None)


def test_folders_of_trainings_are_removed_when_nobody_touched_them_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    (tmp_path / "new" / "checkpoint").touch()
    now = (tmp_path / "old").stat().st_mtime
    monkeypatch.setattr("time.time", lambda: now + KEPT_S - 60)
    _remove_old(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"old", "new"}
    monkeypatch.setattr("time.time", lambda: now + KEPT_S + 60)
    _remove_old(tmp_path)
    assert list(tmp_path.iterdir()) == []
