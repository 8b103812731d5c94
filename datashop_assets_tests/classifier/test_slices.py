"""Quality by kind of document: every row in one slice, no figure where too few rows stand behind it."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datashop_assets.classifier import slices
from datashop_assets_tests.classifier.lenses import lens


def sample(n: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = random.uniform(0, 5, n)
    return labels, (labels + random.normal(0, 0.5, n)).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 5000), min_size=1, max_size=200))
def test_every_row_is_in_one_bin_of_length_and_equal_lengths_stay_together(chars: list[int]) -> None:
    given_chars = np.array(chars)
    bins = slices.by_length(given_chars)
    assert sorted(row for rows in bins.values() for row in rows) == list(range(len(chars)))
    spans = [(given_chars[rows].min(), given_chars[rows].max()) for rows in bins.values()]
    assert all(before[1] < after[0] for before, after in pairwise(spans))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=150))
def test_kinds_stand_alone_only_where_they_have_enough_rows(kinds: list[str]) -> None:
    parts = slices.by_kind(kinds)
    assert sorted(row for rows in parts.values() for row in rows) == list(range(len(kinds)))
    named = {name: len(rows) for name, rows in parts.items() if name in "abcdefg"}
    assert all(kinds.count(name) == count for name, count in named.items())
    assert sum(count < slices.LEAST_ROWS for count in named.values()) <= 1, "one small kind alone keeps its name"


def test_small_kinds_are_merged_and_the_merged_ones_counted() -> None:
    assert list(slices.by_kind(["en"] * 30 + ["de"] * 3 + ["fr"] * 2)) == ["en", "other (2 kinds)"]
    assert list(slices.by_kind(["de"] * 3 + ["fr"] * 2)) == ["all (2 kinds)"]


def test_a_slice_has_the_figures_of_its_rows_and_a_small_one_none() -> None:
    labels, predictions = sample()
    predictions[:50] += 2
    parts = {"bad": np.arange(50), "good": np.arange(50, 190), "few": np.arange(190, 200)}
    bad, good, few = slices.sliced("kind", parts, labels, predictions, lens(), 200, 0)
    assert bad.figures["bias"].value == pytest.approx(float((predictions[:50] - labels[:50]).mean()))
    assert good.figures["mae"].high < bad.figures["mae"].low
    assert (few.n, few.figures) == (10, {})


def test_cutting_is_shown_to_cost_where_cut_documents_are_judged_worse() -> None:
    labels, predictions = sample(400)
    cut = np.arange(400) % 2 == 0
    predictions[cut] = np.random.default_rng(1).uniform(0, 5, 200)
    cost = slices.cost_of_cutting(labels, predictions, cut, lens(), 200, 0)
    assert (cost.cut, cost.whole) == (200, 200)
    own = np.abs(predictions - labels)
    assert cost.mae.value == pytest.approx(float(own[cut].mean() - own[~cut].mean()))
    assert cost.mae.low > 0
    assert cost.spearman.low > 0.5
    assert "judged worse" in cost.words


def test_no_cost_is_shown_where_there_is_none_and_none_is_told_of_few_rows() -> None:
    labels, predictions = sample(400)
    cut = np.arange(400) % 2 == 0
    assert "not shown to differ" in slices.cost_of_cutting(labels, predictions, cut, lens(), 200, 0).words
    few = slices.cost_of_cutting(labels, predictions, np.arange(400) < 5, lens(), 200, 0)
    assert (few.mae, few.spearman) == (None, None)
    assert "5 held-out documents were cut and 395 seen whole" in few.words
