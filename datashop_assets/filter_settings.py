"""What a project may say of which documents are kept.

What belongs here: the settings, checked and frozen. What does not: deciding a cut-off and applying it (the filtering
stage).
"""

from pydantic import Field, model_validator

from datashop_assets.settings import Settings


class KeepFraction(Settings):
    """Keep the best share of the corpus, by exact quantile over all scored documents."""

    keep_fraction: float = Field(gt=0, lt=1)
    tolerance: float = Field(0.02, ge=0, description="a new record is made when the realised share is off by more")


class Threshold(Settings):
    """Keep by absolute score; `reverse` keeps what the bounds exclude."""

    lower: float | None = None
    upper: float | None = None
    reverse: bool = False

    @model_validator(mode="after")
    def some_bound(self) -> "Threshold":
        if self.lower is None and self.upper is None:
            raise ValueError("a threshold policy needs lower, upper or both")
        if self.lower is not None and self.upper is not None and self.lower > self.upper:
            raise ValueError(f"lower {self.lower} is above upper {self.upper}")
        return self
