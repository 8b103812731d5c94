"""Diversity against its definitions, on all pairs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.selection import diversity as module
from datashop_assets.selection.diversity import diversity, nearest_distances, vendi_score


def units(rows: int, dimension: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(rows, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@given(rows=st.integers(1, 40), dimension=st.integers(1, 30), seed=st.integers(0, 99))
def test_the_vendi_score_is_that_of_the_whole_kernel(rows: int, dimension: int, seed: int) -> None:
    unit = units(rows, dimension, seed)
    kernel = unit.astype(np.float64) @ unit.T.astype(np.float64)
    eigenvalues = np.linalg.eigvalsh(kernel / rows)
    eigenvalues = eigenvalues[eigenvalues > 1e-15]
    assert vendi_score(unit) == pytest.approx(np.exp(-(eigenvalues * np.log(eigenvalues)).sum()), rel=1e-4)


@pytest.mark.parametrize(
    ("unit", "score"),
    [
        (np.ones((50, 1), np.float32), 1),
        (np.eye(5, dtype=np.float32), 5),
        (np.tile(np.eye(5, dtype=np.float32), (100, 1)), 5),
        (np.array([[1, 0]] * 3 + [[0, 1]], np.float32), np.exp(-0.75 * np.log(0.75) - 0.25 * np.log(0.25))),
    ],
    ids=["all alike", "all orthogonal", "copies add nothing", "three of one kind and one of another"],
)
def test_the_vendi_score_counts_kinds(unit: np.ndarray, score: float) -> None:
    assert vendi_score(unit) == pytest.approx(score)


@given(rows=st.integers(2, 40), seed=st.integers(0, 99))
def test_the_nearest_other_is_the_nearest_of_all_pairs(rows: int, seed: int) -> None:
    unit = units(rows, 4, seed)
    away = 1 - unit @ unit.T
    np.fill_diagonal(away, np.inf)
    asked = np.arange(0, rows, 2)
    np.testing.assert_allclose(nearest_distances(unit, asked), np.maximum(0, away.min(axis=1))[asked], atol=1e-6)


def test_blocks_change_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    unit = units(50, 8)
    whole = diversity(unit, np.arange(50))
    monkeypatch.setattr(module, "BLOCK", 7)
    monkeypatch.setattr(module, "COVARIANCE_BLOCK", 11)
    parts = diversity(unit, np.arange(50))
    assert parts.vendi == pytest.approx(whole.vendi)
    assert parts.nearest_distance == pytest.approx(whole.nearest_distance)
    assert (whole.rows, whole.asked, whole.margin) == (50, 50, 0.0)


def test_copies_lie_at_no_distance() -> None:
    assert diversity(np.ones((9, 1), np.float32), np.arange(9)).nearest_distance == 0


def test_a_part_of_the_rows_gives_an_interval_that_holds() -> None:
    """Over 200 draws of 40 rows of 400, the 95 % interval covers the mean over all rows in 180 or more."""
    unit = units(400, 6)
    whole = diversity(unit, np.arange(400)).nearest_distance
    random = np.random.default_rng(1)
    drawn = [diversity(unit, np.sort(random.choice(400, 40, replace=False))) for _ in range(200)]
    covered = sum(abs(part.nearest_distance - whole) <= part.margin for part in drawn)
    assert covered >= 180


@pytest.mark.parametrize(("rows", "vendi"), [(0, None), (1, pytest.approx(1.0))], ids=["no document", "one document"])
def test_too_few_documents_have_no_distance(rows: int, vendi: object) -> None:
    measured = diversity(units(rows, 3), np.arange(rows))
    assert (measured.nearest_distance, measured.margin) == (None, None)
    assert measured.vendi == vendi
