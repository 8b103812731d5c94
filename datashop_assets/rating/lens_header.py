"""What a lens folder's YAML files may say: the shape of `lens.yaml` and `exemplars.yaml`, checked.

What belongs here: the keys with their types and defaults, and the rules between keys. What does not: files, lines and
templates (`lens_folder.py`, `templates.py`). docs/lenses.md says it all for people; change both together.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict

from datashop_assets.rating.lens import DocumentType, Mode, Use

# Where in the YAML a fault lies, as keys and list positions.
Path = tuple[str | int, ...]
Integer = Annotated[int, Strict()]
Range = tuple[Integer, Integer]
# Names become JSON keys, template values and table columns.
Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=64)]
TEMPLATE_VALUES = (
    "document",
    "conversation",
    "title",
    "description",
    "low",
    "high",
    "criteria",
    "label_sets",
    "examples",
    "wants_rationale",
    "answer_format",
)
# More levels than this no prompt anchors, and the answers' tokens are no longer single ones.
WIDEST_RANGE = 100
# Of criteria, label sets, labels of one set, exemplars: templates loop over them, two deep.
LONGEST_LIST = 1000
# What the column `int_score` holds.
LOWEST_SCORE, HIGHEST_SCORE = -128, 127


class Part(BaseModel):
    """A mapping of the file; an unknown key is an error, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CriterionPart(Part):
    """One entry of `criteria`."""

    name: Name
    range: Range
    description: str = ""
    anchors: dict[Integer, str] = Field(default_factory=dict)


class LabelSetPart(Part):
    """One entry of `label_sets`."""

    name: Name
    description: str = ""
    labels: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = Field(
        min_length=1, max_length=LONGEST_LIST
    )


class ChunkingPart(Part):
    """`chunking`."""

    strategy: Literal["whole", "head", "windows"] = "whole"
    tokens: Annotated[Integer, Field(ge=1)] = 1500
    windows: Annotated[Integer, Field(ge=1, le=64)] = 2
    aggregate: Literal["mean", "min", "max"] = "mean"


class Header(Part):
    """`lens.yaml`."""

    title: str = Field(min_length=1)
    description: str = Field(min_length=1)
    language: str = Field("en", pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")
    document_type: DocumentType = "pretrain"
    input_fields: tuple[Name, ...] = ()
    scale: Range | None = None
    criteria: tuple[CriterionPart, ...] = Field((), max_length=LONGEST_LIST)
    compression: dict[Integer, Integer] = Field(default_factory=dict)
    label_sets: tuple[LabelSetPart, ...] = Field((), max_length=LONGEST_LIST)
    positive_at: float | None = None
    max_chars: Annotated[Integer, Field(ge=1)] = 4000
    min_chars: Annotated[Integer, Field(ge=0)] = 0
    mode: Mode = "rationale_then_score"
    chunking: ChunkingPart = ChunkingPart()

    @property
    def asked(self) -> Range:
        """The range of the overall criterion."""
        if self.criteria:
            return self.criteria[-1].range
        return self.scale or (0, 0)

    @property
    def stored(self) -> Range:
        """The range of the lens's score."""
        if self.compression:
            return min(self.compression.values()), max(self.compression.values())
        return self.asked

    def faults(self) -> Iterator[tuple[Path, str]]:
        """What is wrong between the keys: where, and why."""
        kinds = [key for key in ("scale", "criteria", "label_sets") if getattr(self, key)]
        if len(kinds) != 1:
            said = f"both {' and '.join(kinds)}" if kinds else "none of them"
            yield (kinds[-1],) if kinds else (), f"a lens has exactly one of scale, criteria and label_sets, not {said}"
            return
        if self.input_fields and self.chunking.strategy != "whole":
            yield (
                ("chunking",),
                "chunking divides the text of `document`; a lens with input_fields judges records whole",
            )
        for position, name in enumerate(self.input_fields):
            if name in TEMPLATE_VALUES:
                yield ("input_fields", position), f"{name!r} is the name of a value that every template has"
        yield from _twice("input_fields", self.input_fields)
        yield from self._label_faults() if self.label_sets else self._score_faults()

    def _label_faults(self) -> Iterator[tuple[Path, str]]:
        for key in ("positive_at", "compression"):
            if getattr(self, key):
                yield (key,), f"{key} is for lenses that score; this one has label_sets"
        if self.mode == "expected_score":
            yield ("mode",), "expected_score needs levels to choose from; a lens with label_sets has none"
        yield from _names("label_sets", [labels.name for labels in self.label_sets])
        for position, labels in enumerate(self.label_sets):
            folded = [label.strip().casefold() for label in labels.labels]
            for twice in [number for number, label in enumerate(folded) if label in folded[:number]]:
                yield ("label_sets", position, "labels", twice), f"the label {labels.labels[twice]!r} stands twice"

    def _score_faults(self) -> Iterator[tuple[Path, str]]:
        if self.scale:
            yield from _range(("scale",), self.scale)
        yield from _names("criteria", [criterion.name for criterion in self.criteria])
        for position, criterion in enumerate(self.criteria):
            low, high = criterion.range
            yield from _range(("criteria", position, "range"), criterion.range)
            for level in criterion.anchors:
                if not low <= level <= high:
                    yield ("criteria", position, "anchors", level), f"level {level} is off the range [{low}, {high}]"
        if self.mode == "expected_score" and not (self.asked[0] >= 0 and self.asked[1] <= 9):
            yield ("mode",), f"expected_score needs levels of one digit, 0 to 9; this lens asks for {list(self.asked)}"
        if self.compression:
            yield from self._compression_faults()
        low, high = self.stored
        if low < LOWEST_SCORE or high > HIGHEST_SCORE:
            yield (), f"scores from {low} to {high} cannot be stored; they are whole numbers of eight bits: -128 to 127"
        if self.positive_at is None:
            yield (), "the key positive_at is missing: from which score on does a document count as good?"
        elif not low < self.positive_at <= high:
            yield ("positive_at",), f"positive_at {self.positive_at} must lie above {low} and at most at {high}"

    def _compression_faults(self) -> Iterator[tuple[Path, str]]:
        low, high = self.asked
        levels = sorted(self.compression)
        if levels != list(range(low, high + 1)):
            yield ("compression",), f"compression must say a stored score for every level from {low} to {high}"
        scores = [self.compression[level] for level in levels]
        if scores != sorted(scores) or len(set(scores)) < 2:
            yield ("compression",), "the stored scores must not fall as the level rises, and must not be all the same"


class ExemplarPart(Part):
    """One entry of `exemplars.yaml`."""

    use: Use
    score: float
    text: str | None = None
    fields: dict[Name, Any] = Field(default_factory=dict)


class Exemplars(Part):
    """`exemplars.yaml`, whose list stands under the key `exemplars` here."""

    exemplars: tuple[ExemplarPart, ...] = Field((), max_length=LONGEST_LIST)

    def faults(self, header: Header) -> Iterator[tuple[Path, str]]:
        """What is wrong with the exemplars, given the header: where (in the list), and why."""
        if header.label_sets and self.exemplars:
            yield (0,), "exemplars have scores; a lens with label_sets shows examples in its prompt"
            return
        low, high = header.stored
        for number, exemplar in enumerate(self.exemplars):
            if not low <= exemplar.score <= high:
                yield (number, "score"), f"the score {exemplar.score:g} is off the scale [{low}, {high}]"
            if bool(exemplar.text and exemplar.text.strip()) == bool(exemplar.fields):
                yield (number,), "an exemplar has a text, or fields, not both or neither"
            elif set(exemplar.fields) - set(header.input_fields) or (exemplar.fields and _lacks(exemplar, header)):
                yield (number, "fields"), f"the fields must be the lens's input_fields {list(header.input_fields)}"
            elif header.input_fields and exemplar.text and exemplar.use in ("check", "few_shot"):
                yield (number,), f"a rater is shown records here: give the fields {list(header.input_fields)}, no text"
            if exemplar.use == "check" and exemplar.text and len(exemplar.text.strip()) < header.min_chars:
                yield (
                    (number,),
                    f"a check exemplar is judged as a document is: it has at least min_chars {header.min_chars}",
                )
            if exemplar.use == "few_shot" and header.compression:
                yield (number, "use"), "few_shot shows stored scores, and with a compression other ones are asked for"
        said = [repr((exemplar.text or "").strip()) + repr(exemplar.fields) for exemplar in self.exemplars]
        for number, content in enumerate(said):
            if content in said[:number]:
                yield (number,), "the same exemplar stands above; each serves one use only"


def _lacks(exemplar: ExemplarPart, header: Header) -> set[str]:
    return set(header.input_fields) - set(exemplar.fields)


def _range(path: Path, bounds: Range) -> Iterator[tuple[Path, str]]:
    low, high = bounds
    if not low < high <= low + WIDEST_RANGE:
        yield path, f"[{low}, {high}] is no range; write [lowest, highest], at most {WIDEST_RANGE} apart"


def _names(key: str, names: list[str]) -> Iterator[tuple[Path, str]]:
    """Names that are keys of an answer."""
    for position, name in enumerate(names):
        if name == "rationale":
            yield (key, position, "name"), "'rationale' is what every answer may have besides"
    yield from _twice(key, tuple(names))


def _twice(key: str, names: tuple[str, ...]) -> Iterator[tuple[Path, str]]:
    for name, count in Counter(names).items():
        if count > 1:
            yield (key, names.index(name, names.index(name) + 1)), f"the name {name!r} stands twice"
