import numpy as np
import pytest

from datashop_assets.classifier.linear import choose_l2, fit


def linear(n: int, noise: float, seed: int = 0, dimension: int = 16) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    weights = np.random.default_rng(99).normal(size=dimension)
    features = random.normal(size=(n, dimension)).astype(np.float32)
    return features, features @ weights + 7 + random.normal(0, noise, n)


def test_a_linear_relation_with_an_offset_is_found():
    head = fit(*linear(200, noise=0), l2=1e-6)
    features, scores = linear(50, noise=0, seed=1)
    assert head.predict(features) == pytest.approx(scores, abs=1e-3)


def test_the_intercept_is_not_penalised():
    features, scores = linear(200, noise=0)
    centred = features - features.mean(axis=0)
    assert fit(centred, scores, l2=1e9).predict(centred) == pytest.approx(np.full(200, scores.mean()), abs=1e-2)


def test_noise_on_few_rows_asks_for_more_regularisation_than_clean_rows():
    def best(noise: float) -> float:
        mae = choose_l2(linear(20, noise), linear(200, noise, seed=1), (0.001, 1.0, 100.0))
        return min(mae, key=lambda l2: mae[l2])

    assert best(noise=0) == 0.001
    assert best(noise=20) == 100.0
