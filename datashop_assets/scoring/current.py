"""Stored scores that are of their documents as these are now, and what made them.

What belongs here: telling so from versions alone; no rows are read. What does not: the version that a cell should have
(`state.py`, `cascades.py`), scores that a filter reads beside its own (`filtering/current.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from datashop_assets.cellwork import Target, have
from datashop_assets.classifier.recipes import TEXT_ENCODER
from datashop_assets.classifier.registry import ClassifierRecord
from datashop_assets.lineage import embeddings_version, scores_version, text_scores_version
from datashop_assets.records import DOCUMENTS, Cell
from datashop_assets.scoring.cascades import CascadeRecord, cascade_scores_version, cascades_of
from datashop_assets.scoring.state import scores_target
from datashop_assets.seams import Lake


@dataclass(frozen=True)
class Origin:
    """What made a cell's scores: a cascade, or (null) the classifier for every document."""

    cascade: CascadeRecord | None


def current_scores(lake: Lake, classifier: ClassifierRecord, cells: Sequence[Cell]) -> dict[Cell, Origin]:
    """The cells of the classifier's lens whose scores are of their documents as they are now, each with what made them.

    Scores from vectors, from texts and by any of the lens's cascades count alike: which of these a cell should have is
    another question. A cell that is not here has no scores, or those of documents that were parsed anew since.
    """
    documents = have(lake, Target(DOCUMENTS), cells)
    stored = have(lake, scores_target(classifier.lens, classifier.classifier), cells)
    cascades = [made for made in cascades_of(lake, classifier.lens) if made.classifier == classifier.classifier]
    found = {}
    for cell in cells:
        made_of, version = documents.get(cell, (None, 0))[0], stored.get(cell, (None, 0))[0]
        if made_of is not None and version is not None:
            known = _versions(made_of, classifier, cascades)
            if version in known:
                found[cell] = Origin(known[version])
    return found


def _versions(
    documents: str, classifier: ClassifierRecord, cascades: Sequence[CascadeRecord]
) -> dict[str, CascadeRecord | None]:
    """Every version that scores of these documents by the classifier can have, with the cascade behind it."""
    if classifier.encoder == TEXT_ENCODER:
        return {text_scores_version(documents, classifier.classifier): None}
    vectors = embeddings_version(documents, classifier.encoder)
    by_cascade = {
        cascade_scores_version(documents, classifier.encoder, classifier.classifier, made.cascade): made
        for made in cascades
    }
    return {scores_version(vectors, classifier.classifier): None, **by_cascade}
