"""A cascade: whom it spares, what it promises, and that it changes no decision that it may not change."""

import random
from dataclasses import replace

import numpy as np
import pytest

from datashop_assets.cascade_settings import CascadeSettings
from datashop_assets.classifier.head import Head
from datashop_assets.scoring.cascade import CascadeError, fit_cascade, score_by_cascade
from resources.encoders import ScriptedEncoder

GOOD = ("because", "explains", "example", "therefore", "theorem", "proof")
BAD = ("click", "cookies", "login", "cart", "banner", "subscribe")
PLAIN = ("the", "of", "house", "water", "was", "in", "old", "with", "that", "man")
SETTINGS = CascadeSettings(recall=0.95, audit_share=0.05)


def texts(count: int, seed: int = 0) -> list[str]:
    """Documents of 40 words; one in ten has many good words, the others few."""
    chance = random.Random(seed)
    made = []
    for number in range(count):
        share = chance.uniform(0.3, 0.6) if number % 10 == 0 else chance.uniform(0, 0.25)
        words = [chance.choice(GOOD if chance.random() < share else BAD + PLAIN) for _ in range(40)]
        made.append(f"page {number} {seed} " + " ".join(words))
    return made


@pytest.fixture(scope="module")
def encoder() -> ScriptedEncoder:
    return ScriptedEncoder(128)


@pytest.fixture(scope="module")
def head(encoder: ScriptedEncoder) -> Head:
    weights = encoder.encode([" ".join(GOOD)])[0] - encoder.encode([" ".join(BAD)])[0]
    return Head(weights.astype(np.float32), 2.0)


def exact(some: list[str], encoder: ScriptedEncoder, head: Head) -> np.ndarray:
    return head.predict(encoder.encode(some).astype(np.float16).astype(np.float32))


@pytest.fixture(scope="module")
def fitted(encoder, head):
    some = texts(3000)
    scores = exact(some, encoder, head)
    lower = float(np.sort(scores)[-300])
    return fit_cascade(some, some, scores, lower, SETTINGS)


def test_the_encoder_is_spared_most_documents_and_nearly_all_good_ones_pass(fitted, encoder, head):
    cascade, calibration = fitted
    fresh = texts(4000, seed=1)
    made = score_by_cascade(fresh, cascade, encoder, head)
    good = exact(fresh, encoder, head) >= np.float32(cascade.lower)
    assert made.division.passed.mean() < 0.5
    assert made.division.passed[good].mean() >= 0.93  # 0.95 promised; 400 good documents have an error of 0.011
    assert calibration.learnt + calibration.calibrated == 3000
    assert calibration.missed <= 0.05 * calibration.kept


def test_who_is_read_gets_the_score_that_he_would_have_had_and_who_is_not_is_below_the_cutoff(fitted, encoder, head):
    cascade, _ = fitted
    fresh = texts(1000, seed=2)
    made = score_by_cascade(fresh, cascade, encoder, head)
    read = made.division.passed | made.division.audited
    assert made.scores[read] == pytest.approx(exact(fresh, encoder, head)[read], abs=1e-6)
    assert (made.scores[~read] < np.float32(cascade.lower)).all()
    assert np.isfinite(made.scores).all()
    good = exact(fresh, encoder, head) >= np.float32(cascade.lower)
    assert made.found == (good & made.division.passed).sum()
    assert made.missed == (good & made.division.audited).sum()


def test_who_is_audited_depends_on_the_text_alone(fitted):
    cascade, _ = fitted
    fresh = texts(4000, seed=3)
    division = cascade.divide(fresh)
    backwards = cascade.divide(fresh[::-1])
    assert (division.audited == backwards.audited[::-1]).all()
    assert not (division.audited & division.passed).any()
    assert division.audited.sum() / (~division.passed).sum() == pytest.approx(0.05, abs=0.015)
    other = replace(cascade, seed=1).divide(fresh)
    assert (other.audited != division.audited).any()


def test_no_texts_give_no_scores(fitted, encoder, head):
    assert score_by_cascade([], fitted[0], encoder, head).scores.shape == (0,)


@pytest.mark.parametrize(
    ("count", "lower", "said"),
    [(200, 2.5, "299 documents above"), (700, -9.0, "spare the encoder nothing"), (0, 0.0, "there are 0 of 0")],
    ids=["too few good ones", "a cut-off that keeps everything", "no documents"],
)
def test_a_promise_that_cannot_be_kept_is_not_made(count, lower, said, encoder, head):
    some = texts(count)
    scores = exact(some, encoder, head) if some else np.empty(0, np.float32)
    with pytest.raises(CascadeError, match=said):
        fit_cascade(some, some, scores, lower, CascadeSettings(recall=0.99))


def test_one_text_is_never_both_learnt_from_and_calibrated_on(encoder, head):
    """Copies would make the calibration look better than it is."""
    some = texts(1500) * 2
    scores = exact(some, encoder, head)
    lower = float(np.sort(scores)[-300])
    _, calibration = fit_cascade(some, some, scores, lower, SETTINGS)
    assert calibration.learnt % 2 == calibration.calibrated % 2 == 0
