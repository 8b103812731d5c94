"""How far raters of labels agree: the published values of known tables, and nothing where nothing is known."""

import warnings

import numpy as np
import pytest

from datashop_assets.estimate import Estimate
from datashop_assets.rating.label_agreement import label_agreement, presence
from datashop_assets.rating.lens import LabelSet


def figures(first: list[list[int]], second: list[list[int]]) -> dict[str, float | None]:
    found = label_agreement(np.array(first, bool), np.array(second, bool), resamples=50)
    return {name: figure.value if figure else None for name, figure in found.items()}


def test_the_same_labels_agree_wholly() -> None:
    assert figures([[1, 0], [0, 1], [0, 0]], [[1, 0], [0, 1], [0, 0]]) == {"exact": 1, "jaccard": 1, "kappa": 1}


def test_partial_overlap_counts_by_its_share() -> None:
    found = figures([[1, 1, 0], [0, 0, 0], [1, 0, 0]], [[1, 0, 0], [0, 0, 0], [0, 0, 1]])
    assert (found["exact"], found["jaccard"]) == (pytest.approx(1 / 3), pytest.approx((0.5 + 1 + 0) / 3))


def test_kappa_is_cohens_of_the_two_by_two_table() -> None:
    # The textbook's table: both yes 20, both no 15, first alone 5, second alone 10: kappa is 0.4.
    first = [[1]] * 20 + [[0]] * 15 + [[1]] * 5 + [[0]] * 10
    second = [[1]] * 20 + [[0]] * 15 + [[0]] * 5 + [[1]] * 10
    assert figures(first, second)["kappa"] == pytest.approx(0.4)


@pytest.mark.parametrize("given", [0, 1], ids=["no label ever", "every label always"])
def test_agreement_beyond_chance_is_not_defined_without_variety(given: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert figures([[given, given]] * 5, [[given, given]] * 5) == {"exact": 1, "jaccard": 1, "kappa": None}


def test_the_interval_holds_the_value_and_is_wider_than_a_point() -> None:
    random = np.random.default_rng(1)
    first = random.random((60, 4)) < 0.4
    second = first ^ (random.random((60, 4)) < 0.15)
    for figure in label_agreement(first, second).values():
        assert isinstance(figure, Estimate)
        assert figure.low < figure.value < figure.high
        assert figure.n == 60


def test_only_labels_of_the_set_count() -> None:
    answers = [[{"set": "uses", "label": "a"}, {"set": "domains", "label": "b"}], []]
    assert presence(answers, LabelSet("domains", ("a", "b"))).tolist() == [[False, True], [False, False]]
