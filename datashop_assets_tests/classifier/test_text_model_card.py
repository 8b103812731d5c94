"""The code on the cards of text-reading classifiers is run, and gives the scores that we give."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datashop_assets.classifier.fasttext import FastTextRecipe
from datashop_assets.classifier.fine_tune_recipe import scorer_in
from datashop_assets.classifier.text_model_card import EXAMPLES, use_without_us
from datashop_assets_tests.classifier.lenses import lens
from datashop_assets_tests.classifier.test_fasttext import SETTINGS, examples
from datashop_assets_tests.tiny_text_models import make_tiny_bert

pytestmark = pytest.mark.models


def run_example(model: str, folder: Path, texts: list[str]) -> list[float]:
    known: dict[str, Any] = {"texts": texts}
    exec(EXAMPLES[model][1].replace("<this folder>", str(folder)), known)
    scores: list[float] = known["scores"]
    return scores


def test_a_fasttext_classifier_is_used_with_its_library_alone(tmp_path: Path) -> None:
    scorer = FastTextRecipe(SETTINGS).fit(examples(range(60)), examples(range(60, 72)), lens(), seed=0).scorer
    scorer.save(tmp_path)
    texts = list(examples(range(100, 110)).inputs)
    np.testing.assert_allclose(run_example("fasttext", tmp_path, texts), scorer.predict(texts), atol=1e-4)


def test_a_fine_tuned_classifier_is_used_with_transformers_alone(tmp_path: Path) -> None:
    scorer = scorer_in(make_tiny_bert(tmp_path / "base"), max_tokens=64)
    scorer.save(tmp_path / "saved")
    texts = ["because " * 100, "click cookies", "therefore example"]
    np.testing.assert_allclose(run_example("fine_tune", tmp_path / "saved", texts), scorer.predict(texts), atol=1e-4)


def test_a_kind_without_an_example_has_none() -> None:
    assert use_without_us("linear") == []
