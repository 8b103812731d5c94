import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.classifier.balance import BalancedRecipe, class_shares, resampled, weighted
from datashop_assets.classifier.recipes import Examples, Fit
from datashop_assets_tests.classifier.lenses import lens

LENS = lens()


def with_classes(counts: dict[int, int], weights: np.ndarray | None = None) -> Examples:
    targets = np.repeat(list(counts), list(counts.values())).astype(np.float64)
    vectors = np.arange(len(targets), dtype=np.float32)[:, None]
    return Examples(vectors, targets, np.ones(len(targets)) if weights is None else weights, targets)


@pytest.mark.parametrize("balanced", [weighted, lambda *a: resampled(*a, seed=0)], ids=["weights", "sampling"])
@given(counts=st.dictionaries(st.integers(0, 5), st.integers(1, 40), min_size=1))
def test_every_class_gets_an_equal_share_where_the_bound_is_not_reached(balanced, counts):
    shares = class_shares(balanced(with_classes(counts), LENS, 40.0), LENS)
    assert list(shares.values()) == pytest.approx([1 / len(counts)] * len(counts))


@pytest.mark.parametrize("balanced", [weighted, lambda *a: resampled(*a, seed=0)], ids=["weights", "sampling"])
def test_a_row_counts_at_most_so_many_times_as_one_of_the_most_frequent_class(balanced):
    shares = class_shares(balanced(with_classes({1: 100, 4: 2}), LENS, 10.0), LENS)
    assert shares[4] / shares[1] == pytest.approx(2 * 10 / 100)


def test_rows_of_which_less_is_sure_leave_their_class_with_no_more_than_its_share():
    sure = np.concatenate([np.full(60, 0.5), np.ones(20)])
    examples = weighted(with_classes({0: 60, 3: 20}, sure), LENS, 10.0)
    assert class_shares(examples, LENS) == pytest.approx({0: 0.5, 3: 0.5})
    assert np.ptp(examples.weights[:60]) == 0
    assert examples.weights.sum() == pytest.approx(sure.sum())


def test_sampling_loses_no_rated_row_and_keeps_rows_together():
    before = with_classes({0: 30, 2: 7, 5: 4})
    after = resampled(before, LENS, 10.0, seed=0)
    assert set(after.inputs[:, 0]) == set(before.inputs[:, 0])
    assert np.array_equal(before.targets[after.inputs[:, 0].astype(int)], after.targets)


def test_texts_are_repeated_like_vectors():
    examples = Examples(["a", "b", "c"], np.array([0.0, 0.0, 5.0]), np.ones(3), np.array([0.0, 0.0, 5.0]))
    assert list(resampled(examples, LENS, 10.0, seed=0).inputs) == ["a", "b", "c", "c"]


def test_the_balanced_recipe_says_what_it_changed():
    class Nothing:
        reads = "vectors"

        def fit(self, train, validation, lens, seed):
            assert class_shares(train, lens)[4] == pytest.approx(0.5)
            return Fit(scorer=None)

    examples = with_classes({1: 30, 4: 10})
    (note,) = BalancedRecipe(Nothing(), "weights", 10.0).fit(examples, examples, LENS, 0).notes
    assert note.endswith("had 1: 75.0%, 4: 25.0%; balanced they have 1: 50.0%, 4: 50.0%")
