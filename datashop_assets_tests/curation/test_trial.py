"""The trial of a correction: a gain where the rater errs, a loss where quality varies among like texts."""

from dataclasses import replace

import numpy as np
import pytest

from datashop_assets.curation.neighbours import Neighbourhood, neighbourhood
from datashop_assets.curation.trial import prediction_gain
from datashop_assets.estimate import Estimate
from datashop_assets.project import CurationSettings
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
    return prediction_gain(given[:, None].astype(float), vectors, texts, near, LENS, CurationSettings(), ["r"])


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


def test_the_order_of_the_rows_decides_nothing() -> None:
    vectors, true = clusters(600)
    given = rated(true, errors(0.3))
    near, texts = near_of(vectors)
    order = np.random.default_rng(0).permutation(600)
    mixed = neighbourhood(vectors[order], [texts[row] for row in order], 10)
    first = prediction_gain(given[:, None].astype(float), vectors, texts, near, LENS, CurationSettings(), ["r"])
    second = prediction_gain(
        given[order, None].astype(float),
        vectors[order],
        [texts[row] for row in order],
        mixed,
        LENS,
        CurationSettings(),
        ["r"],
    )
    assert first is not None
    assert second is not None
    assert second.value == pytest.approx(first.value, abs=1e-3)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(np.full(300, 2), id="one score for all"),
        pytest.param(np.arange(300) % LEVELS, id="too few texts once some are held out"),
    ],
)
def test_where_nothing_can_be_tried_there_is_no_figure(given: np.ndarray) -> None:
    vectors, _ = clusters(300 if np.ptp(given) == 0 else 55)
    assert gain_of(vectors, given[: len(vectors)]) is None
