"""What a project may say of the model of a classifier: a group for each kind that reads stored vectors.

What belongs here: those settings. What does not: what is the same for all kinds (`classifier_settings.py`), how they
are trained (a module each in the classifier stage).
"""

from typing import Literal

from pydantic import Field

from datashop_assets.settings import Settings


class LinearSettings(Settings):
    """A linear head on the stored vectors, by ridge regression."""

    kind: Literal["linear"] = "linear"
    l2: tuple[float, ...] = Field(
        (0.01, 0.1, 1.0, 10.0, 100.0), min_length=1, description="regularisations to choose from on validation rows"
    )
