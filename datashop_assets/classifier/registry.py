"""Trained classifiers and promotions: the records of what was trained, and of what is in force.

What belongs here: reading and appending the `classifiers` and `promotions` tables. What does not: training, and the
decision whether a classifier is good enough (`verdict.py`).
"""

import getpass
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
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


@dataclass(frozen=True)
class Decision:
    """What a person says with a promotion: who, why, and whether it stands although something speaks against it."""

    by: str | None = None
    note: str | None = None
    override: bool = False

    @property
    def overrides(self) -> bool:
        """An override counts with a name and a reason alone."""
        return bool(self.override and self.by and self.note)


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
    return next(reversed(promotions(lake, lens)), None)


def require_promoted(lake: Lake, lens: str) -> ClassifierRecord:
    """The promoted classifier's record. Raises LookupError saying how to promote one."""
    promotion = promoted(lake, lens)
    if promotion is None:
        raise LookupError(f"lens {lens!r} has no promoted classifier; materialize `promotion` for it first")
    return find_classifier(lake, lens, promotion.classifier)


def promotions(lake: Lake, lens: str) -> list[Promotion]:
    """All promotions of the lens, oldest first."""
    rows = lake.scan(PROMOTIONS).filter(pl.col("lens") == lens).sort("promoted_at").collect()
    return [Promotion(**row) for row in rows.to_dicts()]


def rolled_back(lake: Lake, record: ClassifierRecord) -> Promotion | None:
    """The promotion that took this very classifier back, where it was not put in force again since: one that came after
    it and returned to a classifier that is older, or was in force before it.

    It is then not the one to promote by itself, also where a training finds it again and records it as the newest. One
    in whose place only newer classifiers came was not taken back.
    """
    every = promotions(lake, record.lens)
    times = [place for place, each in enumerate(every) if each.classifier == record.classifier]
    if not times:
        return None
    in_order = [each.classifier for each in trained(lake, record.lens)]
    earlier = {*in_order[: in_order.index(record.classifier)], *(each.classifier for each in every[: times[-1]])}
    later = every[times[-1] + 1 :]
    return next((each for each in reversed(later) if each.classifier in earlier), None)


def promote(
    lake: Lake,
    record: ClassifierRecord,
    lineage: Mapping[str, Any],
    decision: Decision = Decision(),
    objection: str | None = None,
) -> tuple[Promotion, bool]:
    """Promote a classifier that nothing speaks against, or one that a named person takes responsibility for.

    `objection` is what speaks against it beside its own checks. Returns the promotion in force and whether it is new: a
    classifier already in force is not promoted twice. Its time is after that of the lens's last one, also on a host
    whose clock is behind: the newest is in force. Raises PromotionRefusedError where something speaks against it and no
    person overrides with a reason.
    """
    before = promotions(lake, record.lens)
    if before and before[-1].classifier == record.classifier:
        return before[-1], False
    against = [] if record.passed else [f"it failed its checks: {record.verdict}"]
    if objection:
        against.append(objection)
    if against and not decision.overrides:
        raise PromotionRefusedError(
            f"classifier {record.classifier} of lens {record.lens!r} was not promoted: {'; '.join(against)}. "
            "Improve the labels or the recipe and train again; or, to promote it all the same, materialize `promotion` "
            "with `classifier`, `override: true`, `by` (who) and `note` (why) in its config."
        )
    now = datetime.now(UTC)
    promotion = Promotion(
        record.lens,
        record.classifier,
        max(now, before[-1].promoted_at + timedelta(microseconds=1)) if before else now,
        decision.by or getpass.getuser(),
        override=bool(against),
        note=decision.note,
    )
    lake.commit(PROMOTIONS, pl.DataFrame([vars(promotion)], schema=PROMOTIONS.schema), None, lineage)
    return promotion, True
