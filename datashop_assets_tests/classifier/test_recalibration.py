"""Recalibration: what it mends, what it does not touch, and how much of an error is chance."""

import numpy as np
import pytest

from datashop_assets.classifier.recalibration import (
    LEAST_ISOTONIC,
    fit_calibration,
    load_calibration,
    reliability,
)
from datashop_assets_tests.classifier.lenses import lens


def sample(n: int, seed: int = 0, slope: float = 0.5, shift: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Scores of a classifier that squeezes the scale: the label to expect is (score - shift) / slope."""
    random = np.random.default_rng(seed)
    expected = random.uniform(0, 5, n)
    return expected + random.normal(0, 0.5, n), expected * slope + shift


def test_a_squeezed_scale_is_stretched_again_on_other_rows() -> None:
    calibration = fit_calibration("c", *sample(400), lens())
    labels, scores = sample(400, seed=1)
    raw, linear, isotonic = reliability(calibration, labels, scores, 200, 0)
    assert raw.is_off
    assert not linear.is_off
    assert not isotonic.is_off
    assert linear.rmse_gain.low > 0.3
    assert linear.error < raw.error / 3
    assert raw.rmse_gain is None
    assert calibration.linear.slope == pytest.approx(2, abs=0.1)


def test_a_calibrated_classifier_is_not_called_off_however_few_rows_there_are() -> None:
    off = 0
    for seed in range(20):
        labels, scores = sample(57, seed, slope=1, shift=0)
        raw, *_ = reliability(fit_calibration("c", *sample(60, 99, 1, 0), lens()), labels, scores, 20, 0)
        assert raw.error > 0, "never nought on finite rows"
        off += raw.is_off
    assert off <= 4, "5 of 100 by chance"


def test_isotonic_keeps_the_order_and_is_constant_outside_what_it_saw() -> None:
    calibration = fit_calibration("c", *sample(400), lens())
    mapped = calibration.recalibrate(np.linspace(-10, 10, 500), "isotonic")
    assert (np.diff(mapped) >= 0).all()
    assert mapped[0] == calibration.isotonic_to[0]
    assert mapped[-1] == calibration.isotonic_to[-1]


def test_isotonic_is_as_scikit_learn_predicts() -> None:
    from sklearn.isotonic import IsotonicRegression

    labels, scores = sample(300)
    theirs = IsotonicRegression(out_of_bounds="clip").fit(scores, labels)
    new = np.linspace(0, 4.5, 97)
    assert fit_calibration("c", labels, scores, lens()).recalibrate(new, "isotonic") == pytest.approx(
        theirs.predict(new)
    )


def test_few_rows_have_no_isotonic_map_and_asking_for_it_says_so() -> None:
    calibration = fit_calibration("abc", *sample(LEAST_ISOTONIC - 1), lens())
    with pytest.raises(ValueError, match="classifier abc has no isotonic calibration: 99 rows"):
        calibration.recalibrate(np.array([1.0]), "isotonic")


def test_the_chance_of_a_positive_is_met_in_the_long_run() -> None:
    calibration = fit_calibration("c", *sample(20_000), lens())
    labels, scores = sample(20_000, seed=1)
    chance = calibration.chance_of_positive(scores)
    positive = np.clip(np.rint(labels), 0, 5) >= 3
    for low, high in [(0.1, 0.4), (0.4, 0.6), (0.6, 0.9)]:
        rows = (chance >= low) & (chance < high)
        assert positive[rows].mean() == pytest.approx(chance[rows].mean(), abs=0.05)


def test_rows_of_one_class_have_no_chance_of_a_positive() -> None:
    calibration = fit_calibration("c", np.linspace(0, 1, 50), np.linspace(0, 2, 50), lens())
    assert calibration.positive is None
    with pytest.raises(ValueError, match="one class only"):
        calibration.chance_of_positive(np.array([1.0]))


def test_the_file_beside_the_model_gives_the_same_maps(tmp_path) -> None:
    calibration = fit_calibration("c", *sample(300), lens())
    calibration.save(tmp_path)
    assert load_calibration(tmp_path) == calibration
