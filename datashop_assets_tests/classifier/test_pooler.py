import numpy as np
import pytest

from datashop_assets.classifier.linear import LinearRecipe
from datashop_assets.classifier.pooler import PoolerRecipe
from datashop_assets.classifier_settings import ClassifierRecipe
from datashop_assets.model_settings import LinearSettings, PoolerSettings
from datashop_assets_tests.classifier.lenses import lens
from datashop_assets_tests.classifier.made_up import error, made_up

LENS = lens()
RECIPE = PoolerRecipe(PoolerSettings(hidden=32, learning_rate=1e-2, epochs=60, patience=15))


def bump(vectors: np.ndarray) -> np.ndarray:
    """High in the middle, low at both ends: no line is better than the mean."""
    return 5 * np.exp(-(vectors[:, 0] ** 2))


def test_what_no_line_can_express_is_learnt():
    train, validation, unseen = (made_up(n, seed=seed, of=bump) for seed, n in enumerate((600, 150, 300)))
    pooled = RECIPE.fit(train, validation, LENS, 0).scorer.predict(unseen.inputs)
    line = LinearRecipe(LinearSettings()).fit(train, validation, LENS, 0).scorer.predict(unseen.inputs)
    assert error(pooled, unseen) < 0.5 * error(line, unseen)


def test_a_seed_gives_one_classifier_and_another_seed_another():
    train, validation = made_up(100, 0.3), made_up(30, 0.3, seed=1)
    first, again, other = (RECIPE.fit(train, validation, LENS, seed).scorer.digest() for seed in (0, 0, 1))
    assert first == again != other


def test_training_does_not_touch_the_random_state_of_others():
    import torch

    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    RECIPE.fit(made_up(50), made_up(20, seed=1), LENS, 0)
    assert torch.rand(1) == expected


def test_it_stops_once_it_gets_no_better_and_takes_the_best_epoch():
    noisy = made_up(60, 3.0), made_up(60, 3.0, seed=1)
    fit = PoolerRecipe(PoolerSettings(epochs=100, patience=3, learning_rate=0.05)).fit(*noisy, LENS, 0)
    errors = [step.validation_mae for step in fit.log]
    assert len(errors) < 100
    assert fit.chosen["epoch"] == np.argmin(errors) + 1 == len(errors) - 3
    assert error(fit.scorer.predict(noisy[1].inputs), noisy[1]) == pytest.approx(min(errors), abs=1e-6)


def test_vectors_of_any_scale_and_offset_are_scored_as_they_are_stored():
    """The scaling of training is folded into the head."""
    train, validation, unseen = made_up(400), made_up(100, seed=1), made_up(100, seed=2)
    for examples in (train, validation, unseen):
        examples.inputs[:] = examples.inputs * 0.05 + 0.3
    found = error(RECIPE.fit(train, validation, LENS, 0).scorer.predict(unseen.inputs), unseen)
    assert found < 0.15


@pytest.mark.parametrize(("preset", "epochs", "batch"), [("fineweb_edu", 20, 256), ("llm_data_eval", 60, 2800)])
def test_presets_are_the_published_recipes_and_can_be_changed_in_part(preset, epochs, batch):
    recipe = ClassifierRecipe(preset=preset)
    assert (recipe.model.kind, recipe.model.epochs, recipe.model.batch_size) == ("pooler", epochs, batch)
    assert (recipe.model.learning_rate, recipe.model.best_by, recipe.split_seed) == (3e-4, "macro_f1", 42)
    shorter = ClassifierRecipe(preset=preset, model={"epochs": 2}, seed=5)
    assert (shorter.model.epochs, shorter.model.batch_size, shorter.seed) == (2, batch, 5)
    assert ClassifierRecipe(preset=preset, model={"kind": "linear"}).model == LinearSettings()


def test_a_training_of_few_steps_says_so():
    train, validation = made_up(100), made_up(30, seed=1)
    fits = [
        PoolerRecipe(PoolerSettings(epochs=40, batch_size=size, patience=None)).fit(train, validation, LENS, 0)
        for size in (100, 10)
    ]
    assert "training had 40 steps at most" in fits[0].notes[0]
    assert fits[1].notes == ()
