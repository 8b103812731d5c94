"""Classes of scores: every level where there are texts enough, fewer and fuller ones where there are not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.curation.classes import Classes, divide, every_level
from datashop_assets.curation.transition import least_texts

SIX = np.repeat(np.arange(6.0), [24, 72, 90, 48, 5, 1])


@pytest.mark.parametrize(
    ("texts", "names"),
    [
        pytest.param(100_000, ("0", "1", "2", "3", "4", "5"), id="texts enough for every level"),
        pytest.param(440, ("0", "1", "2", "3", "4-5"), id="the level with one text joins the one beside it"),
        pytest.param(240, ("0-1", "2", "3-5"), id="the rarest go first"),
        pytest.param(60, ("0-1", "2-5"), id="two classes"),
        pytest.param(20, ("0-5",), id="too few for two"),
    ],
)
def test_classes_are_as_many_as_the_texts_suffice_for(texts: int, names: tuple[str, ...]) -> None:
    assert divide(SIX, np.ones(len(SIX)), 0, 5, texts).names == names


def test_levels_that_nobody_gives_need_no_texts() -> None:
    some = np.repeat([1.0, 3.0], 200)
    assert divide(some, np.ones(400), 0, 5, least_texts(2)).names == ("0", "1", "2", "3", "4", "5")


@given(
    scores=st.lists(st.floats(-2, 12, allow_nan=False), min_size=1, max_size=50),
    low=st.integers(-1, 3),
    width=st.integers(0, 7),
    texts=st.integers(0, 3000),
)
def test_every_score_is_in_a_class_whose_levels_hold_it(scores: list[float], low: int, width: int, texts: int) -> None:
    high = low + width
    given_scores = np.array(scores)
    classes = divide(given_scores, np.ones(len(scores)), low, high, texts)
    assert list(classes.first) == sorted(set(classes.first))
    assert classes.first[0] == low
    for score, number in zip(scores, classes.of(given_scores), strict=True):
        ends = [*classes.first[1:], high + 1]
        assert classes.first[number] <= min(max(round(score), low), high) < ends[number]


def test_a_text_that_is_moved_gets_the_mean_score_of_its_new_class() -> None:
    classes = Classes((0, 2, 3), 5)
    centres = classes.centres(np.array([0.5, 1.5, 2.25, 3.0, 4.0]), np.ones(5))
    # 1.5 is nearest to the even 2, as scores are rounded everywhere.
    np.testing.assert_allclose(centres, [0.5, (1.5 + 2.25) / 2, 3.5])


def test_an_empty_class_has_its_middle() -> None:
    np.testing.assert_allclose(Classes((0, 2, 3), 5).centres(np.array([2.0]), np.ones(1)), [0.5, 2.0, 4.0])
    np.testing.assert_allclose(every_level(1, 3).centres(np.array([]), np.array([])), [1, 2, 3])


def test_twins_count_as_one_text() -> None:
    scores = np.array([0.0] * 100 + [5.0, 5.0, 1.0, 1.0])
    weights = np.array([0.01] * 100 + [1.0] * 4)
    # The hundred copies are one text, and so the rarest class; as a hundred they would be a class of their own.
    assert divide(scores, weights, 0, 5, 50).names == ("0-4", "5")
    assert divide(scores, np.ones(104), 0, 5, 50).names == ("0", "1-5")
    assert every_level(0, 5).centres(np.array([1.0, 0.6]), np.array([0.25, 0.75]))[1] == pytest.approx(0.7)


def test_a_scale_of_a_hundred_levels_has_a_few_classes() -> None:
    scores = np.random.default_rng(0).integers(0, 101, 5000).astype(float)
    classes = divide(scores, np.ones(5000), 0, 100, 1e9)
    assert len(classes) == 12
    assert classes.names[-1].endswith("-100")
