"""The versions that the cells of `scores` should have.

What belongs here: which classifier scores, what it reads, and wanted versions. What does not: predicting (`score.py`,
`texts.py`).
"""

from collections.abc import Sequence

from datashop_assets.cellwork import Target
from datashop_assets.classifier.recipes import TEXT_ENCODER
from datashop_assets.classifier.registry import ClassifierRecord, require_promoted
from datashop_assets.embedding.inputs import versions
from datashop_assets.lineage import scores_version, text_scores_version
from datashop_assets.records import DOCUMENTS, EMBEDDINGS, SCORES, Cell
from datashop_assets.seams import Lake


class OtherEncoderError(LookupError):
    """The promoted classifier reads vectors of another encoder than the project's; its scores of these mean nothing."""


def require_scorer(lake: Lake, lens: str, encoder: str) -> ClassifierRecord:
    """The promoted classifier of the lens. Raises LookupError, or OtherEncoderError, saying what to do."""
    classifier = require_promoted(lake, lens)
    if not can_score(classifier, encoder):
        raise OtherEncoderError(
            f"the promoted classifier {classifier.classifier} of lens {lens!r} was trained on encoder "
            f"{classifier.encoder}, the project's encoder is {encoder}. Materialize `embeddings`, `classifier` and "
            "`promotion`, or set `encoder` in the project file back."
        )
    return classifier


def can_score(classifier: ClassifierRecord, encoder: str) -> bool:
    """Whether it scores documents of a project with this encoder: from its vectors, or from their texts."""
    return classifier.encoder in (encoder, TEXT_ENCODER)


def input_of(encoder: str) -> tuple[Target, str]:
    """The table that a classifier of this encoder reads (TEXT_ENCODER: it reads texts), and the asset that makes it."""
    return (
        (Target(DOCUMENTS), "documents") if encoder == TEXT_ENCODER else (Target(EMBEDDINGS.of(encoder)), "embeddings")
    )


def scores_target(lens: str, classifier: str) -> Target:
    """Where a classifier's scores of a lens stand."""
    return Target(SCORES.of(lens), lambda cell: {"shard": cell.shard, "classifier": classifier})


def wanted_scores(lake: Lake, encoder: str, classifier: str, cells: Sequence[Cell]) -> dict[Cell, str]:
    """The scores version of each cell, from what the classifier reads as it is now. Raises MissingUpstreamError.

    `encoder` is the classifier's: TEXT_ENCODER where it reads texts.
    """
    source, asset = input_of(encoder)
    made = versions(lake, source, cells, asset)
    version_of = text_scores_version if encoder == TEXT_ENCODER else scores_version
    return {cell: version_of(version, classifier) for cell, version in made.items()}
