import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from datashop_assets.classifier.known_recipes import load_scorer
from datashop_assets.classifier.layers import BLOCK_ROWS, Layer, LayeredHead


def head(seed: int = 0, first: str = "tanh") -> LayeredHead:
    random = np.random.default_rng(seed)

    def values(*shape: int) -> np.ndarray:
        return random.normal(size=shape).astype(np.float32)

    return LayeredHead("pooler", (Layer(values(3, 4), values(3), first), Layer(values(1, 3), values(1))))


def test_what_the_documentation_says_of_the_files_is_enough_to_score_with_numpy(tmp_path):
    head().save(tmp_path)
    vectors = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)
    description, tensors = json.loads((tmp_path / "scorer.json").read_text()), load_file(tmp_path / "head.safetensors")
    values = vectors
    for number, activation in enumerate(description["activations"]):
        values = values @ tensors[f"layers.{number}.weight"].T + tensors[f"layers.{number}.bias"]
        values = {"tanh": np.tanh, "identity": np.asarray}[activation](values)
    assert head().predict(vectors) == pytest.approx(values[:, 0], abs=1e-6)


@pytest.mark.parametrize("first", ["tanh", "sigmoid", "softmax", "identity"])
def test_layers_compute_what_torch_computes(first):
    import torch

    vectors = np.random.default_rng(1).normal(0, 30, size=(7, 4)).astype(np.float32)
    functions = {"tanh": torch.tanh, "sigmoid": torch.sigmoid, "softmax": lambda x: torch.softmax(x, 1)}
    layers = head(first=first).layers
    hidden = torch.from_numpy(vectors) @ torch.from_numpy(layers[0].weight).T + torch.from_numpy(layers[0].bias)
    theirs = functions.get(first, lambda x: x)(hidden).numpy() @ layers[1].weight.T + layers[1].bias
    assert head(first=first).predict(vectors) == pytest.approx(theirs[:, 0], rel=1e-5, abs=1e-5)


def test_a_head_comes_back_as_it_was(tmp_path):
    head().save(tmp_path)
    again = load_scorer(tmp_path)
    assert again.form == "pooler"
    assert again.digest() == head().digest()


@pytest.mark.parametrize("other", [head(seed=1), head(first="sigmoid")], ids=["another value", "another activation"])
def test_another_head_has_another_digest(other):
    assert other.digest() != head().digest()


def test_long_shards_are_scored_in_blocks_with_the_same_result():
    vectors = np.random.default_rng(1).normal(size=(BLOCK_ROWS + 3, 4)).astype(np.float32)
    scores = head().predict(vectors)
    assert scores.shape == (BLOCK_ROWS + 3,)
    assert scores[-3:] == pytest.approx(head().predict(vectors[-3:]), abs=1e-5)


def test_vectors_of_another_encoder_are_refused_by_their_dimension():
    with pytest.raises(ValueError, match="takes vectors of 4 values"):
        head().predict(np.ones((2, 5), np.float32))
