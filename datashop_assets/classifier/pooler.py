"""The pooler recipe: a dense layer with tanh and a linear output, trained on stored vectors of the frozen encoder.

What belongs here: the recipe. What does not: the training loop (`network.py`), its presets (`recipe_presets.py`).

A BERT sequence-classification model whose encoder is frozen and whose pooler and classifier are trained is exactly this
head on the CLS state: its encoder gives the same vectors in every epoch, so they are computed once. That is the recipe
of the FineWeb-Edu classifier (Penedo et al. 2024, arXiv:2406.17557) where the encoder's vectors are CLS
states that are not normalised; on other vectors it is the same network on what the encoder gives.
"""

from dataclasses import dataclass

from datashop_assets.classifier.network import fit_network
from datashop_assets.classifier.recipes import Examples, Fit, Reads
from datashop_assets.model_settings import PoolerSettings
from datashop_assets.rating.lens import Lens


@dataclass(frozen=True)
class PoolerRecipe:
    settings: PoolerSettings
    reads: Reads = "vectors"

    def fit(self, train: Examples, validation: Examples, lens: Lens, seed: int) -> Fit:
        """The seed decides the initial values and the order of the rows."""
        return fit_network("pooler", [train], validation, lens, self.settings, seed)
