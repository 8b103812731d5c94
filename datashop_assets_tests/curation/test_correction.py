"""Corrected ratings: better than before, as sure as they say, and the same whatever the pool's size and order."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from datashop_assets.curation.correction import NOT_RATED, Correction, class_shares, correct
from datashop_assets.curation.neighbours import Neighbourhood, neighbourhood
from datashop_assets.curation.transition import consensus, fit
from datashop_assets_tests.curation.clusters import LEVELS, clusters, errors, rated

ROWS = 3000
K = 10


def corrected(given: np.ndarray, near: Neighbourhood, least_confidence: float = 0.5) -> Correction:
    found = fit(consensus(class_shares(given, near.group, LEVELS), near.nearest))
    return correct([given], near.group, near.nearest, [found], least_confidence)


def of(vectors: np.ndarray, texts: list[str] | None = None) -> Neighbourhood:
    return neighbourhood(vectors, texts or [str(row) for row in range(len(vectors))], K)


@pytest.fixture(scope="module")
def pool() -> tuple[np.ndarray, np.ndarray, Neighbourhood]:
    vectors, true = clusters(ROWS)
    return vectors, true, of(vectors)


@pytest.mark.parametrize("rate", [0.2, 0.4])
@pytest.mark.parametrize("even", [True, False])
def test_wrong_ratings_are_found_and_repaired_better_than_by_a_vote(pool, rate: float, even: bool) -> None:
    _, true, near = pool
    given = rated(true, errors(rate, even=even))
    found = corrected(given, near)
    votes = class_shares(given, near.group, LEVELS)[near.nearest].sum(axis=1)[near.group]
    wrong = given != true
    assert roc_auc_score(wrong, found.wrong) > roc_auc_score(wrong, -votes[np.arange(ROWS), given])
    assert np.mean(found.curated == true) >= np.mean(votes.argmax(axis=1) == true)
    assert np.mean(found.curated == true) > np.mean(given == true) + rate / 2


def test_suggestions_are_right_as_often_as_they_are_sure(pool) -> None:
    _, true, near = pool
    found = corrected(rated(true, errors(0.3)), near)
    for low, high in [(0.5, 0.8), (0.8, 0.95), (0.95, 1.01)]:
        among = (found.confidence >= low) & (found.confidence < high)
        assert among.sum() > 30
        assert np.mean((found.suggested == true)[among]) == pytest.approx(found.confidence[among].mean(), abs=0.12)


def test_a_pool_four_times_over_gives_the_same_confidences(pool) -> None:
    vectors, true, near = pool
    given = rated(true, errors(0.3))
    once = corrected(given, near)
    four = corrected(np.tile(given, 4), of(np.tile(vectors, (4, 1)), [str(row % ROWS) for row in range(4 * ROWS)]))
    np.testing.assert_allclose(four.confidence, np.tile(once.confidence, 4), atol=1e-9)
    np.testing.assert_array_equal(four.changed, np.tile(once.changed, 4))


def test_half_of_the_pool_is_as_sure_as_the_whole(pool) -> None:
    vectors, true, near = pool
    given = rated(true, errors(0.3))
    half = corrected(given[: ROWS // 2], of(vectors[: ROWS // 2]))
    assert half.confidence.mean() == pytest.approx(corrected(given, near).confidence.mean(), abs=0.05)


def test_the_order_of_the_rows_decides_nothing(pool) -> None:
    vectors, true, near = pool
    given = rated(true, errors(0.3))
    order = np.random.default_rng(2).permutation(ROWS)
    mixed = corrected(given[order], of(vectors[order]))
    np.testing.assert_allclose(mixed.confidence, corrected(given, near).confidence[order], atol=1e-4)


def test_a_rater_without_errors_is_hardly_corrected(pool) -> None:
    _, true, near = pool
    found = corrected(true, near)
    alike = np.mean(true[near.nearest[:, 0]] == true)
    assert alike < 0.95, "the clusters overlap, so that a text between two of them looks wrongly rated"
    assert found.changed.mean() < (1 - alike) / 2


def test_nothing_is_changed_that_is_not_sure_enough(pool) -> None:
    _, true, near = pool
    given = rated(true, errors(0.4))
    loose, strict = corrected(given, near, 0.5), corrected(given, near, 0.95)
    assert 0 < strict.changed.sum() < loose.changed.sum()
    assert (strict.confidence[strict.changed] >= 0.95).all()
    np.testing.assert_array_equal(strict.curated[~strict.changed], given[~strict.changed])


def test_probabilities_are_probabilities(pool) -> None:
    _, true, near = pool
    given = rated(true, errors(0.4))
    found = corrected(given, near)
    assert ((found.wrong >= 0) & (found.wrong <= 1)).all()
    same = found.suggested == given
    np.testing.assert_allclose(found.confidence[same], 1 - found.wrong[same])
    assert (found.confidence[~same] <= found.wrong[~same] + 1e-12).all()


def test_unrelated_texts_far_away_change_hardly_anything(pool) -> None:
    vectors, true, _ = pool
    given = rated(true, errors(0.3))
    alone = corrected(given, of(vectors))
    others, other_true = clusters(1500, seed=7)
    both = np.vstack([np.hstack([vectors, np.zeros_like(vectors)]), np.hstack([np.zeros_like(others), others])])
    # The same rater, and nothing that the first texts are near to.
    together = corrected(np.concatenate([given, rated(other_true, errors(0.3), seed=3)]), of(both))
    # Not nothing: how far neighbours share a score is estimated over all texts.
    assert np.abs(together.confidence[:ROWS] - alone.confidence).mean() < 0.03
    assert np.mean(together.changed[:ROWS] != alone.changed) < 0.03


def test_a_second_opinion_on_some_texts_is_heard_there_only(pool) -> None:
    _, true, near = pool
    first, second = rated(true, errors(0.4)), rated(true, errors(0.05), seed=5)
    second[: ROWS // 2] = NOT_RATED
    fits = [fit(consensus(class_shares(each, near.group, LEVELS), near.nearest)) for each in (first, second)]
    found = correct([first, second], near.group, near.nearest, fits, 0.5)
    half = ROWS // 2
    assert np.mean(found.curated[half:] == true[half:]) > np.mean(found.curated[:half] == true[:half])
    np.testing.assert_array_equal(found.rated, first)


def test_a_row_that_nobody_rated_has_no_probability_and_is_not_changed(pool) -> None:
    _, true, near = pool
    given = rated(true, errors(0.3))
    given[:5] = NOT_RATED
    found = corrected(given, near)
    assert np.isnan(found.wrong[:5]).all()
    assert not found.changed[:5].any()
    assert (found.curated[:5] == NOT_RATED).all()
    assert not np.isnan(found.wrong[5:]).any()
