"""The trial of a correction: a gain where the rater errs, a loss where quality varies among like texts."""

from dataclasses import replace

import numpy as np
import pytest

from datashop_assets.curation.fitting import fit_raters
from datashop_assets.curation.neighbours import Neighbourhood, neighbourhood
from datashop_assets.curation.trial import prediction_gain
from datashop_assets.estimate import Estimate
from datashop_assets_tests.curation.clusters import LEVELS, clusters, errors, rated
from datashop_assets_tests.curation.test_curate import curated, pool_of
from datashop_assets_tests.rating.lens_for_tests import small_lens

LENS = replace(small_lens(high=LEVELS - 1))
ROWS = 1500


def topics_with_a_direction_of_quality(rows: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
    """Texts in topics, most of a topic's of one quality and the others one off. That lies along one direction of its
    own: too short to decide which texts are near, and plain to a linear head."""
    random = np.random.default_rng(3)
    topic = random.integers(0, 40, rows)
    quality = np.clip(topic % LEVELS + random.choice([-1, 0, 1], rows, p=[0.25, 0.5, 0.25]), 0, LEVELS - 1)
    near = 3 * np.eye(40)[topic] + 0.3 * random.normal(size=(rows, 40))
    return np.hstack([near, 0.3 * quality[:, None] - 0.4]).astype(np.float32), quality


def near_of(vectors: np.ndarray) -> tuple[Neighbourhood, list[str]]:
    texts = [f"{row:05}" for row in range(len(vectors))]
    return neighbourhood(vectors, texts, 10), texts


def gain_of(vectors: np.ndarray, given: np.ndarray) -> Estimate | None:
    near, texts = near_of(vectors)
    scores = given[:, None].astype(float)
    return prediction_gain(scores, vectors, texts, near, fit_raters(scores, near, LENS, ["r"]), ["r"], 0.5)


@pytest.mark.parametrize("even", [True, False])
def test_correcting_a_careless_rater_is_a_gain(even: bool) -> None:
    vectors, true = clusters(ROWS, spread=0.25)
    gain = gain_of(vectors, rated(true, errors(0.2, even=even)))
    assert gain is not None
    assert gain.value > 0
    assert gain.high > 0


def test_correcting_a_rater_who_is_right_where_like_texts_differ_is_a_loss_and_is_not_done() -> None:
    vectors, quality = topics_with_a_direction_of_quality()
    gain = gain_of(vectors, quality)
    assert gain is not None
    assert gain.high < 0
    made = curated(pool_of(vectors, quality + 1))
    assert made.report.flagged > 0, "the ratings look wrong to the neighbours"
    assert made.report.changed == 0
    assert made.rows["curated_score"].equals(made.rows["score"].alias("curated_score"))
    assert not made.report.applied
    assert any("would do harm" in doubt for doubt in made.report.doubts)
    assert made.rows["suggested"].null_count() == 0, "what would have been suggested can still be looked at"


def test_neither_the_order_nor_the_number_of_copies_decides_anything() -> None:
    vectors, true = clusters(600)
    given = rated(true, errors(0.3)) + 1
    first = curated(pool_of(vectors, given))
    order = np.random.default_rng(0).permutation(600)
    texts = [f"{row:05}" for row in range(600)]
    mixed = curated(pool_of(vectors[order], given[order], texts=[texts[row] for row in order]))
    four = curated(pool_of(np.tile(vectors, (4, 1)), np.tile(given, 4), texts=texts * 4))
    assert first.report.gain is not None
    for other in (mixed, four):
        assert other.report.gain is not None
        assert other.report.gain.n == first.report.gain.n == 600
        assert other.report.gain.value == pytest.approx(first.report.gain.value, abs=1e-3)
        assert other.report.applied == first.report.applied
    assert four.rows["curated_score"].to_list() == first.rows["curated_score"].to_list() * 4


@pytest.mark.parametrize("rows", [55, 80, 150, 280])
def test_a_small_pool_s_correction_is_tried_too(rows: int) -> None:
    vectors, true = clusters(rows)
    made = curated(pool_of(vectors, rated(true, errors(0.3)) + 1))
    assert made.report.fitted
    assert made.report.gain is not None
    assert made.report.gain.n == rows


@pytest.mark.parametrize("texts", [50, 140, 270])
def test_pools_of_exactly_as_many_texts_as_are_needed_are_curated(texts: int) -> None:
    """The sum of many shares is a whole number but for its last digits."""
    for seed in range(8):
        vectors, true = clusters(texts, seed=seed)
        copies = np.random.default_rng(seed).integers(0, texts, 2 * texts)
        rows = np.concatenate([np.arange(texts), copies])
        given = rated(true[rows], errors(0.2), seed=seed) + 1
        assert curated(pool_of(vectors[rows], given, texts=[f"{row:05}" for row in rows])).report.fitted


def test_a_fusion_is_tried_against_the_ratings_of_all_its_raters() -> None:
    vectors, true = clusters(800, spread=0.25)
    cheap = [rated(true, errors(0.4), seed=number) + 1 for number in range(3)]
    made = curated(pool_of(vectors, *cheap))
    assert made.report.gain is not None
    assert made.report.gain.value > 0
    assert made.report.applied


def test_ratings_that_are_all_equal_leave_nothing_to_try() -> None:
    vectors, _ = clusters(300)
    made = curated(pool_of(vectors, np.full(300, 2)))
    assert made.report.gain is None
    assert made.report.changed == 0
    assert "nothing to rank" in made.report.doubts[0]
