"""The versions that the cells of `scores` should have.

What belongs here: wanted versions. What does not: predicting (`score.py`).
"""

from collections.abc import Sequence

from datashop_assets.cellwork import Target
from datashop_assets.embedding.inputs import versions
from datashop_assets.lineage import scores_version
from datashop_assets.records import EMBEDDINGS, SCORES, Cell
from datashop_assets.seams import Lake


def scores_target(lens: str, classifier: str) -> Target:
    """Where a classifier's scores of a lens stand."""
    return Target(SCORES.of(lens), lambda cell: {"shard": cell.shard, "classifier": classifier})


def wanted_scores(lake: Lake, encoder: str, classifier: str, cells: Sequence[Cell]) -> dict[Cell, str]:
    """The scores version of each cell, from its embeddings as they are now. Raises MissingUpstreamError."""
    made = versions(lake, Target(EMBEDDINGS.of(encoder)), cells, "embeddings")
    return {cell: scores_version(version, classifier) for cell, version in made.items()}
