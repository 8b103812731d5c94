import numpy as np
import pytest

from datashop_assets.classifier.head import Head, classifier_id, load_head
from datashop_assets.classifier.known_recipes import load_scorer
from datashop_assets.classifier.recipes import SCORER_FILE


def test_a_head_comes_back_from_its_files_unchanged(tmp_path):
    head = Head(np.random.default_rng(0).normal(size=16).astype(np.float32), 0.1)
    head.save(tmp_path)
    again = load_scorer(tmp_path)
    assert again.form == "linear"
    assert np.array_equal(again.weights, head.weights)
    assert again.bias == np.float32(head.bias)
    assert classifier_id("encoder", again) == classifier_id("encoder", head)


def test_a_folder_with_a_head_and_no_description_is_linear(tmp_path):
    head = Head(np.ones(3, np.float32), 2.0)
    head.save(tmp_path)
    (tmp_path / SCORER_FILE).unlink()
    assert load_scorer(tmp_path).digest() == head.digest()


def test_a_form_of_another_release_is_refused_by_name(tmp_path):
    (tmp_path / SCORER_FILE).write_text('{"form": "oracle"}')
    with pytest.raises(ValueError, match="'oracle'"):
        load_scorer(tmp_path)


def test_ids_of_linear_classifiers_never_change():
    """Promotions and scores name them. Made by the first release."""
    assert classifier_id("all-minilm", Head(np.array([0.5, -1.25, 3.0], np.float32), 2.5)) == "2c40511aef2d"


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
