"""What a project may say of a lens's classifier.

What belongs here: what is the same for every kind of model, and the list of the kinds. What does not: the settings of
a kind (`model_settings.py`, `text_model_settings.py`), training (the classifier stage).
"""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from datashop_assets.model_settings import (
    LinearSettings,
    MultiLensSettings,
    OrdinalSettings,
    PoolerSettings,
    SoftmaxSettings,
)
from datashop_assets.recipe_presets import PresetName, with_preset
from datashop_assets.report_settings import ReportSettings
from datashop_assets.settings import Settings
from datashop_assets.text_model_settings import FastTextSettings, FineTuneSettings

ModelSettings = Annotated[
    LinearSettings
    | PoolerSettings
    | OrdinalSettings
    | SoftmaxSettings
    | MultiLensSettings
    | FineTuneSettings
    | FastTextSettings,
    Field(discriminator="kind"),
]
# Solved at once, not in steps: a row that stands twice is a row of twice the weight.
SOLVED_AT_ONCE = ("linear", "ordinal", "softmax")


class ClassifierRecipe(Settings):
    """How a classifier is trained on the rated documents."""

    preset: PresetName | None = Field(None, description="a published recipe: its values, but for those given here")
    model: ModelSettings = LinearSettings()
    held_out_share: float = Field(0.2, gt=0, lt=1, description="by stable hash of the text: never trained on, for ever")
    validation_share: float = Field(0.2, gt=0, lt=1, description="of the rest; chooses what the model's recipe chooses")
    labels: Literal["rated", "curated"] = Field(
        "rated",
        description="curated: trained on ratings corrected by those of like documents; measured on ratings as they are",
    )
    weighted: bool = Field(False, description="weigh curated labels by how probably they are right")
    balance: Literal["none", "weights", "sampling"] = Field(
        "none",
        description="as much training weight for every rounded score: by weights of the rows, or by repeating them",
    )
    balance_bound: float = Field(
        10, ge=1, description="how much more a row of a rare score may count than one of the most frequent"
    )
    bootstrap: int = Field(1000, ge=100)
    report: ReportSettings = ReportSettings()
    seed: int = Field(0, description="of the validation split, of initial values and of the order of the rows")
    split_seed: int | None = Field(None, description="of the validation split; null: `seed`")
    seeds: int = Field(
        1, ge=1, le=100, description="train so many times, from `seed` on, and report how much the figures vary"
    )

    @model_validator(mode="before")
    @classmethod
    def preset_fills_in(cls, given: Any) -> Any:
        return with_preset(given) if isinstance(given, dict) else given

    @model_validator(mode="after")
    def weights_are_known(self) -> "ClassifierRecipe":
        if self.weighted and self.labels != "curated":
            raise ValueError("`weighted` needs curated labels: of others it is not known how probably they are right")
        return self

    @model_validator(mode="after")
    def balance_fits_the_model(self) -> "ClassifierRecipe":
        kind = self.model.kind
        if self.balance == "sampling" and kind in SOLVED_AT_ONCE:
            raise ValueError(f"`balance: sampling` is for models that learn in steps; {kind} takes `balance: weights`")
        return self

    @property
    def other_lenses(self) -> tuple[str, ...]:
        """The lenses whose ratings are learnt from beside the lens's own."""
        return self.model.lenses if isinstance(self.model, MultiLensSettings) else ()

    def of_seed(self, number: int) -> "ClassifierRecipe":
        """The recipe of the training number 0 to `seeds` - 1: each has seeds of its own for everything drawn."""
        split = self.seed if self.split_seed is None else self.split_seed
        return self.model_copy(update={"seed": self.seed + number, "split_seed": split + number})
