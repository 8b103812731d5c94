"""What a project may say of how a lens's classifier comes into force.

What belongs here: the settings. What does not: the judgement (`classifier/gate.py`), when it is asked for without a
person (`automation/conditions.py`).
"""

from typing import Literal

from pydantic import Field

from datashop_assets.settings import Settings


class PromotionSettings(Settings):
    """What a new classifier has to show before it is put in force, beside its own checks."""

    requires: Literal["not_worse", "better"] = Field(
        "not_worse",
        description="on the rows that it and the one in force both held out. not_worse: not shown to be worse, which "
        "few rows cannot show either; better: shown to be better in error or in order, and worse in neither",
    )
    automatic: bool = Field(
        True, description="promote a classifier that passes its checks when it was trained without `promotion`"
    )
