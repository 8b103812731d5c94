"""What a project may say of which documents are kept.

What belongs here: the settings, checked and frozen, and which lens's filter needs which. What does not: deciding a
cut-off and applying it (the filtering stage), the language of conditions (`conditions.py`).
"""

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Protocol

from pydantic import AfterValidator, Field, model_validator

from datashop_assets.attribute_settings import AttributeSettings, RaterAttribute, inputs_of
from datashop_assets.conditions import parse
from datashop_assets.settings import Settings

# Every source that `quotas` does not name, taken together.
OTHER_SOURCES = "*"


def _readable(text: str) -> str:
    parse(text)
    return text


Condition = Annotated[str, AfterValidator(_readable)]
CONDITION = Field(
    None,
    description="on scores of lenses and attributes, such as `edu >= 3 and code.int < 2`: what fails it is not kept, "
    "and has no part in a share",
)
SHARE_ERROR = Field(
    0.0005,
    ge=0,
    lt=0.5,
    description="bound on the error of the kept share; shards of fewer than 1 / share_error documents are exact",
)
TOLERANCE = Field(0.02, ge=0, description="a new record is made when the realised share is off by more")


class Draw(Settings):
    """A random choice that prefers good documents, instead of the best ones alone: a document with score s is drawn
    before others in proportion to exp(s / temperature), without replacement (QuRating, Wettig et al. 2024,
    arXiv:2402.09739). The choice follows from the text and the seed alone."""

    temperature: float = Field(gt=0, description="in units of the score; near 0: the best alone, large: any")
    seed: int = 0


DRAW = Field(None, description="draw documents by their score, instead of keeping the best; null: the best")


class KeepFraction(Settings):
    """Keep the best share of the corpus, by the quantile over all scored documents."""

    keep_fraction: float = Field(gt=0, lt=1)
    tolerance: float = TOLERANCE
    condition: Condition | None = CONDITION
    draw: Draw | None = DRAW
    share_error: float = SHARE_ERROR


class Quota(Settings):
    """How much of one source is kept: a share of its documents, or so many."""

    keep_fraction: float | None = Field(None, gt=0, lt=1)
    documents: int | None = Field(None, ge=0, description="all of them where the source has fewer; 0: none")

    @model_validator(mode="after")
    def one_of_both(self) -> "Quota":
        if (self.keep_fraction is None) == (self.documents is None):
            raise ValueError("a quota needs either keep_fraction or documents")
        return self


class Quotas(Settings):
    """Keep the best documents of each source, each with a bound of its own."""

    quotas: dict[str, Quota] = Field(
        min_length=1, description='by source; "*" is for all sources that are not named, together'
    )
    tolerance: float = Field(
        0.02,
        ge=0,
        description="a new record is made when a source's realised share is off by more; of a number of documents, "
        "when it is off by more than this share of it",
    )
    condition: Condition | None = CONDITION
    draw: Draw | None = DRAW
    share_error: float = Field(
        0.0,
        ge=0,
        lt=0.5,
        description="bound on the error of a source's kept share; a number of documents is then known to within this "
        "share of all of its source's, so the default is exact",
    )

    @model_validator(mode="after")
    def says_what_becomes_of_the_others(self) -> "Quotas":
        if OTHER_SOURCES not in self.quotas:
            raise ValueError('say what is kept of the sources that are not named: "*": {documents: 0} keeps none')
        return self


class Threshold(Settings):
    """Keep by absolute score, by a condition, or both; `reverse` keeps what the bounds exclude."""

    lower: float | None = None
    upper: float | None = None
    reverse: bool = False
    condition: Condition | None = CONDITION
    share_error: float = SHARE_ERROR

    @model_validator(mode="after")
    def some_bound(self) -> "Threshold":
        if self.lower is None and self.upper is None:
            if self.condition is None:
                raise ValueError("a threshold policy needs lower, upper or both, or a condition")
            if self.reverse:
                raise ValueError("reverse is of bounds, and there are none; write `not (...)` in the condition")
        if self.lower is not None and self.upper is not None and self.lower > self.upper:
            raise ValueError(f"lower {self.lower} is above upper {self.upper}")
        return self


# Which one is meant is known by its keys.
CutoffPolicy = Annotated[KeepFraction | Quotas | Threshold, Field(union_mode="left_to_right")]


class Filtered(Protocol):
    """The part of a lens's settings that its filter follows from."""

    @property
    def cutoff(self) -> KeepFraction | Quotas | Threshold: ...
    @property
    def population(self) -> str | None: ...


def check_filters(lenses: Mapping[str, Filtered], attributes: Mapping[str, AttributeSettings]) -> None:
    """Raises ValueError naming a lens whose population or condition names something unknown, or whose filter would
    need its own result."""
    needed: dict[str, set[str]] = {}
    for name, lens in lenses.items():
        if lens.population is not None and lens.population not in lenses:
            raise ValueError(
                f"lens {name!r} takes its population from {lens.population!r}; enabled lenses: {sorted(lenses)}"
            )
        spoken_of = parse(lens.cutoff.condition).names if lens.cutoff.condition else ()
        known = {*lenses, *attributes}
        if unknown := sorted(set(spoken_of) - known):
            raise ValueError(
                f"the condition of lens {name!r} speaks of {unknown}; known lenses and attributes: {sorted(known)}"
            )
        needed[name] = {lens.population} if lens.population is not None else set()
        needed[name].update(filtered for one in spoken_of for filtered in _filters_behind(one, attributes))
    try:
        TopologicalSorter(needed).prepare()
    except CycleError as error:
        raise ValueError(f"the filters of lenses need each other: {' <- '.join(error.args[1])}") from None


def _filters_behind(name: str, attributes: Mapping[str, AttributeSettings]) -> Iterator[str]:
    """The lenses whose filtered documents an attribute is made from, itself or through what it is made of."""
    attribute = attributes.get(name)
    if attribute is None:
        return
    if isinstance(attribute, RaterAttribute) and attribute.survivors_of:
        yield attribute.survivors_of
    for one in inputs_of(attribute):
        yield from _filters_behind(one, attributes)
