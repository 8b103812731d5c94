"""Against the classifier in force: paired, on the same rows, and worse only beyond chance."""

import numpy as np
import pytest

from datashop_assets.classifier.comparison import compare, not_compared
from datashop_assets.classifier.verdict import Verdict, with_comparison
from datashop_assets_tests.classifier.lenses import lens

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.uniform(0, 5, 300)
GOOD = LABELS + RANDOM.normal(0, 0.4, 300)
BAD = LABELS + RANDOM.normal(0, 1.5, 300)


@pytest.mark.parametrize(
    ("mine", "theirs", "worse", "word"),
    [
        pytest.param(GOOD, BAD, False, "mae better", id="better"),
        pytest.param(BAD, GOOD, True, "mae worse", id="worse"),
        pytest.param(GOOD, GOOD + RANDOM.normal(0, 0.05, 300), False, "mae no difference shown", id="alike"),
        pytest.param(6 - GOOD, GOOD, True, "spearman worse", id="the order is turned round"),
    ],
)
def test_better_worse_or_no_difference_shown(mine, theirs, worse: bool, word: str) -> None:
    compared = compare("in-force", LABELS, mine, theirs, lens(), 300, 0)
    assert compared.is_worse is worse
    assert word in compared.words
    assert "against in-force, on 300 held-out rows of both: " in compared.words


def test_a_constant_error_is_worse_although_the_order_is_the_same() -> None:
    compared = compare("in-force", LABELS, GOOD + 1, GOOD, lens(), 300, 0)
    assert compared.gains["spearman"].value == pytest.approx(0)
    assert compared.is_worse


def test_the_verdict_carries_it_and_still_decides_by_itself() -> None:
    verdict = Verdict(True, ("beats the mean",))
    worse = with_comparison(verdict, compare("in-force", LABELS, BAD, GOOD, lens(), 300, 0))
    assert (worse.passed, worse.worse_than_promoted) == (True, True)
    assert worse.reasons[0] == "beats the mean"
    alone = with_comparison(verdict, not_compared("none is in force yet"))
    assert alone == verdict
    assert alone.worse_than_promoted is None
