"""Which recipe, and which stored form of a trained one, a name stands for.

What belongs here: the two lists. What does not: the recipes (a module each), what they have in common (`recipes.py`).
"""

from collections.abc import Mapping
from pathlib import Path

from datashop_assets.classifier.fasttext import FastTextRecipe
from datashop_assets.classifier.fasttext_scorer import FastTextScorer
from datashop_assets.classifier.fine_tune_recipe import FineTuneRecipe
from datashop_assets.classifier.head import load_head
from datashop_assets.classifier.layers import load_layers
from datashop_assets.classifier.linear import LinearRecipe
from datashop_assets.classifier.multi_lens import MultiLensRecipe
from datashop_assets.classifier.ordinal import OrdinalRecipe
from datashop_assets.classifier.pooler import PoolerRecipe
from datashop_assets.classifier.recipes import SCORER_FILE, Examples, Recipe, Scorer, read_description
from datashop_assets.classifier.sequence_classification import SequenceClassifier
from datashop_assets.classifier.softmax import SoftmaxRecipe
from datashop_assets.classifier.workbench import Workbench
from datashop_assets.classifier_settings import ModelSettings


def recipe_of(
    settings: ModelSettings, others: Mapping[str, Examples] | None = None, bench: Workbench | None = None
) -> Recipe:
    """The recipe that the settings ask for by their kind.

    `others` are the examples of other lenses by name, which `multi_lens` alone learns from. `bench` is where
    `fine_tune` runs, which alone needs one.
    """
    match settings.kind:
        case "linear":
            return LinearRecipe(settings)
        case "pooler":
            return PoolerRecipe(settings)
        case "ordinal":
            return OrdinalRecipe(settings)
        case "softmax":
            return SoftmaxRecipe(settings)
        case "multi_lens":
            return MultiLensRecipe(settings, others or {})
        case "fasttext":
            return FastTextRecipe(settings)
        case "fine_tune":
            return FineTuneRecipe(settings, bench)


def load_scorer(directory: Path) -> Scorer:
    """The scorer in a model folder; one with head.safetensors alone is linear.

    Raises FileNotFoundError where the folder holds no scorer, ValueError where this release does not know its form.
    """
    form = read_description(directory)["form"] if (directory / SCORER_FILE).is_file() else "linear"
    match form:
        case "linear":
            return load_head(directory)
        case "pooler" | "ordinal" | "softmax" | "multi_lens":
            return load_layers(directory)
        case "fasttext":
            return FastTextScorer.load(directory)
        case "fine_tuned":
            return SequenceClassifier.load(directory)
    raise ValueError(f"{directory / SCORER_FILE} names the form {form!r}, which this release of datashop does not know")
