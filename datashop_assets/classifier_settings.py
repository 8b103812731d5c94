"""What a project may say of a lens's classifier.

What belongs here: the recipes' settings, checked and frozen. What does not: training (the classifier stage).
"""

from typing import Literal

from pydantic import Field, model_validator

from datashop_assets.settings import Settings


class ClassifierRecipe(Settings):
    """How a head is trained on the embeddings of rated documents."""

    held_out_share: float = Field(0.2, gt=0, lt=1, description="by stable hash of the text: never trained on, for ever")
    validation_share: float = Field(0.2, gt=0, lt=1, description="of the rest; chooses the regularisation")
    labels: Literal["rated", "curated"] = Field(
        "rated",
        description="curated: trained on ratings corrected by those of like documents; measured on ratings as they are",
    )
    weighted: bool = Field(False, description="weigh curated labels by how probably they are right")
    l2: tuple[float, ...] = Field((0.01, 0.1, 1.0, 10.0, 100.0), min_length=1)
    bootstrap: int = Field(1000, ge=100)
    seed: int = 0

    @model_validator(mode="after")
    def weights_are_known(self) -> "ClassifierRecipe":
        if self.weighted and self.labels != "curated":
            raise ValueError("`weighted` needs curated labels: of others it is not known how probably they are right")
        return self
