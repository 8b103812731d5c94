"""The threshold curve: what each threshold keeps, as scikit-learn would count it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as theirs

from datashop_assets.classifier.thresholds import at_threshold, keeping, threshold_curve
from datashop_assets_tests.classifier.lenses import lens


def sample(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 6, n).astype(float)
    return labels, np.round(labels + random.normal(0, 1.5, n), 1).astype(np.float32)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(10, 120))
def test_each_point_is_what_a_count_over_the_rows_gives(seed: int, n: int) -> None:
    labels, predictions = sample(seed, n)
    curve = threshold_curve(labels, predictions, lens(), 20, 0)
    positive = labels >= 3
    for point in curve:
        kept = predictions >= np.float32(point.threshold)
        assert point.kept.value == pytest.approx(kept.mean())
        assert point.precision.value == pytest.approx(theirs.precision_score(positive, kept))
        if positive.any():
            assert point.recall.value == pytest.approx(theirs.recall_score(positive, kept))
            assert point.f1.value == pytest.approx(theirs.f1_score(positive, kept))
    assert curve[0].kept.value == 1
    shares = [point.kept.value for point in curve]
    assert shares == sorted(shares, reverse=True)


def test_intervals_shrink_with_rows() -> None:
    def width(n: int) -> float:
        point = keeping(threshold_curve(*sample(0, n), lens(), 200, 0), 0.5)
        return point.precision.high - point.precision.low

    assert width(4000) < width(60) / 4


def test_without_a_positive_row_recall_is_null_and_precision_nought() -> None:
    curve = threshold_curve(np.zeros(60), np.linspace(0, 1, 60), lens(), 50, 0)
    assert {(point.recall, point.f1) for point in curve} == {(None, None)}
    assert {point.precision.value for point in curve} == {0.0}


def test_a_share_and_a_threshold_find_their_points() -> None:
    curve = threshold_curve(*sample(0, 400), lens(), 50, 0)
    assert keeping(curve, 0.25).kept.value == pytest.approx(0.25, abs=0.03)
    assert at_threshold(curve, curve[3].threshold) is curve[3]


def test_scores_that_are_all_the_same_give_one_point() -> None:
    (point,) = threshold_curve(np.arange(30) % 6, np.full(30, 2.0), lens(), 20, 0)
    assert point.kept.value == 1
