"""What a project may say of a model that was trained elsewhere and scores texts.

What belongs here: which model, and which number of its output is the score. What does not: loading and running it
(`scoring/finished.py`), which scores a project wants of it (the attributes' settings).
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from datashop_assets.settings import Settings


class SequenceClassificationSettings(Settings):
    """A Hugging Face sequence-classification model with safetensors weights, such as FineWeb-Edu's."""

    kind: Literal["sequence_classification"] = "sequence_classification"
    model: str = Field(description="package:<module>/<folder>, a local path, or a hub name")
    revision: str | None = Field(None, description="of a hub name: a commit, tag or branch; null: the newest")
    max_tokens: int = Field(512, ge=2, description="of a document; the rest is not read")
    output: Literal["logit", "probability", "expected_value"] | None = Field(
        None,
        description="logit: of a model with one output, as it is; probability: of `label`; expected_value: of "
        "`label_values` under the labels' probabilities; null: logit for one output, else one of the others is asked",
    )
    label: str | None = Field(None, description="probability: a label's name in the model's config, or its number")
    label_values: dict[str, float] = Field(
        default_factory=dict, description="expected_value: what each label is worth; empty: its number, from 0"
    )
    precision: Literal["float32", "bfloat16"] = Field("float32", description="bfloat16: faster on GPUs, less exact")
    batch_tokens: int | None = Field(None, gt=0, description="padded tokens a batch; null: by the device")

    @model_validator(mode="after")
    def output_is_defined(self) -> "SequenceClassificationSettings":
        if (self.label is not None) != (self.output == "probability"):
            raise ValueError("`label` is given exactly where `output` is probability")
        if self.label_values and self.output != "expected_value":
            raise ValueError("`label_values` needs `output: expected_value`")
        return self


class FastTextModelSettings(Settings):
    """A supervised fastText model (.bin or .ftz), such as DCLM's quality or a language identification model."""

    kind: Literal["fasttext_model"] = "fasttext_model"
    model: str = Field(description="the file: package:<module>/<file>, a local path; or a hub name, with `file`")
    file: str | None = Field(None, description="of a hub name: the model file in its repository")
    revision: str | None = Field(None, description="of a hub name: a commit, tag or branch; null: the newest")
    label: str | None = Field(None, description="the score is this label's probability, e.g. __label__hq")
    label_values: dict[str, float] = Field(
        default_factory=dict, description="the score is the expected value of these, by label; instead of `label`"
    )

    @model_validator(mode="after")
    def one_score(self) -> "FastTextModelSettings":
        if (self.label is None) == (not self.label_values):
            raise ValueError("give either `label` or `label_values`: which number of the model's output is the score")
        return self


FinishedSettings = Annotated[SequenceClassificationSettings | FastTextModelSettings, Field(discriminator="kind")]
