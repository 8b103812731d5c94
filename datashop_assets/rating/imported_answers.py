"""What one row of a file of ratings says of its document: a score on the lens's scale, labels, or why it has neither.

What belongs here: the values of a row. What does not: which document it is of (`imports.py`), answers of a model that
datashop asked (`answers.py`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from datashop_assets.rating.lens import Lens

REASONS: Mapping[str, str] = {
    "no_score": "the row holds null, and no reason of its own",
    "not_a_number": "the score, or a criterion's, is no finite number",
    "off_scale": "the score, or a criterion's, is outside the scale",
    "unknown_criterion": "the lens has no such criterion",
    "unknown_label": "the lens has no such label, or label set",
    "malformed_criteria": "the criteria are no mapping from names to scores, or name one twice",
    "malformed_labels": "the labels are no mapping from label sets to lists, nor a list of the only set's labels",
    "malformed_confidence": "the confidence is no number in [0, 1]",
    "malformed_time": "`rated_at` is no time in ISO 8601",
    "conflicting_ratings": "two rows of the import rate the document differently",
}


@dataclass(frozen=True)
class AnswerColumns:
    """Where a row holds its answer; `labels`, `criteria`, `reason`, `confidence` and `rated_at` have fixed names."""

    score: str = "score"
    rationale: str = "rationale"


class _Fault(ValueError):  # noqa: N818 - a row fails with it, never an import
    """Why a row has no usable answer; the message is the code."""


@dataclass(frozen=True, slots=True)
class ImportedAnswer:
    """As in the annotations table. `raw` is what the row held, as JSON."""

    score: float | None = None
    reason: str | None = None
    rationale: str | None = None
    raw: str | None = None
    criteria: tuple[tuple[str, float], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    confidence: float | None = None
    rated_at: datetime | None = None

    def content(self) -> dict[str, Any]:
        """As columns of the annotations table."""
        return {
            "score": self.score,
            "reason": self.reason,
            "rationale": self.rationale,
            "raw": self.raw,
            "criteria": [{"name": name, "score": score} for name, score in self.criteria],
            "labels": [{"set": name, "label": label} for name, label in self.labels],
            "confidence": self.confidence,
        }


def read_answer(
    row: Mapping[str, Any], lens: Lens, columns: AnswerColumns, scale: tuple[float, float] | None
) -> ImportedAnswer:
    """The answer in a row. `scale` is theirs, worst to best, mapped onto the lens's; null: they are on the lens's.

    What is off the scale, or is no number at all, is a failure of REASONS, never moved to where it would fit.
    """
    held = row.get("labels") if lens.kind == "label" else row.get(columns.score)
    said = ImportedAnswer(
        raw=json.dumps(held, ensure_ascii=False, default=str), rationale=_text(row.get(columns.rationale))
    )
    try:
        said = replace(said, confidence=_confidence(row.get("confidence")), rated_at=_time(row.get("rated_at")))
        # Elsewhere a column of this name may hold why a score was given; without an answer it says why there is none.
        if row.get("reason") and held in (None, {}, []):
            return replace(said, reason=str(row["reason"]), raw=_text(row.get("raw")))
        if lens.kind == "label":
            return replace(said, labels=_labels(held, lens))
        score = on_lens_scale(_number(held), lens, scale)
        return replace(said, score=score, criteria=_criteria(row.get("criteria"), lens))
    except _Fault as fault:
        return replace(said, reason=str(fault))


def on_lens_scale(score: float, lens: Lens, scale: tuple[float, float] | None) -> float:
    """The score moved linearly from their scale to the lens's: their worst is exactly its lowest, their best exactly
    its highest. Raises where it is off their scale."""
    worst, best = scale or (float(lens.low), float(lens.high))
    if not min(worst, best) <= score <= max(worst, best):
        raise _Fault("off_scale")
    if scale is None:
        return score
    return lens.low + (score - worst) / (best - worst) * (lens.high - lens.low)


def _number(value: Any) -> float:
    if value is None:
        raise _Fault("no_score")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Fault("not_a_number")
    try:
        number = float(value)
    except OverflowError:  # an integer of more than 308 digits, which no scale has
        raise _Fault("off_scale") from None
    if not isfinite(number):
        raise _Fault("not_a_number")
    return number


def _criteria(value: Any, lens: Lens) -> tuple[tuple[str, float], ...]:
    """From `{name: score}`, or from a list of structs of name and score, as Parquet holds them."""
    scores = value or {}
    if isinstance(scores, list) and all(
        isinstance(entry, dict) and {"name", "score"} <= set(entry) and isinstance(entry["name"], str)
        for entry in scores
    ):
        names = [entry["name"] for entry in scores]
        if len(set(names)) < len(names):
            raise _Fault("malformed_criteria")
        scores = {entry["name"]: entry["score"] for entry in scores}
    if not isinstance(scores, dict):
        raise _Fault("malformed_criteria")
    ranges = {criterion.name: criterion for criterion in lens.asked}
    for name, score in scores.items():
        if name not in ranges:
            raise _Fault("unknown_criterion")
        if not ranges[name].low <= _number(score) <= ranges[name].high:
            raise _Fault("off_scale")
    return tuple((name, float(score)) for name, score in scores.items())


def _labels(value: Any, lens: Lens) -> tuple[tuple[str, str], ...]:
    """From `{set: [labels]}`, from a list of structs of set and label, or from a list of labels where there is one set.

    In the order of the lens's vocabulary, each label once.
    """
    if value is None:
        raise _Fault("no_score")
    vocabulary = [(labels.name, label) for labels in lens.label_sets for label in labels.labels]
    given: list[tuple[Any, Any]] = []
    entries = value.items() if isinstance(value, dict) else value
    if not isinstance(value, dict | list):
        raise _Fault("malformed_labels")
    for entry in entries:
        if isinstance(entry, dict) and {"set", "label"} <= set(entry):
            given.append((entry["set"], entry["label"]))
        elif isinstance(entry, str) and len(lens.label_sets) == 1:
            given.append((lens.label_sets[0].name, entry))
        elif isinstance(entry, tuple) and isinstance(entry[1], list | None):
            given += [(entry[0], label) for label in entry[1] or []]
        else:
            raise _Fault("malformed_labels")
    if any(pair not in vocabulary for pair in given):
        raise _Fault("unknown_label")
    return tuple(pair for pair in vocabulary if pair in given)


def _text(value: Any) -> str | None:
    return None if value is None else str(value).encode("utf-8", "replace").decode()


def _confidence(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise _Fault("malformed_confidence")
    return float(value)


def _time(value: Any) -> datetime | None:
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise _Fault("malformed_time") from None
    if time is None:
        return None
    if not isinstance(time, datetime):
        raise _Fault("malformed_time")
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
