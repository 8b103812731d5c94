"""Calibrated cascades: their records, the versions of scores that they make, which one is in force, what they did.

What belongs here: reading and appending the tables of cascades, the measured recall. What does not: calibrating
(`cascade.py` and the cascade stage), scoring a shard (`by_cascade.py`). Every process that filters asks whether there
are any, so that nothing that scores is imported here.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import polars as pl

from datashop_assets.lineage import content_id
from datashop_assets.records import CUTOFFS
from datashop_assets.scoring.recall_bound import recall_interval
from datashop_assets.scoring.tables import CASCADE_AUDITS, CASCADES
from datashop_assets.seams import Lake

RECIPE = 1


@dataclass(frozen=True)
class CascadeRecord:
    """A row of `cascades`."""

    lens: str
    cascade: str
    classifier: str
    cutoff: str
    lower: float
    threshold: float
    audit_share: float
    seed: int
    recall: float
    confidence: float
    learnt: int
    calibrated: int
    kept: int
    missed: int
    passed: float
    uri: str
    inputs_version: str
    made_at: datetime


@dataclass(frozen=True)
class MeasuredRecall:
    """What a cascade did so far. `recall` counts each missed document of the audit as 1 / audit share of them; it and
    the 95 % bounds are null where nothing above the cut-off was seen."""

    documents: int
    passed: int
    audited: int
    found: int
    missed: int
    recall: float | None
    low: float | None
    high: float | None


def cascades_of(lake: Lake, lens: str) -> list[CascadeRecord]:
    """The lens's cascades, oldest first."""
    rows = lake.scan(CASCADES).filter(pl.col("lens") == lens).sort("made_at").collect()
    return [CascadeRecord(**row) for row in rows.to_dicts()]


def record_cascade(lake: Lake, record: CascadeRecord, lineage: Mapping[str, Any]) -> None:
    lake.commit(CASCADES, pl.DataFrame([asdict(record)], schema=CASCADES.schema), None, lineage)


def cascade_in_force(lake: Lake, lens: str, classifier: str) -> CascadeRecord | None:
    """The lens's newest cascade, where it is made for this classifier and its cut-off still is as high.

    What is surely below a cut-off is below a higher one too; below a lower one it is not, and the cascade rests.
    """
    cascades = cascades_of(lake, lens)
    cutoffs = lake.scan(CUTOFFS).filter(pl.col("lens") == lens).sort("created_at").collect()
    if not cascades or cutoffs.is_empty():
        return None
    newest, cutoff = cascades[-1], cutoffs.row(-1, named=True)
    fits = newest.classifier == cutoff["classifier"] == classifier
    return newest if fits and bounds_scores_below(cutoff) and cutoff["lower"] >= newest.lower else None


def bounds_scores_below(cutoff: Mapping[str, Any]) -> bool:
    """Whether a row of `cutoffs` keeps nothing below its `lower`: so not where sources have bounds of their own, where
    the bound is of scores with noise, or where it is reversed."""
    drawn = json.loads(cutoff["policy"]).get("draw") is not None
    return cutoff["lower"] is not None and not cutoff["reverse"] and not drawn


def cascade_scores_version(documents_version: str, encoder: str, classifier: str, cascade: str) -> str:
    return content_id("cascade scores", RECIPE, documents_version, encoder, classifier, cascade)


def measured_recall(lake: Lake, record: CascadeRecord) -> MeasuredRecall:
    """What the cascade's audits say of its recall, over all shards that it scored.

    Found documents are counted, missed ones estimated from the audited sample, so the interval is of the sample: the
    exact one of the share of misses among the audited documents (Clopper and Pearson 1934), scaled to all skipped ones.
    """
    table = CASCADE_AUDITS.of(record.lens)
    rows = lake.scan(table, {"classifier": [record.classifier]}).filter(pl.col("cascade") == record.cascade)
    names = ["documents", "passed", "audited", "found", "missed"]
    counted = {name: int(value or 0) for name, value in rows.select(names).sum().collect().row(0, named=True).items()}
    recall, low, high = _recall(**counted)
    return MeasuredRecall(**counted, recall=recall, low=low, high=high)


def keeps_promise(measured: MeasuredRecall, record: CascadeRecord) -> bool:
    """False where the whole interval of the measured recall lies below the promised one."""
    return measured.high is None or measured.high >= record.recall


def _recall(
    documents: int, passed: int, audited: int, found: int, missed: int
) -> tuple[float | None, float | None, float | None]:
    if not audited or not found + missed:
        return None, None, None
    skipped = documents - passed

    def recall(miss_share: float) -> float:
        return found / (found + miss_share * skipped) if found or miss_share else 1.0

    low, high = recall_interval(missed, audited)
    return recall(missed / audited), recall(high), recall(low)
