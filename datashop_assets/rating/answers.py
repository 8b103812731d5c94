"""Reading scores or labels out of what a prompted model answered. An answer that leaves doubt is a failure, never a
number.

What belongs here: the answer's JSON schema and its parser. What does not: asking (`prompted.py`), scores from
probabilities (`expected_score.py`).
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from datashop_assets.rating.lens import Criterion, LabelSet, Lens, Mode

Fault = Literal["unparsable_answer", "missing_criterion", "ambiguous_answer", "off_scale", "unknown_label"]

# What a model writes, folded, where it means that no label of a set fits.
NO_MATCH = frozenset({"", "none", "no match", "sin coincidencia"})
# After a criterion's name: `: 4`, `** = 4`, ` is 4/5`, `: 4 out of 5`.
VALUE = (
    r"[\"'`*\s]*(?:[:=]|\bis\b)[\"'`*\s]*(?P<value>-?\d+(?:\.\d+)?)"
    r"(?:(?:\s*/\s*|\s+(?:out\s+of|of|de|sobre)\s+)(?P<top>\d+))?"
)
# What may stand between the beginning of a sentence and a criterion's name; the words of the lens's name too.
LEADS = (
    "the", "its", "this", "my", "and", "but", "so", "thus", "hence", "therefore", "overall", "final", "total",
    "assigned", "educational",
)  # fmt: skip
SENTENCE = r"(?:\A[\s*#,;-]*|[.!?;]\s+[*#]*|(?:\.\.\.|…)\s*)"
# A mark between quotes speaks of the document: `it ends with "Score: 5"`. In `"score": 5` the key alone is quoted.
QUOTES = "\"'`“”‘’«»"
CLOSING = rf"[*_)\]{QUOTES}]*"
NUMBER = re.compile(r"\s*-?\d+(?:\.\d+)?\s*", re.ASCII)
THOUGHT = re.compile("</think>")
FENCE = re.compile(r"\A\s*```\w*\n(.*)\n\s*```\s*\Z", re.DOTALL)
OPENING = re.compile(r"\{\s*[\"'}]")
MOST_BROKEN = 20  # objects that are none; each costs a reading of the rest of the answer
# Strings are kept whole; outside of them a comma before a closing bracket is dropped.
TRAILING_COMMA = re.compile(r"(\"(?:[^\"\\]|\\.)*\")|,(?=\s*[}\]])", re.DOTALL)


@dataclass(frozen=True)
class Answer:
    """Scores by criterion, or labels by label set, or the fault that kept the answer from giving them."""

    criteria: Mapping[str, float] = field(default_factory=dict)
    labels: Mapping[str, tuple[str, ...]] | None = None
    rationale: str | None = None
    fault: Fault | None = None


def answer_schema(lens: Lens, mode: Mode) -> dict[str, Any]:
    """The JSON schema of an answer. The rationale, where `mode` wants one, stands first, so that a model writes it
    before it decides; the overall score stands last.

    A label stands at most once in an answer; the schema says no more of that than how long a list may be, because
    neither vLLM's grammars nor strict schemas of the OpenAI API know `uniqueItems` and refuse the whole question.
    """
    properties: dict[str, Any] = {"rationale": {"type": "string"}} if mode == "rationale_then_score" else {}
    if lens.kind == "label":
        for labels in lens.label_sets:
            item = {"type": "string", "enum": list(labels.labels)}
            properties[labels.name] = {"type": "array", "items": item, "maxItems": len(labels.labels)}
    else:
        for criterion in lens.asked:
            properties[criterion.name] = {"type": "integer", "minimum": criterion.low, "maximum": criterion.high}
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def parse_answer(text: str, lens: Lens, mode: Mode) -> Answer:
    """Read an answer: its outermost JSON objects and, outside of them, marks such as `Clarity: 4`.

    What a model only quotes (within a JSON string, a nested object, or between quotation marks) is no claim of its own.
    A mark is a plain claim where it begins a line or a sentence, but for a few words such as `The final`, and its
    number ends one; `/5` or `out of 5` may follow the number. A mark elsewhere, with more behind its number, or with
    another number in its line, leaves doubt.
    Claims that contradict each other leave doubt too, whichever came last: a document may be echoed after the verdict
    as well as before it. A score may have decimals, after a point; none is ever clipped or rounded. Faults:

    `unparsable_answer`: there is no claim at all, or an object that begins a line, or never ends, cannot be read.
    `missing_criterion`: of some criterion or label set there is no claim. `ambiguous_answer`: claims differ, or one is
    in doubt, or is no plain number, or its denominator is not the top of its scale. `off_scale`: a number below or
    above it. `unknown_label`: a label that the set does not hold.
    """
    said = _own_words(text)
    found, prose = _objects(said)
    if prose is None:
        return Answer(fault="unparsable_answer", rationale=_rationale([], said, mode))
    claimed = [pairs for _, _, pairs in found]
    if lens.kind == "label":
        return _labels(claimed, prose, lens, mode)
    return _scores(claimed, prose, lens, mode)


@dataclass(frozen=True)
class _Pairs:
    """A JSON object as it was written, so that a key that stands twice is seen twice."""

    items: tuple[tuple[str, Any], ...]


# Where an object begins and ends in the text, and what it says.
_Found = list[tuple[int, int, _Pairs]]


def _own_words(text: str) -> str:
    """The answer without the thinking before it and the code fence around it."""
    ends = [found.end() for found in THOUGHT.finditer(text)]
    if ends:
        # An object's strings may speak of the tag.
        objects, _ = _objects(text)
        ends = [end for end in ends if not any(begun < end <= ended for begun, ended, _ in objects)]
    said = text[ends[-1] :] if ends else text
    fenced = FENCE.match(said)
    return fenced[1] if fenced else said


def _objects(text: str) -> tuple[_Found, str | None]:
    """The outermost JSON objects in the text, in order, and the text without them; None for it where an object was
    begun that cannot be read: what stands in its strings and what behind it cannot be told apart."""
    found: _Found = []
    prose: list[str] = []
    begun = end = broken = 0
    unread = False
    while broken < MOST_BROKEN and (opening := OPENING.search(text, end)):
        start = opening.start()
        value, end = _decoded(text, start)
        if value is None:
            broken += 1
            begins_line = not text[text.rfind("\n", 0, start) + 1 : start].strip()
            unread = unread or begins_line or text.count("{", start) > text.count("}", start)
        else:
            found.append((start, end, value))
            prose.append(text[begun:start])
            begun = end
    return found, None if unread else "\n".join([*prose, text[begun:]])


def _decoded(text: str, start: int) -> tuple[_Pairs | None, int]:
    """The object that begins at `start`, if it is one, and where to read on. Its numbers are floats, however long."""
    decoder = json.JSONDecoder(strict=False, parse_int=float, object_pairs_hook=lambda pairs: _Pairs(tuple(pairs)))
    try:
        return decoder.raw_decode(text, start)
    except (ValueError, RecursionError):
        dropped: list[int] = []

    def without(match: re.Match[str]) -> str:
        if match[1] is None:
            dropped.append(match.start())
        return match[1] or ""

    # Trailing commas are forgiven: they change no value.
    mended = TRAILING_COMMA.sub(without, text[start:])
    try:
        value, end = decoder.raw_decode(mended)
    except (ValueError, RecursionError):
        return None, start + 1
    return value, start + end + sum(1 for number, place in enumerate(dropped) if place - number < end)


def _fold(text: str) -> str:
    """Case and white space do not tell two names apart, nor how an accent is encoded."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def _key(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", _fold(name))


def _claims(found: Iterable[_Pairs], names: Iterable[str]) -> dict[str, list[Any]]:
    """What the objects say of each name."""
    wanted = {_key(name): name for name in names}
    claims: dict[str, list[Any]] = {}
    for pairs in found:
        for key, value in pairs.items:
            if name := wanted.get(_key(key)):
                claims.setdefault(name, []).append(value)
    return claims


def _rationale(found: Iterable[_Pairs], prose: str, mode: Mode) -> str | None:
    if mode != "rationale_then_score":
        return None
    said = _claims(found, ["rationale"]).get("rationale", [])
    return next((value for value in reversed(said) if isinstance(value, str)), None) or prose.strip() or None


def _scores(found: list[_Pairs], prose: str, lens: Lens, mode: Mode) -> Answer:
    names = {criterion.name: criterion.name for criterion in lens.asked}
    if len(names) == 1:
        names["score"] = lens.overall.name  # whatever its only criterion is called, a model says "score"
    marks = _marks(prose, names, lens)
    claims: dict[str, list[Any]] = {}
    for name, values in _claims(found, names).items():
        claims.setdefault(names[name], []).extend(values)
    by_key = {_key(name): criterion for name, criterion in names.items()}
    for mark in marks:
        claims.setdefault(by_key[_key(mark.name)], []).append(mark)
    rationale = _rationale(found, prose[: marks[-1].start] if marks else prose, mode)
    if not claims:
        return Answer(fault="unparsable_answer", rationale=rationale)
    if len(claims) < len(lens.asked):
        return Answer(fault="missing_criterion", rationale=rationale)
    criteria: dict[str, float] = {}
    for criterion in lens.asked:
        values = [_number(claim, criterion) for claim in claims[criterion.name]]
        if None in values or len(set(values)) > 1:
            return Answer(fault="ambiguous_answer", rationale=rationale)
        score = values[0]
        if score is None or not criterion.low <= score <= criterion.high:
            return Answer(fault="off_scale", rationale=rationale)
        criteria[criterion.name] = score
    return Answer(criteria, rationale=rationale)


@dataclass(frozen=True)
class _Mark:
    """`name: value/top` in prose; `plain` where nothing around it leaves a doubt that it is a claim of that number."""

    name: str
    value: str
    top: str | None
    plain: bool
    start: int


def _marks(prose: str, names: Iterable[str], lens: Lens) -> list[_Mark]:
    """The marks of these names, without those between quotes."""
    # The longest name first: "code quality: 3" says nothing of "quality".
    spelled = (re.sub(r"[\s_-]+", r"[\\s_-]+", re.escape(name)) for name in sorted(names, key=len, reverse=True))
    pattern = rf"(?P<quote>[\"'`]?)\b(?P<name>{'|'.join(spelled)})\b(?P=quote){VALUE}"
    leads = "|".join(map(re.escape, {*LEADS, *filter(None, re.split(r"[\s_-]+", lens.name))}))
    before = re.compile(rf"{SENTENCE}(?:(?:{leads}),?\s+)*\**\Z", re.IGNORECASE)
    after = re.compile(rf"{CLOSING}(?:[.;!]{CLOSING}(?!\S)|,?\s*(?:(?:{leads}),?\s+)*\**\Z)", re.IGNORECASE)
    found = list(re.finditer(pattern, prose, re.IGNORECASE))
    marks = []
    # Several may share a line: what is around a mark ends where its neighbours begin.
    for last, mark, following in zip([None, *found], found, [*found[1:], None], strict=False):
        lead = prose[last.end() if last else 0 : mark.start()]
        lead = lead.rpartition("\n")[2] if not last or "\n" in lead else lead.lstrip(f"*{QUOTES}")
        rest = prose[mark.end() : following.start() if following else None].partition("\n")[0]
        opened, closed = lead.rstrip(" ")[-1:], rest.lstrip(" .!")[:1]
        if opened and closed and opened in QUOTES and closed in QUOTES:
            continue
        # A second number in the line may take the first one back: `Score: 4. No, 2.`
        plain = bool(before.search(lead) and after.match(rest) and not re.search(r"\d", rest))
        marks.append(_Mark(mark["name"], mark["value"], mark["top"], plain, mark.start()))
    return marks


def _number(claim: Any, criterion: Criterion) -> float | None:
    """The number that a claim is, or None where that is in doubt."""
    if isinstance(claim, _Mark):
        if not claim.plain or (claim.top and float(claim.top) != criterion.high):
            return None
        return float(claim.value)
    if isinstance(claim, str) and NUMBER.fullmatch(claim):
        return float(claim)
    # The decoder makes floats of all numbers.
    return claim if isinstance(claim, float) and claim == claim else None


def _labels(found: list[_Pairs], prose: str, lens: Lens, mode: Mode) -> Answer:
    rationale = _rationale(found, prose, mode)
    claims = _claims(found, [labels.name for labels in lens.label_sets])
    for labels in lens.label_sets:
        spelled = re.sub(r"[\s_-]+", r"[\\s_-]+", re.escape(labels.name))
        lines = re.findall(rf"^[\s*#>-]*{spelled}[*\s]*[:=][*\s]*(.*)$", prose, re.IGNORECASE | re.MULTILINE)
        if lines:
            claims.setdefault(labels.name, []).extend(lines)
    if not claims:
        return Answer(fault="unparsable_answer", rationale=rationale)
    if len(claims) < len(lens.label_sets):
        return Answer(fault="missing_criterion", rationale=rationale)
    chosen: dict[str, tuple[str, ...]] = {}
    for labels in lens.label_sets:
        read = [_chosen(claim, labels) for claim in claims[labels.name]]
        faults = [value for value in read if isinstance(value, str)]
        if faults or len({frozenset(value) for value in read}) > 1:
            fault: Fault = "unknown_label" if "unknown_label" in faults else "ambiguous_answer"
            return Answer(fault=fault, rationale=rationale)
        chosen[labels.name] = tuple(read[0])
    return Answer(labels=chosen, rationale=rationale)


def _chosen(claim: Any, labels: LabelSet) -> tuple[str, ...] | Fault:
    """The labels that a claim names, each once, in its order."""
    known = {_fold(label): label for label in labels.labels}
    if isinstance(claim, str):
        claim = [claim] if _fold(claim) in known else _divided(claim, known)
    if not isinstance(claim, list) or not all(isinstance(item, str) for item in claim):
        return "ambiguous_answer"
    named = [_fold(item) for item in claim]
    if any(name not in known and name not in NO_MATCH for name in named):
        return "unknown_label"
    chosen = tuple(dict.fromkeys(known[name] for name in named if name in known))
    nothing = any(name in NO_MATCH and name not in known for name in named)
    return "ambiguous_answer" if nothing and chosen else chosen


def _divided(claim: str, known: Mapping[str, str]) -> list[str]:
    """The items of a list written as prose. A label may hold commas itself: the longest that fits is taken."""
    pieces = re.split(r"[,;|]", claim.strip().rstrip("."))
    items: list[str] = []
    while pieces:
        length = next((n for n in range(len(pieces), 1, -1) if _fold(",".join(pieces[:n])) in known), 1)
        items.append(",".join(pieces[:length]))
        pieces = pieces[length:]
    return items
