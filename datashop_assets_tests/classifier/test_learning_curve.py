"""The learning curve: nested subsets, the same held-out rows, and a sentence that follows the interval."""

from itertools import pairwise

import numpy as np
import pytest

from datashop_assets.classifier.dataset import LEAST_TRAIN, LEAST_VALIDATION
from datashop_assets.classifier.learning_curve import LearningCurve, learning_curve

LABELS = np.random.default_rng(0).uniform(0, 5, 300)


def curve(error_of, train: int = 320, validation: int = 80, points: int = 4, draws: int = 3) -> LearningCurve:
    """A recipe whose error depends on the number of its rows."""

    def refit(first: np.ndarray, second: np.ndarray, seed: int) -> np.ndarray:
        noise = np.random.default_rng(seed).normal(0, 1, len(LABELS))
        return LABELS + noise * error_of(len(first) + len(second))

    return learning_curve(
        refit, train, validation, LABELS, refit(np.arange(train), np.arange(validation), 9), points, draws, 200, 0
    )


def test_points_halve_the_annotations_down_to_the_fewest_that_can_be_trained_on() -> None:
    assert [point.annotations for point in curve(lambda n: 1.0).points] == [50, 100, 200, 400]
    small = curve(lambda n: 1.0, train=3 * LEAST_TRAIN, validation=3 * LEAST_VALIDATION)
    assert len(small.points) == 2
    assert [point.draws for point in small.points] == [3, 1]
    assert small.points[-1].mae_deviation is None


def test_subsets_of_a_draw_are_nested_and_another_draw_has_others() -> None:
    seen: dict[int, list[set[int]]] = {}

    def refit(first: np.ndarray, second: np.ndarray, seed: int) -> np.ndarray:
        seen.setdefault(seed, []).append(set(first))
        return LABELS

    learning_curve(refit, 320, 80, LABELS, LABELS, 4, 2, 100, 0)
    for halves in seen.values():
        assert all(smaller < larger for larger, smaller in pairwise(halves))
    assert seen[0][0] != seen[1][0]


@pytest.mark.parametrize(
    ("error_of", "said"),
    [
        pytest.param(lambda n: 20 / n**0.5, "More labels are likely to pay", id="error falls with labels"),
        pytest.param(lambda n: 1.0, "It is not shown that more labels would pay", id="error stays"),
        pytest.param(lambda n: n / 200, "not likely to pay", id="error grows"),
    ],
)
def test_the_sentence_follows_the_interval_of_the_last_halving(error_of, said: str) -> None:
    assert said in curve(error_of).words


def test_too_few_annotations_are_said() -> None:
    only = curve(lambda n: 1.0, train=LEAST_TRAIN, validation=LEAST_VALIDATION)
    assert only.gain is None
    assert "25 annotations there are too few to tell" in only.words
