import numpy as np
import pytest

from datashop_assets.classifier.dataset import TrainingError
from datashop_assets.classifier.softmax import SoftmaxRecipe
from datashop_assets.model_settings import SoftmaxSettings
from datashop_assets_tests.classifier.lenses import lens
from datashop_assets_tests.classifier.made_up import error, made_up

LENS = lens()
RECIPE = SoftmaxRecipe(SoftmaxSettings())


def test_the_score_is_the_expected_value_of_the_classes():
    examples = made_up(400, 0.2)
    head = RECIPE.fit(examples, made_up(80, 0.2, seed=1), LENS, 0).scorer
    probabilities = head.layers[0](examples.inputs)
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(400), abs=1e-5)
    assert head.predict(examples.inputs) == pytest.approx(probabilities @ np.arange(6), abs=1e-4)


def test_scores_that_go_up_and_down_again_are_learnt_where_a_line_learns_nothing():
    def peak(vectors: np.ndarray) -> np.ndarray:
        return 4.0 * (np.abs(vectors[:, 0]) < 0.7)  # 4 in the middle, 0 at both ends

    def ends(vectors: np.ndarray) -> np.ndarray:
        return np.select([vectors[:, 0] < -0.5, vectors[:, 0] > 0.5], [4.0, 3.0], 0.0)

    for of in (peak, ends):
        head = RECIPE.fit(made_up(600, of=of), made_up(150, seed=1, of=of), LENS, 0).scorer
        assert head.layers[0].weight.shape[1] == 8
    unseen = made_up(300, seed=2, of=ends)
    assert error(head.predict(unseen.inputs), unseen) < 1.3 < error(np.full(300, unseen.rated.mean()), unseen)


def test_two_classes_are_as_good_as_six():
    def step(vectors: np.ndarray) -> np.ndarray:
        return np.where(vectors[:, 0] > 0, 4.0, 1.0)

    unseen = made_up(200, seed=2, of=step)
    head = RECIPE.fit(made_up(300, of=step), made_up(80, seed=1, of=step), LENS, 0).scorer
    predictions = head.predict(unseen.inputs)
    assert error(predictions, unseen) < 0.3
    assert predictions.min() >= 1
    assert predictions.max() <= 4


def test_scores_that_all_round_to_one_are_refused_with_the_way_out():
    examples = made_up(50, of=lambda vectors: 3 + 0.1 * np.tanh(vectors[:, 0]))
    with pytest.raises(TrainingError, match="round to 3"):
        RECIPE.fit(examples, examples, LENS, 0)
