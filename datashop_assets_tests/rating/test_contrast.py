"""From log-likelihoods to scores: rising, on the scale, and refused where the exemplars do not bear it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.rating.contrast import agreement, calibrate, contexts, contrast
from datashop_assets.rating.lens import Exemplar, LensError
from datashop_assets_tests.rating.lens_for_tests import small_lens

KNOWN = (0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5)
CALIBRATE = tuple(Exemplar(f"calibrate {n}", score, "calibrate") for n, score in enumerate(KNOWN))
LENS = small_lens(CALIBRATE)


def test_contexts_take_each_exemplar_once_and_the_two_ends_apart() -> None:
    exemplars = tuple(Exemplar(f"{score}-{n}", score, "contrast") for score in (5, 0) for n in range(6))
    dealt = contexts(small_lens(exemplars), 2)
    assert sorted(text for part in dealt.good for text in part) == [f"5-{n}" for n in range(6)]
    assert sorted(text for part in dealt.bad for text in part) == [f"0-{n}" for n in range(6)]
    assert [len(part) for part in (*dealt.good, *dealt.bad)] == [3, 3, 3, 3]


def test_a_lens_without_bad_exemplars_says_what_is_missing() -> None:
    exemplars = tuple(Exemplar(f"good {n}", 5, "contrast") for n in range(6))
    with pytest.raises(LensError, match=r"'clarity' has 6 contrast exemplars .* and 0 below"):
        contexts(small_lens(exemplars), 2)


def test_contrast_is_nats_a_token() -> None:
    assert contrast(good=[-10.0, -20.0], bad=[-30.0, -40.0], tokens=10) == pytest.approx(2.0)


def test_an_exact_relation_is_recovered() -> None:
    line = calibrate([(score - 2) / 10 for score in KNOWN], LENS)
    assert line.scores([-0.2, 0.05, 0.3]) == pytest.approx([0.0, 2.5, 5.0])


@given(st.lists(st.floats(-3, 3), min_size=12, max_size=12), st.lists(st.floats(-100, 100), min_size=2, max_size=20))
def test_scores_rise_with_the_contrast_and_stay_on_the_scale(noise: list[float], contrasts: list[float]) -> None:
    line = calibrate([4 * score + n for score, n in zip(KNOWN, noise, strict=True)], LENS)
    scores = line.scores(sorted(contrasts))
    assert (np.diff(scores) >= 0).all()
    assert scores.min() >= 0
    assert scores.max() <= 5


@pytest.mark.parametrize(
    "contrasts",
    [
        pytest.param([-score for score in KNOWN], id="falling"),
        pytest.param([0.25] * len(KNOWN), id="the model sees no difference"),
    ],
)
def test_a_contrast_that_does_not_rise_is_refused(contrasts: list[float]) -> None:
    with pytest.raises(LensError, match=r"'clarity'.*does not rise.*choose a larger or a served model"):
        calibrate(contrasts, LENS)


def test_too_few_calibrate_exemplars_are_refused() -> None:
    with pytest.raises(LensError, match="2 calibrate exemplars"):
        calibrate([0.0, 1.0], small_lens(CALIBRATE[:2]))


@pytest.mark.parametrize(
    ("scores", "ordered", "spearman"),
    [
        pytest.param([0.1, 0.2, 3, 4], 1.0, 1.0, id="in order"),
        pytest.param([4, 3, 0.2, 0.1], 0.0, -1.0, id="reversed"),
        pytest.param([2, 2, 2, 2], 0.5, 0.0, id="all alike"),
    ],
)
def test_agreement_with_known_scores(scores: list[float], ordered: float, spearman: float) -> None:
    found = agreement(scores, [0, 1, 2, 5])
    assert (found.n, found.pairs) == (4, 6)
    assert found.ordered == ordered
    assert found.spearman == pytest.approx(spearman)


def test_agreement_counts_only_pairs_of_different_known_scores() -> None:
    assert agreement([1, 2, 3], [0, 0, 5]).pairs == 2
    with pytest.raises(ValueError, match="different known scores"):
        agreement([1, 2], [3, 3])
