import numpy as np
import pytest

from datashop_assets.classifier.known_recipes import load_scorer
from datashop_assets.classifier.multi_lens import MultiLensRecipe
from datashop_assets.classifier.pooler import PoolerRecipe
from datashop_assets.classifier.recipes import Examples
from datashop_assets.model_settings import MultiLensSettings, PoolerSettings
from datashop_assets_tests.classifier.lenses import lens
from datashop_assets_tests.classifier.made_up import error, made_up

LENS = lens()
SHARED = {"hidden": 4, "learning_rate": 1e-2, "epochs": 60, "patience": None, "weight_decay": 0.0, "dropout": 0.0}
RECIPE = MultiLensSettings(lenses=("related",), **SHARED)


def bump(vectors: np.ndarray) -> np.ndarray:
    return 5 * np.exp(-((vectors[:, 0] + vectors[:, 1]) ** 2))


def mirrored(vectors: np.ndarray) -> np.ndarray:
    """Another lens on a scale of its own, which looks at the same thing."""
    return 5 - bump(vectors)


def test_a_lens_with_few_labels_learns_from_a_related_one_with_many():
    few, validation, unseen = made_up(40, of=bump), made_up(100, seed=1, of=bump), made_up(400, seed=2, of=bump)
    many = made_up(1000, seed=3, of=mirrored)
    together = MultiLensRecipe(RECIPE, {"related": many}).fit(few, validation, LENS, 0).scorer
    alone = PoolerRecipe(PoolerSettings(**SHARED)).fit(few, validation, LENS, 0).scorer
    assert error(together.predict(unseen.inputs), unseen) < 0.7 * error(alone.predict(unseen.inputs), unseen)


def test_the_stored_head_is_this_lenses_output_alone(tmp_path):
    fit = MultiLensRecipe(RECIPE, {"related": made_up(60, seed=3, of=mirrored)}).fit(
        made_up(60, of=bump), made_up(30, seed=1, of=bump), LENS, 0
    )
    fit.scorer.save(tmp_path)
    again = load_scorer(tmp_path)
    assert again.form == "multi_lens"
    assert [layer.weight.shape for layer in again.layers] == [(4, 8), (1, 4)]


def test_labels_of_another_lens_do_not_shift_this_lenses_scores():
    """Scales are each lens's own: the other one's are ten times as large here."""
    other = made_up(200, seed=3)
    other = Examples(other.inputs, other.targets * 10 + 100, other.weights, other.rated)
    train, validation, unseen = made_up(200), made_up(60, seed=1), made_up(100, seed=2)
    head = MultiLensRecipe(RECIPE, {"related": other}).fit(train, validation, LENS, 0).scorer
    assert error(head.predict(unseen.inputs), unseen) < 0.3


def test_a_lens_without_labels_is_named():
    with pytest.raises(ValueError, match=r"\['related'\]"):
        MultiLensRecipe(RECIPE, {}).fit(made_up(30), made_up(10), LENS, 0)
