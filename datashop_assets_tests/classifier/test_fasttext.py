"""fastText classifiers: what they learn, that they are the same each time, and what they make of odd texts."""

import random
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from datashop_assets.classifier.fasttext import FastTextRecipe, repeats
from datashop_assets.classifier.fasttext_scorer import FastTextError, FastTextScorer, load_model
from datashop_assets.classifier.known_recipes import load_scorer, recipe_of
from datashop_assets.classifier.recipes import Examples
from datashop_assets.text_model_settings import FastTextSettings
from datashop_assets_tests.classifier.lenses import lens

SETTINGS = FastTextSettings(epochs=(10, 40), learning_rates=(0.5,), dimension=8, buckets=1000)
GOOD, BAD = ("because", "explains", "therefore", "example"), ("click", "cookies", "login", "banner")


def text(worth: int, number: int) -> str:
    chance = random.Random(f"{worth} {number}")
    return f"page{number}\n" + " ".join(chance.choices(GOOD, k=2 * worth) + chance.choices(BAD, k=10 - 2 * worth))


def examples(numbers: range, weights: NDArray[np.float64] | None = None) -> Examples:
    worths = np.array([number % 6 for number in numbers], float)
    texts = [text(number % 6, number) for number in numbers]
    return Examples(texts, worths, np.ones(len(texts)) if weights is None else weights, worths)


@pytest.fixture(scope="module")
def trained() -> FastTextScorer:
    fit = FastTextRecipe(SETTINGS).fit(examples(range(300)), examples(range(300, 360)), lens(), seed=1)
    assert isinstance(fit.scorer, FastTextScorer)
    assert fit.chosen["epochs"] in SETTINGS.epochs
    assert min(step.validation_mae for step in fit.log) == fit.chosen["validation_mae"]
    return fit.scorer


def test_the_score_is_an_expected_class_near_the_rating_of_texts_that_it_has_not_seen(trained: FastTextScorer) -> None:
    unseen = examples(range(1000, 1120))
    scores = trained.predict(list(unseen.inputs))
    assert scores.dtype == np.float32
    assert np.abs(scores - unseen.rated).mean() < 0.5 < np.abs(unseen.rated.mean() - unseen.rated).mean()
    assert not np.isin(scores, range(6)).all(), "between the classes, not one of them"


def test_equal_rows_give_the_same_model_and_another_seed_another() -> None:
    def digest(seed: int) -> str:
        recipe = recipe_of(SETTINGS.model_copy(update={"epochs": (5,)}))
        return recipe.fit(examples(range(100)), examples(range(100, 120)), lens(), seed).scorer.digest()

    assert digest(3) == digest(3) != digest(4)


def test_a_saved_classifier_is_read_by_the_library_and_scores_as_before(
    trained: FastTextScorer, tmp_path: Path
) -> None:
    import fasttext

    trained.save(tmp_path / "model")
    loaded = load_scorer(tmp_path / "model")
    texts = list(examples(range(50)).inputs)
    np.testing.assert_array_equal(loaded.predict(texts), trained.predict(texts))
    assert loaded.digest() == trained.digest()
    assert loaded.form == "fasttext"
    labels, _ = fasttext.load_model(str(tmp_path / "model" / "model.bin")).predict("because click")
    assert labels[0] in {f"__label__{score}" for score in range(6)}


@pytest.mark.parametrize(
    "odd",
    ["", "\n\n", "\x00", "никогда не виденные слова", "because " * 500_000, "__label__5 " * 20],
    ids=["empty", "only new lines", "a null character", "unknown words", "four megabytes", "label words"],
)
def test_every_text_has_a_score_on_the_scale(trained: FastTextScorer, odd: str) -> None:
    (score,) = trained.predict([odd])
    assert 0 <= score <= 5


def test_words_that_look_like_labels_do_not_label_their_text() -> None:
    """A page about fastText would otherwise be an example of every class that it names."""
    texts = [f"__label__5 {text(0, number)}" for number in range(60)] + [text(5, number) for number in range(60)]
    worths = np.repeat([0.0, 5.0], 60)
    rows = Examples(texts, worths, np.ones(120), worths)
    fit = FastTextRecipe(SETTINGS).fit(rows, rows, lens(), seed=0)
    assert (fit.scorer.predict([f"__label__5 {text(0, 999)}", text(5, 999)]) > 2.5).tolist() == [False, True]


def test_a_long_text_is_read_up_to_the_bound(trained: FastTextScorer, tmp_path: Path) -> None:
    short = FastTextScorer(trained.model, trained.values, expected=True, max_chars=100, neutralise=True)
    page = text(5, 7)[:100].ljust(100)
    assert short.predict([page + " click" * 1000]) == short.predict([page])
    assert short.digest() != trained.digest()


@pytest.mark.parametrize(
    ("weights", "lines"),
    [
        ([1, 1, 1], [1, 1, 1]),
        ([0.5, 0.5, 0.5], [1, 1, 1]),
        ([1, 3, 0], [1, 3, 0]),
        ([1, 2.5, 1, 2.5], [1, 3, 1, 2]),
        ([0.001] * 5 + [1], [0, 0, 0, 0, 0, 24]),
    ],
    ids=["equal", "equal but not 1", "three times and never", "rounded in the running total", "bounded"],
)
def test_a_weight_is_how_often_a_row_is_shown(weights: list[float], lines: list[int]) -> None:
    assert repeats(np.array(weights)).tolist() == lines


def test_a_model_made_elsewhere_gives_the_probability_of_its_label_or_says_which_it_has(
    trained: FastTextScorer, tmp_path: Path
) -> None:
    trained.model.save_model(str(tmp_path / "quality.bin"))
    model = load_model(tmp_path / "quality.bin")
    good, bad = FastTextScorer(model, {"__label__5": 1.0}, expected=False).predict([text(5, 1), text(0, 1)])
    assert 0 <= bad < 0.2 < good <= 1
    with pytest.raises(FastTextError, match=r"no labels \['__label__hq'\]; it has \['__label__0'"):
        FastTextScorer(model, {"__label__hq": 1.0}, expected=False)
    (tmp_path / "no.bin").write_bytes(b"nothing of the kind")
    with pytest.raises(FastTextError, match=r"no\.bin is no fastText model"):
        load_model(tmp_path / "no.bin")
    with pytest.raises(FileNotFoundError, match=r"absent\.bin"):
        load_model(tmp_path / "absent.bin")
