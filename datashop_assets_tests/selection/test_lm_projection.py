"""The projection keeps inner products, in expectation exactly and at once nearly."""

import numpy as np
import pytest

from datashop_assets.selection.lm_projection import BLOCK, Projection


def unit_vectors(count: int, values: int, seed: int = 0) -> np.ndarray:
    drawn = np.random.default_rng(seed).standard_normal((count, values)).astype(np.float32)
    drawn += drawn[:1]  # so that they are alike
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), np.float32)


@pytest.mark.parametrize("dimension", [256, 2048])
def test_inner_products_are_kept_within_five_standard_errors(dimension: int) -> None:
    vectors = unit_vectors(20, 30_000)
    projected = Projection(dimension, 3)(vectors)
    assert projected.shape == (20, dimension)
    assert np.abs(projected @ projected.T - vectors @ vectors.T).max() < 5 * np.sqrt(2 / dimension)


def test_the_mean_over_seeds_is_the_inner_product() -> None:
    vectors = unit_vectors(2, 500)
    found = [np.prod(Projection(64, seed)(vectors), axis=0).sum() for seed in range(400)]
    assert np.mean(found) == pytest.approx(float(vectors[0] @ vectors[1]), abs=5 * np.std(found) / np.sqrt(400))


def test_it_is_a_matrix_of_independent_signs_also_beyond_a_block() -> None:
    dimension, places = 512, [0, 7, BLOCK // 512 - 1, BLOCK // 512, BLOCK // 512 + 99]
    columns = np.zeros((len(places), places[-1] + 1), np.float32)
    columns[range(len(places)), places] = 1
    project = Projection(dimension, 5)
    signs = project(columns) * np.sqrt(dimension)
    assert np.allclose(np.abs(signs), 1)
    assert abs(np.corrcoef(signs)[np.triu_indices(len(places), 1)]).max() < 5 / np.sqrt(dimension)
    weights = np.array([[3, -1, 0.5, 2, 1]], np.float32)
    assert np.allclose(project(weights @ columns), weights @ signs / np.sqrt(dimension), atol=1e-5)


def test_one_seed_is_one_matrix_however_the_vectors_come() -> None:
    vectors = unit_vectors(4, 3000)
    whole = Projection(128, 1)(vectors)
    assert np.allclose(whole[2:], Projection(128, 1)(vectors[2:]), atol=1e-6)
    assert not np.allclose(whole, Projection(128, 2)(vectors), atol=0.01)


def test_vectors_that_are_short_already_stay_as_they_are() -> None:
    vectors = unit_vectors(3, 100)
    assert np.array_equal(Projection(100, 1)(vectors), vectors)
