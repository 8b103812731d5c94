"""What a project may say of the drift of a new crawl: when people are told, and how much is looked at.

What belongs here: the settings, checked and frozen. What does not: the measures (the drift stage).
"""

from pydantic import Field

from datashop_assets.settings import Settings


class DriftSettings(Settings):
    """Checks that warn, and stop nothing: does a new crawl look like what the cut-off or the classifier was made on?"""

    most_stability_index: float = Field(
        0.25,
        gt=0,
        description="warn where the population stability index of scores or languages is above this, and above what "
        "chance brings; 0.1 is called a small shift and 0.25 a large one (Siddiqi 2006)",
    )
    most_failure_increase: float = Field(
        0.02, ge=0, lt=1, description="warn where the share of failed ratings rose by surely more than this"
    )
    newest_shards: int = Field(32, gt=0, description="of the new crawl so many shards are looked at, the newest")
    reference_shards: int = Field(64, gt=0, description="compared with so many, chosen by hash among the reference's")
    documents_per_shard: int = Field(200, gt=0, description="whose language is told, of each of those shards")
