"""The versions that the cells of `scores` should have.

What belongs here: which classifier scores, and wanted versions. What does not: predicting (`score.py`).
"""

from collections.abc import Sequence

from datashop_assets.cellwork import Target
from datashop_assets.classifier.registry import ClassifierRecord, require_promoted
from datashop_assets.embedding.inputs import versions
from datashop_assets.lineage import scores_version
from datashop_assets.records import EMBEDDINGS, SCORES, Cell
from datashop_assets.seams import Lake


class OtherEncoderError(LookupError):
    """The promoted classifier reads vectors of another encoder than the project's; its scores of these mean nothing."""


def require_scorer(lake: Lake, lens: str, encoder: str) -> ClassifierRecord:
    """The promoted classifier of the lens. Raises LookupError, or OtherEncoderError, saying what to do."""
    classifier = require_promoted(lake, lens)
    if classifier.encoder != encoder:
        raise OtherEncoderError(
            f"the promoted classifier {classifier.classifier} of lens {lens!r} was trained on encoder "
            f"{classifier.encoder}, the project's encoder is {encoder}. Materialize `embeddings`, `classifier` and "
            "`promotion`, or set `encoder` in the project file back."
        )
    return classifier


def scores_target(lens: str, classifier: str) -> Target:
    """Where a classifier's scores of a lens stand."""
    return Target(SCORES.of(lens), lambda cell: {"shard": cell.shard, "classifier": classifier})


def wanted_scores(lake: Lake, encoder: str, classifier: str, cells: Sequence[Cell]) -> dict[Cell, str]:
    """The scores version of each cell, from its embeddings as they are now. Raises MissingUpstreamError."""
    made = versions(lake, Target(EMBEDDINGS.of(encoder)), cells, "embeddings")
    return {cell: scores_version(version, classifier) for cell, version in made.items()}
