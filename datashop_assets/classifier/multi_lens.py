"""The multi-lens recipe: one hidden layer for several lenses, and an output for each.

What belongs here: the recipe. What does not: the training loop (`network.py`), gathering the other lenses' labels
(`inputs.py`).

What is learnt for one lens from the labels of another is the shared layer (Caruana 1997, multitask learning): it pays
where a lens has few labels and a related one has many. Each lens's classifier is trained, measured and promoted as its
own, and keeps the shared layer and its own output alone, so that it can be scored and rolled back without the others.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from datashop_assets.classifier.network import fit_network
from datashop_assets.classifier.recipes import Examples, Fit, Reads
from datashop_assets.model_settings import MultiLensSettings
from datashop_assets.rating.lens import Lens


@dataclass(frozen=True, eq=False)
class MultiLensRecipe:
    """`others` are the examples of the lenses that the settings name, none of whose texts is held out."""

    settings: MultiLensSettings
    others: Mapping[str, Examples]
    reads: Reads = "vectors"

    def fit(self, train: Examples, validation: Examples, lens: Lens, seed: int) -> Fit:
        """Trained on all lenses' labels, chosen on this lens's validation rows. Raises ValueError where labels of a
        lens that the settings name are missing."""
        if missing := [name for name in self.settings.lenses if name not in self.others]:
            raise ValueError(f"the recipe of lens {lens.name!r} needs labels of lenses that were not given: {missing}")
        others = [self.others[name] for name in self.settings.lenses]
        return fit_network("multi_lens", [train, *others], validation, lens, self.settings, seed)
