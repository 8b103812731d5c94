"""Putting a classifier in force: which one, what speaks against it, and what a person decided.

What belongs here: the steps of a promotion. What does not: the records (`registry.py`), the comparison (`gate.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from datashop_assets.classifier.gate import Standing, standing
from datashop_assets.classifier.registry import (
    ClassifierRecord,
    Decision,
    Promotion,
    PromotionRefusedError,
    find_classifier,
    promote,
    promoted,
    promotions,
    rolled_back,
)
from datashop_assets.promotion_settings import PromotionSettings
from datashop_assets.rating.lens import Lens
from datashop_assets.seams import Lake, ModelStore

JUDGEMENTS = 5


@dataclass(frozen=True)
class Promoted:
    """What came of it: the promotion in force, its classifier, and how that stood beside the one before it."""

    promotion: Promotion
    record: ClassifierRecord
    is_new: bool
    standing: Standing
    words: str


def put_in_force(
    lake: Lake,
    models: ModelStore,
    lens: Lens,
    settings: PromotionSettings,
    version: str | None,
    decision: Decision,
    lineage: Mapping[str, Any],
) -> Promoted:
    """Promote the named version, or the newest one where none is named.

    A newest one that was in force until somebody went back to an earlier one is left alone: it is promoted again by
    name. A named one that was in force before may be worse than the one in force: that is a roll-back.
    Raises PromotionRefusedError where its checks failed or it is worse than the one in force and nobody overrides, and
    LookupError, naming the known versions, where there is no such version.
    """
    record = find_classifier(lake, lens.name, version)
    stands, before = _judged(lake, models, record, lens, settings)
    taken_back = rolled_back(lake, record) if version is None else None
    if taken_back is not None and before is not None:
        words = (
            f"{record.classifier} is the newest, but {taken_back.by} put {taken_back.classifier} in its place on "
            f"{taken_back.promoted_at:%Y-%m-%d %H:%M} UTC: name it in the config to promote it again"
        )
        return Promoted(before, find_classifier(lake, lens.name, before.classifier), False, stands, words)
    was_in_force = any(each.classifier == record.classifier for each in promotions(lake, lens.name))
    goes_back = version is not None and was_in_force
    objection = None if stands.allowed or goes_back else stands.words
    promotion, is_new = promote(lake, record, lineage, decision, objection)
    place = f"in the place of {before.classifier}" if before else "the first one"
    words = f"{promotion.classifier} is {f'now in force, {place}' if is_new else 'already in force'}"
    return Promoted(promotion, record, is_new, stands, words)


def _judged(
    lake: Lake, models: ModelStore, record: ClassifierRecord, lens: Lens, settings: PromotionSettings
) -> tuple[Standing, Promotion | None]:
    """Where it stands, and beside which promotion; judged again where another came into force meanwhile, as a
    comparison may take as long as two models take to download."""
    for _ in range(JUDGEMENTS):
        before = promoted(lake, lens.name)
        stands = standing(lake, models.fetch, record, lens, settings.requires)
        if promoted(lake, lens.name) == before:
            return stands, before
    raise PromotionRefusedError(
        f"classifier {record.classifier} of lens {lens.name!r} was not promoted: {JUDGEMENTS} times another one came "
        "into force while it was compared with the one before. Materialize `promotion` again when the others are done."
    )
