"""What the recipe says beside its model: several seeds, balanced labels, presets that do not fit."""

import numpy as np
import pytest
from pydantic import ValidationError

from datashop_assets.classifier import dataset
from datashop_assets.classifier.train import train
from datashop_assets.classifier_settings import ClassifierRecipe
from datashop_assets.encoder_settings import EncoderSettings
from datashop_assets.recipe_presets import deviations
from datashop_assets_tests.classifier.lenses import lens
from datashop_assets_tests.classifier.test_train import made_up

FEW = {"bootstrap": 100, "model": {"kind": "linear", "l2": [1.0]}}


def trained(**changes):
    frame, vectors = made_up()
    return train(frame, vectors, lens(), ClassifierRecipe(**(FEW | changes)), "encoder-1")


def test_of_several_seeds_the_first_is_kept_and_the_others_say_how_much_figures_vary():
    alone, *others = (trained(seed=seed) for seed in (3, 4, 5))
    together = trained(seed=3, seeds=3)
    assert together.id == alone.id
    maes = [each.report.figures["mae"].value for each in (alone, *others)]
    over = together.report.over_seeds["mae"]
    assert (over.mean, over.deviation, over.seeds) == pytest.approx((np.mean(maes), np.std(maes, ddof=1), 3))
    assert alone.report.over_seeds == {}


def test_every_seed_is_measured_on_the_same_held_out_rows_and_chooses_on_rows_of_its_own():
    frame, _ = made_up()
    recipe = ClassifierRecipe(split_seed=42)
    first, second = (dataset.split(frame, lens(), recipe.of_seed(number)) for number in (0, 1))
    assert np.array_equal(first.held_out.rows, second.held_out.rows)
    assert set(first.validation.rows) != set(second.validation.rows)
    other = dataset.split(frame, lens(), ClassifierRecipe(split_seed=42, seed=9))
    assert np.array_equal(first.validation.rows, other.validation.rows)


def test_balancing_raises_what_is_predicted_of_rare_scores_and_the_report_says_what_it_did():
    plain, balanced = trained(), trained(balance="weights")
    assert plain.id != balanced.id
    rare = plain.held_out["label"].to_numpy() > 3.8
    means = [each.held_out["prediction"].to_numpy()[rare].mean() for each in (plain, balanced)]
    assert means[1] > means[0]
    assert any("balanced they have" in note for note in balanced.report.notes)
    assert plain.report.notes == ()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"balance": "sampling"}, "linear takes `balance: weights`"),
        ({"model": {"kind": "oracle"}}, "oracle"),
        ({"preset": "mine"}, "preset"),
        ({"model": {"kind": "multi_lens", "lenses": []}}, "lenses"),
        ({"model": {"kind": "linear", "epochs": 3}}, "epochs"),
    ],
)
def test_settings_that_do_not_fit_are_refused_by_name(settings, said):
    with pytest.raises(ValidationError, match=said):
        ClassifierRecipe(**settings)


@pytest.mark.parametrize(
    ("preset", "encoder", "said"),
    [
        (None, {}, None),
        ("fineweb_edu", {"pooling": "cls", "normalize": False}, None),
        ("fineweb_edu", {}, "the same layers on mean vectors of unit length"),
        ("llm_data_eval", {"pooling": "cls"}, "the same layers on cls vectors of unit length"),
    ],
)
def test_a_preset_says_where_the_encoder_makes_another_recipe_of_it(preset, encoder, said):
    notes = deviations(preset, EncoderSettings(**encoder))
    assert (notes == ()) if said is None else notes[0].endswith(said)
