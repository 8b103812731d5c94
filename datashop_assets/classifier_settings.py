"""What a project may say of a lens's classifier.

What belongs here: what is the same for every kind of model, and the list of the kinds. What does not: the settings of
a kind (`model_settings.py`), training (the classifier stage).
"""

from typing import Literal

from pydantic import Field, model_validator

from datashop_assets.model_settings import LinearSettings
from datashop_assets.settings import Settings

ModelSettings = LinearSettings


class ClassifierRecipe(Settings):
    """How a classifier is trained on the rated documents."""

    model: ModelSettings = LinearSettings()
    held_out_share: float = Field(0.2, gt=0, lt=1, description="by stable hash of the text: never trained on, for ever")
    validation_share: float = Field(0.2, gt=0, lt=1, description="of the rest; chooses what the model's recipe chooses")
    labels: Literal["rated", "curated"] = Field(
        "rated",
        description="curated: trained on ratings corrected by those of like documents; measured on ratings as they are",
    )
    weighted: bool = Field(False, description="weigh curated labels by how probably they are right")
    bootstrap: int = Field(1000, ge=100)
    seed: int = 0

    @model_validator(mode="after")
    def weights_are_known(self) -> "ClassifierRecipe":
        if self.weighted and self.labels != "curated":
            raise ValueError("`weighted` needs curated labels: of others it is not known how probably they are right")
        return self
