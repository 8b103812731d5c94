"""The search over unit vectors: complete lines, none with its own row, the same every time."""

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from datashop_assets.curation import index
from datashop_assets.curation.index import is_exact, nearest_exactly, nearest_rows, rows_within


def directions(rows: int, dimension: int = 24, seed: int = 0) -> NDArray:
    vectors = np.random.default_rng(seed).normal(size=(rows, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("queries", "rows", "exact"),
    [(100, 100, True), (101, 101, False), (5, 2000, True), (6, 2000, False)],
    ids=["all of few", "all of many", "few of many", "too many of many"],
)
def test_what_is_searched_exactly_is_a_matter_of_comparisons(queries: int, rows: int, exact: bool) -> None:
    assert is_exact(queries, rows, exact_rows=100) is exact


def test_an_index_gives_the_same_however_many_threads_there_are() -> None:
    unit, before = directions(4000), faiss.omp_get_max_threads()
    found = []
    try:
        for threads in (4, 4, 1):
            faiss.omp_set_num_threads(threads)
            found.append(nearest_rows(unit, np.arange(4000), 10, exact_rows=0))
            assert faiss.omp_get_max_threads() == threads
    finally:
        faiss.omp_set_num_threads(before)
    for rows, cosine in found[1:]:
        np.testing.assert_array_equal(rows, found[0][0])
        np.testing.assert_array_equal(cosine, found[0][1])


@pytest.mark.parametrize("exact_rows", [10_000, 0], ids=["exact", "by index"])
def test_asked_for_some_rows_it_answers_for_these(exact_rows: int) -> None:
    unit, some = directions(200), np.array([7, 3, 150])
    rows, cosine = nearest_rows(unit, some, 4, exact_rows)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -1)
    np.testing.assert_array_equal(rows, np.argsort(-similarity, axis=1)[some, :4])
    np.testing.assert_allclose(cosine, np.take_along_axis(similarity[some], rows, axis=1), atol=1e-6)


@pytest.mark.parametrize("exact_rows", [10_000_000, 0], ids=["exact", "by index"])
def test_among_equal_rows_every_line_is_full_and_without_its_own(exact_rows: int) -> None:
    unit = np.repeat(directions(3), [500, 2, 1], axis=0)
    rows, cosine = nearest_rows(unit, np.arange(503), 6, exact_rows)
    assert rows.min() >= 0
    assert (rows != np.arange(503)[:, None]).all()
    assert all(len(set(line)) == 6 for line in rows.tolist())
    assert (np.diff(cosine, axis=1) <= 0).all()
    np.testing.assert_allclose(cosine[:500], 1, atol=1e-6)


def test_what_a_graph_in_pieces_does_not_reach_is_searched_for_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    unit = np.repeat(directions(3), [500, 2, 1], axis=0)
    monkeypatch.setattr(index, "LINKS", 2)
    monkeypatch.setattr(index, "LOOKED_AT_TO_LINK", 2)
    rows, cosine = nearest_rows(unit, np.arange(503), 15, exact_rows=0)
    assert rows.min() >= 0
    np.testing.assert_allclose(cosine, nearest_exactly(unit, np.arange(503), 15)[1], atol=1e-6)


def test_pairs_within_a_distance_are_all_of_them() -> None:
    unit, some = directions(700, dimension=4), np.array([5, 600, 8, 9])
    pairs = [pair for ours, others in rows_within(unit, some, 0.9) for pair in zip(ours, others, strict=True)]
    similarity = unit @ unit.T
    assert sorted(pairs) == sorted((a, b) for a in some for b in range(700) if a != b and similarity[a, b] > 0.9)
    assert len(pairs) > 10


def test_comparing_with_all_rows_misses_nothing_however_long_the_table() -> None:
    unit = directions(9000, dimension=8)
    rows, _ = nearest_exactly(unit, np.array([0, 4500, 8999]), 5)
    similarity = unit[[0, 4500, 8999]] @ unit.T
    similarity[[0, 1, 2], [0, 4500, 8999]] = -1
    np.testing.assert_array_equal(rows, np.argsort(-similarity, axis=1)[:, :5])
