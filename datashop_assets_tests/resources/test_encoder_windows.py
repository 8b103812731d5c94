"""Long texts read in windows: nothing lost, nothing twice, and one vector that is what it says it is."""

from pathlib import Path

import numpy as np
import pytest
from transformers import AutoTokenizer

from datashop_assets.encoder_settings import EncoderSettings
from datashop_assets_tests.resources.encoder_models import model_folder, tokenizer
from resources.encoders import TransformerEncoder
from resources.encoders.windows import Windows, combine

LONG = "the red fox jumps over the lazy dog and the dog reads the path " * 40
LIMIT = 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_folder(tmp_path_factory.mktemp("models") / "bert", "bert")


def encoder(folder: Path, **changes: object) -> TransformerEncoder:
    return TransformerEncoder(EncoderSettings(model=str(folder), max_tokens=LIMIT, **changes), threads=1)


@pytest.mark.parametrize(
    "text",
    ["", "fox", LONG, " " * 40_000 + LONG, "漢字 " * 100, "x" * 5000],
    ids=["no text", "a short one", "a long one", "after a long run of blanks", "without Latin letters", "one word"],
)
def test_windows_hold_the_tokens_of_the_text_in_order_and_the_first_is_the_truncated_text(text: str) -> None:
    bert = tokenizer("wordpiece")
    [windows] = Windows(bert, LIMIT, 4)([text])
    assert windows[0] == bert(text, truncation=True, max_length=LIMIT)["input_ids"]
    assert all(len(window) <= LIMIT for window in windows)
    assert len(windows) <= 4
    inner = [token for window in windows for token in window[1:-1]]
    every = bert(text, add_special_tokens=False)["input_ids"]
    assert inner == every[: 4 * (LIMIT - 2)]


@pytest.mark.models
def test_a_text_of_one_window_has_the_vector_of_its_beginning_and_a_long_one_has_not(folder: Path) -> None:
    first, mean = encoder(folder), encoder(folder, windows="mean")
    short = "the red fox"
    assert mean.encode([short])[0] == pytest.approx(first.encode([short])[0], abs=1e-6)
    # the end of the text differs, which the first window does not show
    one, other = LONG + " def read path " * 30, LONG + " lazy lazy dog " * 30
    assert first.encode([one])[0] == pytest.approx(first.encode([other])[0], abs=1e-6)
    many = encoder(folder, windows="mean", most_windows=40)
    assert np.abs(many.encode([one])[0] - many.encode([other])[0]).max() > 1e-4


@pytest.mark.models
@pytest.mark.parametrize("how", ["mean", "max"])
def test_the_vector_is_that_of_the_windows_encoded_one_by_one(folder: Path, how: str) -> None:
    made = encoder(folder, windows=how, most_windows=3, normalize=False).encode(["fox", LONG, "dog"])
    [windows] = Windows(AutoTokenizer.from_pretrained(folder), LIMIT, 3)([LONG])
    alone = encoder(folder, normalize=False)
    vectors = alone._encoded(windows, lambda some: some)
    weights = [len(window) for window in windows]
    expected = vectors.max(axis=0) if how == "max" else np.average(vectors, axis=0, weights=weights)
    assert made[1] == pytest.approx(expected, abs=1e-5)
    assert made[2] == pytest.approx(alone.encode(["dog"])[0], abs=1e-5)


@pytest.mark.models
def test_vectors_of_windows_have_unit_length_where_asked(folder: Path) -> None:
    vectors = encoder(folder, windows="max").encode(["fox", LONG])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1], abs=1e-6)


def test_no_texts_have_no_windows() -> None:
    assert combine(np.empty((0, 4), np.float32), [], "mean").shape == (0, 4)


def test_windows_are_part_of_the_encoders_identity(folder: Path) -> None:
    choices = [{}, {"windows": "mean"}, {"windows": "max"}, {"windows": "max", "most_windows": 2}]
    assert len({encoder(folder, **choice).id for choice in choices}) == 4
    assert encoder(folder, most_windows=3).id == encoder(folder).id
    assert len({EncoderSettings(**choice).version for choice in choices}) == 4
