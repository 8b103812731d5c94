"""Trained classifiers and promotions: the records of what was trained, and of what is in force.

What belongs here: reading and appending the `classifiers` and `promotions` tables. What does not: training, and the
decision whether a classifier is good enough (`verdict.py`).
"""

import getpass
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl

from datashop_assets.records import CLASSIFIERS, PROMOTIONS
from datashop_assets.seams import Lake, PermanentError


class PromotionRefusedError(PermanentError):
    """A classifier that may not be promoted; the message says why and how a person can override."""


@dataclass(frozen=True)
class ClassifierRecord:
    """A row of `classifiers`."""

    lens: str
    classifier: str
    encoder: str
    recipe: str
    uri: str
    inputs_version: str
    metrics: str
    passed: bool
    verdict: str
    trained_at: datetime
    rater: str | None = None


@dataclass(frozen=True)
class Promotion:
    """A row of `promotions`: from `promoted_at` on, this classifier is the one to use for the lens."""

    lens: str
    classifier: str
    promoted_at: datetime
    by: str
    override: bool
    note: str | None


def trained(lake: Lake, lens: str) -> list[ClassifierRecord]:
    """All classifiers of the lens, oldest first."""
    rows = lake.scan(CLASSIFIERS).filter(pl.col("lens") == lens).sort("trained_at").collect()
    return [ClassifierRecord(**row) for row in rows.to_dicts()]


def find_classifier(lake: Lake, lens: str, classifier: str | None = None) -> ClassifierRecord:
    """The named classifier, or the newest one. Raises LookupError naming what there is."""
    records = trained(lake, lens)
    if not records:
        raise LookupError(f"lens {lens!r} has no classifier yet; materialize `classifier` for it first")
    if classifier is None:
        return records[-1]
    for record in reversed(records):
        if record.classifier == classifier:
            return record
    known = [record.classifier for record in records]
    raise LookupError(f"lens {lens!r} has no classifier {classifier!r}; trained ones, oldest first: {known}")


def record_classifier(lake: Lake, record: ClassifierRecord, lineage: Mapping[str, Any]) -> None:
    lake.commit(CLASSIFIERS, pl.DataFrame([vars(record)], schema=CLASSIFIERS.schema), None, lineage)


def promoted(lake: Lake, lens: str) -> Promotion | None:
    """The promotion in force: the lens's newest one."""
    rows = lake.scan(PROMOTIONS).filter(pl.col("lens") == lens).sort("promoted_at").collect()
    return Promotion(**rows.to_dicts()[-1]) if rows.height else None


def require_promoted(lake: Lake, lens: str) -> ClassifierRecord:
    """The promoted classifier's record. Raises LookupError saying how to promote one."""
    promotion = promoted(lake, lens)
    if promotion is None:
        raise LookupError(f"lens {lens!r} has no promoted classifier; materialize `promotion` for it first")
    return find_classifier(lake, lens, promotion.classifier)


def promote(
    lake: Lake, record: ClassifierRecord, lineage: Mapping[str, Any], override_by: str | None, note: str | None
) -> tuple[Promotion, bool]:
    """Promote a classifier whose checks passed, or one that a named person takes responsibility for.

    Returns the promotion in force and whether it is new: a classifier already in force is not promoted twice.
    Raises PromotionRefusedError where its checks failed and no person overrides with a reason.
    """
    current = promoted(lake, record.lens)
    if current is not None and current.classifier == record.classifier:
        return current, False
    if not record.passed and not (override_by and note):
        raise PromotionRefusedError(
            f"classifier {record.classifier} of lens {record.lens!r} failed its checks: {record.verdict}. Nothing was "
            "promoted. Improve the labels or the recipe and train again; or, to promote it all the same, materialize "
            "`promotion` with both `override_by` (who) and `note` (why) in its config."
        )
    promotion = Promotion(
        record.lens,
        record.classifier,
        datetime.now(UTC),
        override_by or getpass.getuser(),
        override=not record.passed,
        note=note,
    )
    lake.commit(PROMOTIONS, pl.DataFrame([vars(promotion)], schema=PROMOTIONS.schema), None, lineage)
    return promotion, True
