"""A lens: the rubric through which documents are rated, read from a folder that holds data and no code.

What belongs here: the frozen types of a lens, loading and checking a lens folder, rendering its prompts.
What does not: asking a model (`resources/raters/`), choosing what to rate (`sampling.py`).
"""

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import SandboxedEnvironment

Use = Literal["contrast", "calibrate", "check", "few_shot"]
DocumentType = Literal["pretrain", "instruct", "chat"]
# How a prompted rater asks: a rationale and then the scores; the scores alone; or no generation at all, but the
# probabilities of the levels after the prompt, whose mean is the score.
Mode = Literal["rationale_then_score", "score_only", "expected_score"]
LENS_FILES = ("lens.yaml", "system.jinja", "prompt.jinja", "exemplars.yaml")


class LensError(ValueError):
    """A lens folder that cannot be used; the message names the folder, the fault and the mend."""


@dataclass(frozen=True)
class Exemplar:
    """A text with a known score. Each serves one use only, so that a rater is never checked on what it has seen."""

    text: str
    score: float
    use: Use


@dataclass(frozen=True)
class Criterion:
    """One thing that a rater scores, on an integer range of its own."""

    name: str
    low: int
    high: int
    description: str = ""


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
    label lens has `label_sets` instead. `positive_at` is the score from which a document counts as good when a binary
    metric is reported; `max_chars` is how much of a document the rater sees, counted from its start, before `chunking`
    divides it. `mode` is how a prompted rater asks unless the project file says otherwise.
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
            [[e.text, e.score, e.use] for e in self.exemplars],
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
        }
        if said := {name: value for name, value in more.items() if value}:
            content.append(said)
        return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()[:16]

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

    def view(self, text: str) -> str:
        """The part of a document that a rater sees."""
        return text[: self.max_chars]

    def messages(self, text: str) -> list[dict[str, str]]:
        """The chat messages that ask a served model for this document's score.

        Raises LensError where a template cannot be rendered. The document is a template *value*: braces in it
        are never interpreted.
        """
        values: dict[str, Any] = {"document": self.view(text), "low": self.low, "high": self.high, "title": self.title}
        environment = SandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=False, autoescape=False)
        try:
            system = environment.from_string(self.system).render(values)
            prompt = environment.from_string(self.prompt).render(values)
        except TemplateError as error:
            raise LensError(f"lens {self.name!r}: a template cannot be rendered: {error}") from error
        return [{"role": "system", "content": system}, {"role": "user", "content": prompt}]


def load_lens(folder: Path) -> Lens:
    """Read one lens folder. Raises LensError naming what is missing or wrong, and where."""

    def fail(message: str) -> LensError:
        return LensError(f"lens folder {folder}: {message}")

    missing = [name for name in LENS_FILES if not (folder / name).is_file()]
    if missing:
        raise fail(f"missing {', '.join(missing)}; a lens folder holds {', '.join(LENS_FILES)}")
    try:
        header = yaml.safe_load((folder / "lens.yaml").read_text(encoding="utf-8"))
        examples = yaml.safe_load((folder / "exemplars.yaml").read_text(encoding="utf-8")) or []
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise fail(f"not readable as YAML: {error}") from error
    if not isinstance(header, dict) or not isinstance(examples, list):
        raise fail("lens.yaml must be a mapping and exemplars.yaml a list")
    known = {"title", "description", "scale", "positive_at", "max_chars"}
    if unknown := sorted(set(header) - known):
        raise fail(f"lens.yaml has unknown keys {unknown}; known are {sorted(known)}")
    try:
        low, high = (int(bound) for bound in header["scale"])
        lens = Lens(
            name=folder.name,
            title=str(header["title"]),
            description=str(header["description"]).strip(),
            low=low,
            high=high,
            positive_at=float(header["positive_at"]),
            max_chars=int(header.get("max_chars", 4000)),
            system=(folder / "system.jinja").read_text(encoding="utf-8"),
            prompt=(folder / "prompt.jinja").read_text(encoding="utf-8"),
            exemplars=tuple(Exemplar(str(e["text"]).strip(), float(e["score"]), e["use"]) for e in examples),
        )
    except KeyError as error:
        raise fail(f"the key {error} is missing in lens.yaml or in an exemplar") from error
    except (TypeError, ValueError) as error:
        raise fail(f"a value has the wrong type: {error}") from error
    if not lens.low < lens.high:
        raise fail(f"scale is [{low}, {high}]; write [lowest, highest]")
    if not lens.low < lens.positive_at <= lens.high:
        raise fail(f"positive_at {lens.positive_at} must lie above {lens.low} and at most at {lens.high}")
    if lens.max_chars < 1:
        raise fail(f"max_chars is {lens.max_chars}; a rater must see something")
    for number, exemplar in enumerate(lens.exemplars):
        if exemplar.use not in get_args(Use):
            raise fail(f"exemplar {number} has use {exemplar.use!r}; known are {list(get_args(Use))}")
        if not exemplar.text or not lens.low <= exemplar.score <= lens.high:
            raise fail(f"exemplar {number} is empty or its score {exemplar.score} is off the scale [{low}, {high}]")
    twice = [text[:60] for text, count in Counter(e.text for e in lens.exemplars).items() if count > 1]
    if twice:
        raise fail(f"the same exemplar text stands twice: {twice[0]!r}; uses must be disjoint")
    lens.messages("probe {document} {{ low }}")
    return lens


def load_lenses(folders: list[Path]) -> dict[str, Lens]:
    """All lenses below the given library folders by name, later folders first. Raises LensError on any bad folder."""
    lenses: dict[str, Lens] = {}
    for library in folders:
        if not library.is_dir():
            raise LensError(f"the lens library {library} is not a folder")
        for folder in sorted(p for p in library.iterdir() if p.is_dir() and not p.name.startswith((".", "_"))):
            lenses[folder.name] = load_lens(folder)
    return lenses
