"""Whoever gives scores of documents that are not made of other scores: one for each kind of attribute.

What belongs here: the protocol, and from settings to a measurer. What does not: the measures themselves
(`text_measures.py`, `models.py`, `rated.py`, `imported.py`, `functions.py`), versions and commits (`produce.py`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import polars as pl

from datashop_assets.attribute_settings import (
    AttributeSettings,
    CombinedAttribute,
    CompressionRatioAttribute,
    FastTextAttribute,
    FunctionAttribute,
    ImportedAttribute,
    LanguageAttribute,
    LengthAttribute,
    RaterAttribute,
    SequenceClassificationAttribute,
    TextStatisticAttribute,
    TiersAttribute,
)
from datashop_assets.attributes.functions import apply, find_function, function_id
from datashop_assets.attributes.imported import ImportedScores
from datashop_assets.attributes.models import language
from datashop_assets.attributes.rated import RatedScores
from datashop_assets.attributes.state import in_force
from datashop_assets.attributes.text_measures import Measure, compression_ratio, length, text_statistic
from datashop_assets.cellwork import Target
from datashop_assets.classifier.fasttext_scorer import load_model
from datashop_assets.classifier.recipes import Scorer
from datashop_assets.durable import sha256_of
from datashop_assets.embedding.inputs import document_batches, document_places, versions
from datashop_assets.graph import Graph
from datashop_assets.project import ProjectError
from datashop_assets.rating.run import RatingRun
from datashop_assets.records import DOCUMENTS, Cell
from datashop_assets.scoring.finished import finished_scorer
from datashop_assets.scoring.texts import score_texts, whole
from datashop_assets.seams import Lake, LanguageModels, ModelFiles, Progress, Rater, Staging

# Documents that a measure without a model is given at once; their characters are bounded too.
BATCH_ROWS = 16_384


class Measurer(Protocol):
    """Scores of one attribute. `content` (JSON-able) is what they depend on beside its settings and the documents."""

    @property
    def content(self) -> Any: ...

    @property
    def about(self) -> Mapping[str, Any]:
        """What people should know of the run so far, beside each cell's scores."""
        ...

    def of(self, cell: Cell) -> pl.DataFrame:
        """`id`, `score` and, where there are some, `reason` and `label` of the cell's documents, in their order."""
        ...

    def committed(self, cell: Cell) -> None:
        """Told once the cell's scores stand."""
        ...


@dataclass(frozen=True)
class Tools:
    """What measurers are built with. `spendings` is the run's account with its raters."""

    lake: Lake
    graph: Graph
    language_models: LanguageModels
    model_files: ModelFiles
    raters: Callable[[str], Rater]
    staging: Staging
    spendings: RatingRun
    log: Callable[[str], Any]


@dataclass(frozen=True)
class MeasuredTexts:
    """A measure over a cell's texts, a batch in memory at a time."""

    lake: Lake
    measure: Measure
    content: Any = None
    about: Mapping[str, Any] = field(default_factory=dict)

    def of(self, cell: Cell) -> pl.DataFrame:
        places = document_places(self.lake, cell.shard)
        batches = document_batches(self.lake, cell.shard, places, rows=BATCH_ROWS)
        made = [pl.concat([batch.select("id"), self.measure(batch)], how="horizontal") for batch in batches]
        return pl.concat(made) if made else pl.DataFrame(schema={"id": pl.String, "score": pl.Float64})

    def committed(self, cell: Cell) -> None:
        """Nothing was kept."""


@dataclass(frozen=True)
class ScoredByModel:
    """A model over a cell's texts; what a killed run scored is kept."""

    attribute: str
    lake: Lake
    scorer: Scorer
    staging: Staging
    log: Callable[[str], Any]
    about: Mapping[str, Any] = field(default_factory=dict)
    _staged: dict[str, Progress] = field(default_factory=dict)

    @property
    def content(self) -> str:
        return self.scorer.digest()

    def of(self, cell: Cell) -> pl.DataFrame:
        documents = versions(self.lake, Target(DOCUMENTS), [cell], "documents")[cell]
        staged = self.staging("attributes", self.attribute, self.content, cell.shard, documents)
        self._staged[cell.shard] = staged
        return whole(score_texts(self.scorer, self.lake, cell.shard, staged, self.log))

    def committed(self, cell: Cell) -> None:
        if staged := self._staged.pop(cell.shard, None):
            staged.clear()


def build_measurer(attribute: str, cells: Sequence[Cell], tools: Tools) -> Measurer:
    """The measurer of an attribute for a run over the cells.

    Raises ProjectError, AttributeFunctionError, ImportedFilesError, or PermanentError where a model is not there, each
    saying what to change.
    """
    settings, lake = tools.graph.project.attributes[attribute], tools.lake
    match settings:
        case LengthAttribute():
            content = tools.language_models.id() if settings.unit == "tokens" else None
            return MeasuredTexts(lake, length(settings, tools.language_models), content)
        case CompressionRatioAttribute():
            return MeasuredTexts(lake, compression_ratio(settings))
        case TextStatisticAttribute():
            return MeasuredTexts(lake, text_statistic(settings))
        case LanguageAttribute():
            file = tools.model_files.file(settings.model)
            return MeasuredTexts(lake, language(settings, load_model(file)), sha256_of(file)[:16])
        case SequenceClassificationAttribute() | FastTextAttribute():
            scorer = finished_scorer(settings, tools.model_files)
            return ScoredByModel(attribute, lake, scorer, tools.staging, tools.log)
        case ImportedAttribute():
            known = in_force(lake, tools.graph.project, attribute)
            return ImportedScores(lake, settings, cells, known.content if known else None)
        case RaterAttribute():
            return _rated(attribute, settings, tools)
        case FunctionAttribute():
            function = find_function(settings.function)
            return MeasuredTexts(
                lake,
                lambda rows: apply(settings.function, function, rows.select("text")),
                function_id(settings.function),
            )
        case CombinedAttribute() | TiersAttribute():
            raise ProjectError(f"attribute {attribute!r} is made of other scores; materialize `derived_attributes`")


def _rated(attribute: str, settings: RaterAttribute, tools: Tools) -> RatedScores:
    lens = tools.graph.lenses[settings.lens]
    if lens.kind != "score":
        raise ProjectError(f"attribute {attribute!r} asks through lens {lens.name!r}, which gives labels, not scores")
    asked = tools.graph.project.raters[settings.rater]
    spending = tools.spendings.spending(settings.rater, asked.budget, asked.price)
    rater = tools.raters(settings.rater)
    return RatedScores(tools.lake, attribute, lens, rater, settings.survivors_of, tools.staging, spending, tools.log)


def scale_of(settings: AttributeSettings, graph: Graph) -> tuple[int, ...] | None:
    """Lowest and highest `int_score` of an attribute; None where it has none."""
    if isinstance(settings, RaterAttribute):
        return graph.lenses[settings.lens].low, graph.lenses[settings.lens].high
    if isinstance(settings, TiersAttribute):
        return 0, len(settings.shares)
    scaled: Mapping[str, Any] = settings.model_dump()
    return scaled.get("scale")
