import numpy as np
import pytest

from datashop_assets.classifier.ordinal import OrdinalRecipe
from datashop_assets.classifier.recipes import Examples
from datashop_assets.model_settings import OrdinalSettings
from datashop_assets_tests.classifier.lenses import lens
from datashop_assets_tests.classifier.made_up import error, made_up

LENS = lens()
RECIPE = OrdinalRecipe(OrdinalSettings())


def test_scores_are_learnt_and_stay_on_the_scale():
    fit = RECIPE.fit(made_up(300, 0.3), made_up(80, 0.3, seed=1), LENS, 0)
    unseen = made_up(200, 0.3, seed=2)
    predictions = fit.scorer.predict(unseen.inputs)
    assert error(predictions, unseen) < 0.4
    assert predictions.min() >= LENS.low
    assert predictions.max() <= LENS.high


def test_a_score_between_two_whole_ones_is_learnt_as_it_is():
    examples = made_up(200, of=lambda vectors: np.full(len(vectors), 2.4))
    predictions = RECIPE.fit(examples, made_up(50, of=lambda v: np.full(len(v), 2.4)), LENS, 0).scorer.predict(
        examples.inputs
    )
    assert predictions == pytest.approx(np.full(200, 2.4), abs=0.02)


def test_thresholds_come_out_in_the_order_of_the_scores():
    head = RECIPE.fit(made_up(300, 0.5), made_up(80, 0.5, seed=1), LENS, 0).scorer
    assert (np.diff(head.layers[0].bias) < 0).all()


def test_a_row_of_twice_the_weight_is_a_row_that_stands_twice():
    examples, validation = made_up(120, 0.5), made_up(30, seed=1)
    settings = OrdinalRecipe(OrdinalSettings(l2=(1.0,)))
    rows = np.concatenate([np.arange(120), np.arange(40)])
    twice = Examples(*(values[rows] for values in vars(examples).values()))
    heavy = Examples(examples.inputs, examples.targets, 1.0 + (np.arange(120) < 40), examples.rated)
    assert settings.fit(heavy, validation, LENS, 0).scorer.predict(validation.inputs) == pytest.approx(
        settings.fit(twice, validation, LENS, 0).scorer.predict(validation.inputs), abs=1e-3
    )


def test_the_taken_regularisation_has_the_smallest_error_on_validation_rows():
    fit = RECIPE.fit(made_up(60, 1.0), made_up(200, 1.0, seed=1), LENS, 0)
    errors = {step.value: step.validation_mae for step in fit.log}
    assert set(errors) == set(RECIPE.settings.l2)
    assert errors[fit.chosen["l2"]] == min(errors.values())
