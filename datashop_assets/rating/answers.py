"""Reading a score out of what a prompted model answered. An answer that leaves doubt is a failure, never a number.

What belongs here: the answer's JSON schema and its parser. What does not: asking (`resources/raters/`).
"""

import json
import re
from dataclasses import dataclass
from typing import Any, Literal

from datashop_assets.rating.lens import Lens

Fault = Literal["unparsable_answer", "ambiguous_answer", "off_scale"]

# `score: 4`, `**Score** = 4`, `"score": 4`, `score is 4/5`; then what makes it doubtful: another top, or a range.
MARKER = re.compile(
    r"\bscore\b[\"'*\s]*(?:[:=]|\bis\b)[\"'*\s]*(?P<value>-?\d+(?:\.\d+)?)"
    r"(?:\s*/\s*(?P<top>\d+))?(?P<range>\s*(?:-|–|to|or)\s*\d)?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Answer:
    """A score with its rationale, or the fault that kept the answer from being one."""

    score: float | None
    fault: Fault | None = None
    rationale: str | None = None


def answer_schema(lens: Lens) -> dict[str, Any]:
    """The JSON schema of an answer; the rationale stands first, so that a model writes it before it decides."""
    return {
        "type": "object",
        "properties": {
            "rationale": {"type": "string"},
            "score": {"type": "integer", "minimum": lens.low, "maximum": lens.high},
        },
        "required": ["rationale", "score"],
        "additionalProperties": False,
    }


def parse_answer(text: str, lens: Lens) -> Answer:
    """Read an answer: its last JSON object with a `score`, else its last `score: n`.

    `unparsable_answer`: there is neither. `ambiguous_answer`: the score is no plain number, or a range, or its
    denominator is not the top of the scale. `off_scale`: a number below or above the scale; it is never clipped.
    """
    for found in reversed(_objects(text)):
        if "score" in found:
            rationale = found.get("rationale")
            return _checked(found["score"], lens, rationale if isinstance(rationale, str) else None)
    marks = list(MARKER.finditer(text))
    if not marks:
        return Answer(None, "unparsable_answer")
    last = marks[-1]
    if last["range"] or (last["top"] and int(last["top"]) != lens.high):
        return Answer(None, "ambiguous_answer")
    return _checked(float(last["value"]), lens, text[: last.start()].strip() or None)


def _checked(value: Any, lens: Lens, rationale: str | None) -> Answer:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return Answer(None, "ambiguous_answer", rationale)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return Answer(None, "ambiguous_answer", rationale)
    if not lens.low <= value <= lens.high:
        return Answer(None, "off_scale", rationale)
    return Answer(float(value), None, rationale)


def _objects(text: str) -> list[dict[str, Any]]:
    """The outermost JSON objects in the text, in order."""
    decoder = json.JSONDecoder()
    found: list[dict[str, Any]] = []
    start = text.find("{")
    while start >= 0:
        try:
            value, end = decoder.raw_decode(text, start)
        except json.JSONDecodeError:
            end = start + 1
        else:
            found.append(value)
        start = text.find("{", end)
    return found
