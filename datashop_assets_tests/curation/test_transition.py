"""The rater's errors: found again where they are known, and not guessed where too little is."""

import numpy as np
import pytest

from datashop_assets.curation.correction import class_shares
from datashop_assets.curation.neighbours import neighbourhood
from datashop_assets.curation.transition import PoolTooSmallError, consensus, fit, least_texts
from datashop_assets_tests.curation.clusters import LEVELS, clusters, errors, rated

KINDS = [
    pytest.param(0.2, True, id="a fifth wrong, evenly"),
    pytest.param(0.4, True, id="two fifths wrong, evenly"),
    pytest.param(0.2, False, id="a fifth too high"),
    pytest.param(0.4, False, id="two fifths too high"),
]


def patterns_of(matrix: np.ndarray, prior: np.ndarray, texts: float = 1e6) -> np.ndarray:
    """What infinitely many texts, whose neighbours all share their true score, would show."""
    return np.einsum("k,ka,kb,kc->abc", prior, matrix, matrix, matrix) * texts


@pytest.mark.parametrize(("rate", "even"), KINDS)
def test_errors_and_prior_are_found_exactly_where_the_assumption_holds(rate: float, even: bool) -> None:
    matrix, prior = errors(rate, even=even), np.array([0.1, 0.2, 0.3, 0.4])
    found = fit(patterns_of(matrix, prior))
    assert found.converged
    assert found.dominant
    np.testing.assert_allclose(found.rater, matrix, atol=2e-3)
    np.testing.assert_allclose(found.prior, prior, atol=2e-3)


@pytest.mark.parametrize(("rate", "even"), KINDS)
def test_errors_are_found_from_ratings_of_neighbours_alone(rate: float, even: bool) -> None:
    vectors, true = clusters(3000)
    near = neighbourhood(vectors, [str(row) for row in range(3000)], 10)
    given = rated(true, errors(rate, even=even))
    found = fit(consensus(class_shares(given, near.group, LEVELS), near.nearest))
    real = np.array([[np.mean(given[true == k] == j) for j in range(LEVELS)] for k in range(LEVELS)])
    assert np.abs(found.rater - real).mean() < 0.05
    np.testing.assert_allclose(found.prior, np.bincount(true) / 3000, atol=0.06)


def test_neighbours_of_another_score_are_not_counted_as_the_raters_errors() -> None:
    matrix, prior = errors(0.2), np.full(LEVELS, 1 / LEVELS)
    strangers = 0.8 * matrix + 0.2 * (prior @ matrix)
    seen = np.einsum("k,ka,kb,kc->abc", prior, matrix, strangers, strangers) * 1e6
    np.testing.assert_allclose(fit(seen).rater, matrix, atol=5e-3)


def test_scores_under_other_names_have_the_same_errors() -> None:
    seen = patterns_of(errors(0.3, even=False), np.array([0.1, 0.2, 0.3, 0.4]), 1e4)
    order = np.array([2, 0, 3, 1])
    plain, renamed = fit(seen), fit(seen[np.ix_(order, order, order)])
    np.testing.assert_allclose(renamed.rater, plain.rater[np.ix_(order, order)], atol=1e-6)


def test_a_score_that_never_occurs_breaks_nothing_and_is_never_suggested() -> None:
    seen = np.zeros((6, 6, 6))
    seen[1:5, 1:5, 1:5] = patterns_of(errors(0.2), np.full(LEVELS, 0.25), 1e5)
    found = fit(seen)
    assert np.isfinite(found.rater).all()
    assert found.prior[[0, 5]] == pytest.approx(0)
    np.testing.assert_allclose(found.rater[1:5, 1:5], errors(0.2), atol=5e-3)


def test_one_score_alone_is_a_rater_without_errors() -> None:
    seen = np.zeros((3, 3, 3))
    seen[1, 1, 1] = 500
    found = fit(seen)
    assert found.prior.tolist() == pytest.approx([0, 1, 0])
    assert found.rater[1, 1] == pytest.approx(1)


def test_too_few_texts_are_refused_with_the_number_that_is_needed() -> None:
    needed = least_texts(LEVELS)
    few = patterns_of(errors(0.2), np.full(LEVELS, 0.25), needed - 1)
    with pytest.raises(PoolTooSmallError, match=f"{LEVELS} levels need {needed}"):
        fit(few)
    fit(few / (needed - 1) * needed)


def test_the_patterns_of_every_text_count_once() -> None:
    vectors, true = clusters(300)
    near = neighbourhood(vectors, [str(row) for row in range(300)], 4)
    seen = consensus(class_shares(true, near.group, LEVELS), near.nearest)
    assert seen.sum() == pytest.approx(300)
    np.testing.assert_allclose(seen.sum(axis=(1, 2)), np.bincount(true))
    np.testing.assert_allclose(seen, seen.transpose(0, 2, 1))
