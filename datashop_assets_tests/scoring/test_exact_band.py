import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from datashop_assets.scoring.exact_band import decided, error_bound, near_cutoff

SCORES = arrays(np.float32, st.integers(1, 40), elements=st.floats(-6, 6, width=32))


@given(SCORES, st.floats(-6, 6), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_with_the_band_scored_again_decisions_are_those_of_the_exact_scores(exact, cutoff, error, seed):
    exact = exact.astype(np.float64)
    moved = exact + np.random.default_rng(seed).uniform(-error, error, len(exact))
    rows = near_cutoff(moved, cutoff, float(np.abs(moved - exact).max()) * 1.001 + 1e-9)
    scores = decided(moved, rows, exact[rows])
    assert ((scores >= cutoff) == (exact >= cutoff)).all()


def test_the_band_holds_what_is_near_the_cut_off_and_what_has_no_finite_score():
    reduced = np.array([1.0, 2.95, 3.0, 3.05, 5.0, np.nan])
    assert near_cutoff(reduced, 3.0, 0.1).tolist() == [1, 2, 3, 5]


def test_the_bound_is_the_largest_error_with_a_margin_and_says_what_its_n_supports():
    bound = error_bound(np.linspace(0, 5, 300), np.linspace(0, 5, 300) + 0.02, margin=1.5)
    assert bound.error == pytest.approx(0.03)
    assert bound.exceeded == pytest.approx(0.00994, abs=1e-4)
    assert error_bound(np.zeros(30), np.ones(30)).exceeded > bound.exceeded


@pytest.mark.parametrize(
    ("exact", "reduced"),
    [([], []), ([1.0], [1.0, 2.0]), ([1.0, np.nan], [1.0, 1.0])],
    ids=["no documents", "other documents", "a score that is none"],
)
def test_calibration_documents_without_pairs_of_scores_are_refused(exact, reduced):
    with pytest.raises(ValueError, match="documents"):
        error_bound(np.array(exact), np.array(reduced))


def test_a_band_without_a_bound_is_refused():
    with pytest.raises(ValueError, match="measure it"):
        near_cutoff(np.array([1.0]), 1.0, float("nan"))
