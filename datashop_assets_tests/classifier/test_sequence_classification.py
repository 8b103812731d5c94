"""Sequence-classification models as scorers: what the score is, and that it is what transformers computes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datashop_assets.classifier.known_recipes import load_scorer
from datashop_assets.classifier.sequence_classification import SequenceClassifier, TextModelError
from datashop_assets.finished_settings import SequenceClassificationSettings
from datashop_assets_tests.tiny_text_models import WORDS, make_tiny_bert

pytestmark = pytest.mark.models

TEXTS = ["because " * n + "click" * (n % 2) for n in (1, 40, 3, 0, 17, 200, 2)] + ["", "\n", "unheard words"]


def settings(**values: Any) -> SequenceClassificationSettings:
    return SequenceClassificationSettings(model="-", **{"max_tokens": 32, **values})


def logits(folder: Path, texts: list[str], max_tokens: int = 32) -> np.ndarray:
    """As transformers computes them, a text at a time."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        rows = [tokenizer(text, truncation=True, max_length=max_tokens, return_tensors="pt") for text in texts]
        return np.concatenate([model(**row).logits.numpy() for row in rows])


@pytest.fixture(scope="module")
def regression(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_bert(tmp_path_factory.mktemp("regression"))


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_bert(tmp_path_factory.mktemp("labelled"), labels=("poor", "fair", "good"))


@pytest.mark.parametrize("budget", [1, 64, None], ids=["one text at a time", "small batches", "the usual batches"])
def test_one_output_is_the_score_in_batches_of_any_size(regression: Path, budget: int | None) -> None:
    scorer = SequenceClassifier(regression, settings(batch_tokens=budget), threads=1)
    np.testing.assert_allclose(scorer.predict(TEXTS), logits(regression, TEXTS)[:, 0], atol=1e-5)
    assert scorer.predict([]).shape == (0,)


@pytest.mark.parametrize(
    ("asked", "weights"),
    [
        ({"output": "probability", "label": "good"}, [0, 0, 1]),
        ({"output": "probability", "label": "1"}, [0, 1, 0]),
        ({"output": "expected_value"}, [0, 1, 2]),
        ({"output": "expected_value", "label_values": {"poor": 1, "fair": 2.5, "good": 5}}, [1, 2.5, 5]),
    ],
    ids=["a label's probability", "a label by number", "the expected class", "the expected value"],
)
def test_of_several_labels_the_score_is_as_asked(labelled: Path, asked: dict, weights: list[float]) -> None:
    raw = logits(labelled, TEXTS).astype(np.float64)
    shares = np.exp(raw) / np.exp(raw).sum(1, keepdims=True)
    scores = SequenceClassifier(labelled, settings(**asked), threads=1).predict(TEXTS)
    np.testing.assert_allclose(scores, shares @ np.array(weights), atol=1e-5)


def test_of_independent_labels_the_score_is_the_sigmoid(tmp_path: Path) -> None:
    folder = make_tiny_bert(tmp_path, labels=("math", "code"), problem_type="multi_label_classification")
    scores = SequenceClassifier(folder, settings(output="probability", label="code"), threads=1).predict(TEXTS)
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(-logits(folder, TEXTS)[:, 1])), atol=1e-5)


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        ({}, r"has the labels \['poor', 'fair', 'good'\]: set `output: probability`"),
        ({"output": "probability", "label": "great"}, r"no label 'great'; its labels: \['poor', 'fair', 'good'\]"),
        ({"output": "expected_value", "label_values": {"poor": 1}}, r"`label_values` names \['poor'\]"),
        ({"max_tokens": 512}, "takes at most 64 tokens; set max_tokens to 64 or less"),
    ],
    ids=["no output chosen", "an unknown label", "a label without value", "longer than the model"],
)
def test_what_is_no_score_is_refused_with_what_to_change(labelled: Path, asked: dict, fault: str) -> None:
    with pytest.raises(TextModelError, match=fault):
        SequenceClassifier(labelled, settings(**asked)).predict(["because"])


def test_weights_that_are_no_safetensors_are_not_read(regression: Path, tmp_path: Path) -> None:
    SequenceClassifier(regression, settings()).save(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(TextModelError, match="cannot be loaded as a sequence-classification model with safetensors"):
        SequenceClassifier(tmp_path, settings()).predict(["because"])


def test_a_saved_scorer_scores_as_before_and_its_digest_is_of_what_makes_scores(
    regression: Path, tmp_path: Path
) -> None:
    scorer = SequenceClassifier(regression, settings(), threads=1)
    scorer.save(tmp_path)
    (tmp_path / "README.md").write_text("a card")
    loaded = load_scorer(tmp_path)
    np.testing.assert_allclose(loaded.predict(TEXTS), scorer.predict(TEXTS), atol=1e-5)
    assert loaded.form == "fine_tuned"
    assert loaded.digest() == scorer.digest() == SequenceClassifier(regression, settings(batch_tokens=7)).digest()
    assert scorer.digest() != SequenceClassifier(regression, settings(max_tokens=16)).digest()
    assert scorer.digest() != SequenceClassifier(make_tiny_bert(tmp_path / "x", labels=WORDS[:1]), settings()).digest()


def test_where_memory_does_not_suffice_batches_are_halved_and_stay_so(
    regression: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = SequenceClassifier(regression, settings(batch_tokens=1024), threads=1)
    model, _ = scorer._loaded
    sizes: list[int] = []

    def forward(input_ids: Any, attention_mask: Any) -> Any:
        sizes.append(input_ids.numel())
        if input_ids.numel() > 200:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return type(model).forward(model, input_ids=input_ids, attention_mask=attention_mask)

    monkeypatch.setattr(model, "forward", forward)
    texts = TEXTS * 5
    expected = logits(regression, texts)[:, 0]
    np.testing.assert_allclose(scorer.predict(texts), expected, atol=1e-5)
    assert max(sizes) > 200
    sizes.clear()
    np.testing.assert_allclose(scorer.predict(texts), expected, atol=1e-5)
    assert max(sizes) <= 200


def test_a_decoder_scores_too(tmp_path: Path) -> None:
    """It reads the last token that is not padding, and has no token for padding of its own."""
    from transformers import LlamaForSequenceClassification

    from datashop_assets_tests.tiny_models import make_tiny_llama

    make_tiny_llama(tmp_path)
    LlamaForSequenceClassification.from_pretrained(tmp_path, num_labels=1).save_pretrained(tmp_path)
    texts = ["the water of the river", "", "sea", "Answer: A B C D" * 5]
    scores = SequenceClassifier(tmp_path, settings(), threads=1).predict(texts)
    np.testing.assert_allclose(scores[[0, 2, 3]], logits(tmp_path, [texts[0], texts[2], texts[3]])[:, 0], atol=1e-5)
    assert np.isfinite(scores).all()
