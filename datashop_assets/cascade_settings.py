"""What a project may say of a cascade: a cheap stage that spares the encoder documents surely below the cut-off.

What belongs here: the settings, checked and frozen. What does not: the cascade (the scoring stage).
"""

from pydantic import Field

from datashop_assets.settings import Settings


class CascadeSettings(Settings):
    """Of shards without vectors, only documents that may be kept are encoded."""

    recall: float = Field(0.99, gt=0.5, lt=1, description="share of what the classifier would keep that is encoded")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="with which the recall is promised")
    audit_share: float = Field(0.01, gt=0, le=1, description="of the skipped documents that are encoded all the same")
    documents: int = Field(
        200_000, ge=100, description="scored documents that the cheap stage learns from and is calibrated on, at most"
    )
    calibration_share: float = Field(0.5, gt=0, lt=1, description="of those, by stable hash of the text: calibration")
    seed: int = 0
