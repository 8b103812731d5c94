"""The nearest texts: exactly, each counted once, none of them its own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datashop_assets.curation.neighbours import VectorError, neighbourhood
from datashop_assets_tests.curation.clusters import clusters


def names(count: int) -> list[str]:
    return [f"text {number}" for number in range(count)]


@settings(max_examples=40, deadline=None)
@given(rows=st.integers(4, 60), k=st.integers(1, 3), block=st.integers(1, 70), seed=st.integers(0, 99))
def test_they_are_those_that_comparing_all_pairs_gives(rows: int, k: int, block: int, seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(rows, 5)).astype(np.float32)
    found = neighbourhood(vectors, names(rows), k, twin_distance=0.0, block=block)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    distances = 1 - unit @ unit.T
    np.fill_diagonal(distances, np.inf)
    assert (found.group == np.arange(rows)).all()
    assert (found.nearest != np.arange(rows)[:, None]).all()
    assert all(len(set(line)) == k for line in found.nearest.tolist())
    np.testing.assert_allclose(found.distance, np.sort(distances, axis=1)[:, :k], atol=1e-5)
    np.testing.assert_allclose(
        np.take_along_axis(distances, found.nearest, axis=1), np.sort(distances, axis=1)[:, :k], atol=1e-5
    )


def test_copies_and_near_copies_of_a_text_are_one_neighbour() -> None:
    vectors, _ = clusters(40)
    near = vectors[:5] * 1.5 + np.float32(1e-3)
    found = neighbourhood(np.concatenate([vectors, vectors[:7], near]), [*names(40), *names(7), *names(45)[40:]], 3)
    assert found.group[40:47].tolist() == found.group[:7].tolist()
    assert found.group[47:].tolist() == found.group[:5].tolist()
    assert len(found.nearest) == 40
    alone = neighbourhood(vectors, names(40), 3)
    np.testing.assert_array_equal(found.nearest, alone.nearest)
    np.testing.assert_array_equal(found.rareness[:40], alone.rareness)


def test_near_copies_of_near_copies_are_one_text_over_all_blocks() -> None:
    angles = np.concatenate([np.arange(12) * 0.1, [2.0, 3.0, 4.0]])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    order = np.random.default_rng(3).permutation(15)
    for block in (1, 4, 99):
        group = neighbourhood(vectors[order], names(15), 2, twin_distance=0.006, block=block).group
        assert len({group[place] for place in range(15) if order[place] < 12}) == 1
        assert len(set(group.tolist())) == 4


def test_the_order_of_the_rows_decides_nothing() -> None:
    vectors, _ = clusters(200)
    order = np.random.default_rng(5).permutation(200)
    plain, mixed = neighbourhood(vectors, names(200), 5), neighbourhood(vectors[order], names(200), 5)
    np.testing.assert_array_equal(order[mixed.nearest], plain.nearest[order])
    np.testing.assert_allclose(mixed.rareness, plain.rareness[order], atol=1e-6)


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf], ids=["zero", "not a number", "infinite"])
def test_vectors_without_a_direction_are_refused_by_row(bad: float) -> None:
    vectors, _ = clusters(20)
    vectors[[3, 7]] = bad
    with pytest.raises(VectorError, match=r"2 vectors .* rows \[3, 7\]"):
        neighbourhood(vectors, names(20), 3)


@pytest.mark.parametrize(("rows", "texts"), [(3, 3), (8, 3)], ids=["few rows", "few texts in many rows"])
def test_fewer_texts_than_neighbours_are_an_error_that_says_so(rows: int, texts: int) -> None:
    vectors, _ = clusters(rows)
    with pytest.raises(ValueError, match="3 independent texts have no 3 neighbours"):
        neighbourhood(vectors, [f"text {number % texts}" for number in range(rows)], 3)
