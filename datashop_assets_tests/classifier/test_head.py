import numpy as np
import pytest

from datashop_assets.classifier.head import Head, choose_l2, classifier_id, fit, load_head, save_head


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


def test_a_head_comes_back_from_its_file_unchanged(tmp_path):
    head = fit(*linear(40, noise=1), l2=0.1)
    save_head(tmp_path, head)
    again = load_head(tmp_path)
    assert np.array_equal(again.weights, head.weights)
    assert again.bias == head.bias
    assert classifier_id("encoder", again) == classifier_id("encoder", head)


def test_a_folder_without_a_head_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        load_head(tmp_path)


@pytest.mark.parametrize(
    ("encoder", "head"),
    [
        ("other", Head(np.ones(3, np.float32), 1.0)),
        ("encoder", Head(np.ones(3, np.float32), 1.5)),
        ("encoder", Head(np.array([1, 1, 1.0001], np.float32), 1.0)),
    ],
    ids=["another encoder", "another bias", "another weight"],
)
def test_any_change_makes_another_classifier(encoder, head):
    assert classifier_id(encoder, head) != classifier_id("encoder", Head(np.ones(3, np.float32), 1.0))


def test_vectors_of_another_encoder_are_refused():
    with pytest.raises(ValueError, match="takes vectors of 3 values"):
        Head(np.ones(3, np.float32), 0.0).predict(np.ones((2, 4), np.float32))
