"""A lens: the rubric through which documents are rated.

What belongs here: the frozen types of a lens, and what follows from them alone. What does not: reading a lens folder
(`lens_folder.py`), rendering its prompts (`rendering.py`), asking a model (`resources/raters/`).
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal

Use = Literal["contrast", "calibrate", "check", "few_shot"]
DocumentType = Literal["pretrain", "instruct", "chat"]
# How a prompted rater asks: a rationale and then the scores; the scores alone; or no generation at all, but the
# probabilities of the levels after the prompt, whose mean is the score.
Mode = Literal["rationale_then_score", "score_only", "expected_score"]


class LensError(ValueError):
    """A lens that cannot be used; the message names it, the fault and the mend."""


@dataclass(frozen=True)
class Exemplar:
    """A text with a known score. Each serves one use only, so that a rater is never checked on what it has seen.

    `fields` are those of a structured record by name; its `text` is then their text, one below the other.
    """

    text: str
    score: float
    use: Use
    fields: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Criterion:
    """One thing that a rater scores, on an integer range of its own. `anchors` say what some of its levels mean."""

    name: str
    low: int
    high: int
    description: str = ""
    anchors: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class LabelSet:
    """A controlled vocabulary of a label lens. A document has any number of its labels, or none."""

    name: str
    labels: tuple[str, ...]
    description: str = ""


@dataclass(frozen=True)
class Chunking:
    """How much of a long document is judged: all of it, its beginning, or windows spread evenly over it.

    `tokens` are those of one window, counted by the rater's own tokenizer; a document that fits into `windows` of them
    is covered whole. `aggregate` makes one score of the windows' scores.
    """

    strategy: Literal["whole", "head", "windows"] = "whole"
    tokens: int = 1500
    windows: int = 2
    aggregate: Literal["mean", "min", "max"] = "mean"


@dataclass(frozen=True)
class Lens:
    """A rubric. `version` is the content id of everything that can change a judgement.

    A score lens judges by `criteria`, of which the last is the overall one; the lens's score is the overall one's, sent
    through `compression` (asked level -> stored score) where there is one. `low` and `high` bound the stored score. A
    label lens has `label_sets` instead, and 0 for `low`, `high` and `positive_at`. `positive_at` is the score from
    which a document counts as good when a binary metric is reported; `max_chars` is how much of a document the rater
    sees, counted from its start, before `chunking` divides it; one of fewer than `min_chars`, white space at its ends
    aside, is not judged. `mode` is how a prompted rater asks unless the project file says otherwise. `system` and
    `prompt` are template sources; `includes` are the folder's other templates that these may include, as (path in the
    folder, source).
    """

    name: str
    title: str
    description: str
    low: int
    high: int
    positive_at: float
    max_chars: int
    system: str
    prompt: str
    exemplars: tuple[Exemplar, ...]
    criteria: tuple[Criterion, ...] = ()
    compression: tuple[tuple[int, int], ...] = ()
    label_sets: tuple[LabelSet, ...] = ()
    document_type: DocumentType = "pretrain"
    input_fields: tuple[str, ...] = ()
    language: str = "en"
    mode: Mode = "rationale_then_score"
    chunking: Chunking = Chunking()
    includes: tuple[tuple[str, str], ...] = ()
    min_chars: int = 0

    @property
    def kind(self) -> Literal["score", "label"]:
        return "label" if self.label_sets else "score"

    @property
    def asked(self) -> tuple[Criterion, ...]:
        """The criteria that a prompted rater is asked for, the overall one last; one named `score` where none is."""
        return self.criteria or (Criterion("score", self.low, self.high),)

    @property
    def overall(self) -> Criterion:
        return self.asked[-1]

    @cached_property
    def version(self) -> str:
        content: list[Any] = [
            self.low,
            self.high,
            self.max_chars,
            self.system,
            self.prompt,
            [[e.text, e.score, e.use, *([dict(e.fields)] if e.fields else [])] for e in self.exemplars],
        ]
        # What is at its default does not count, so that a lens keeps its version when lenses learn something new.
        more = {
            "criteria": [asdict(criterion) for criterion in self.criteria],
            "compression": self.compression,
            "label_sets": [asdict(labels) for labels in self.label_sets],
            "document_type": None if self.document_type == "pretrain" else self.document_type,
            "input_fields": self.input_fields,
            "mode": None if self.mode == "rationale_then_score" else self.mode,
            "chunking": None if self.chunking == Chunking() else asdict(self.chunking),
            "includes": self.includes,
            "min_chars": self.min_chars,
            "title": self.title if self._shows("title") else None,
            "description": self.description if self._shows("description") else None,
            # It divides contrast exemplars into good and bad ones.
            "positive_at": self.positive_at if self.used_for("contrast") else None,
            "language": None if self.language == "en" else self.language,
        }
        if said := {name: value for name, value in more.items() if value}:
            content.append(said)
        return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()[:16]

    def _shows(self, value: str) -> bool:
        """Whether a template uses this value; rather yes than no."""
        templates = "\n".join([self.system, self.prompt, *(source for _, source in self.includes)])
        return re.search(rf"\{{[{{%][^}}]*\b{value}\b", templates) is not None

    def require_description(self) -> None:
        """Raises LensError for a target's lens whose target is not described yet."""
        if self.kind == "score" and not self.description.strip():
            raise LensError(
                f"the lens {self.name!r} has no description yet; materialize `target_description` for it first"
            )

    def stored_score(self, overall: float) -> float:
        """The lens's score for an overall score: by the compression of its nearest level, where there is one."""
        if not self.compression:
            return overall
        levels = dict(self.compression)
        return float(levels[round(overall)])

    def used_for(self, use: Use) -> tuple[Exemplar, ...]:
        return tuple(e for e in self.exemplars if e.use == use)

    def clip(self, score: float) -> float:
        return min(max(score, float(self.low)), float(self.high))

    def is_too_short(self, text: str) -> bool:
        """Whether a document says something, and less than the lens judges."""
        return 0 < len(text.strip()) < self.min_chars

    def view(self, text: str) -> str:
        """The part of a document that a rater sees."""
        return text[: self.max_chars]
