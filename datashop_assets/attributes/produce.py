"""The cells of an attribute brought up to date.

What belongs here: the order of the steps. What does not: each step (`decide.py`, `measurers.py`, `derive.py`), the
assets.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from datashop_assets.attribute_settings import (
    CombinedAttribute,
    FunctionAttribute,
    TiersAttribute,
    in_order,
    inputs_of,
    made_of,
)
from datashop_assets.attributes.decide import derived_record, measured_record
from datashop_assets.attributes.derive import combine, levels, missing_reasons
from datashop_assets.attributes.functions import apply, find_function
from datashop_assets.attributes.measurers import Measurer, scale_of
from datashop_assets.attributes.rows import score_rows
from datashop_assets.attributes.state import AttributeRecord, upstreams, wanted_versions
from datashop_assets.cellwork import CellsFailedError, Outcome, Produced, refresh
from datashop_assets.embedding.inputs import document_batches, document_places
from datashop_assets.graph import Graph
from datashop_assets.project import Project
from datashop_assets.records import Cell
from datashop_assets.scoring.score import ScoringError
from datashop_assets.scoring.sources import ScoreSource, score_source
from datashop_assets.seams import Lake

Describe = Callable[[pl.DataFrame], Mapping[str, Any]]


def measure_cells(
    lake: Lake,
    graph: Graph,
    attribute: str,
    measurer: Measurer,
    cells: Sequence[Cell],
    describe: Describe,
    lineage: Mapping[str, Any],
) -> Iterator[Outcome]:
    """Bring the cells of an attribute that is measured on documents up to date; `describe` makes a cell's facts.

    Cells whose documents are not there do not hold up the others: CellsFailedError names them at the end. Raises what
    the measurer raises.
    """
    made = measured_record(lake, graph.project, attribute, measurer.content, lineage)
    wanted, missing = wanted_versions(lake, upstreams(lake, graph.project, attribute), made.classifier, cells)
    scale = scale_of(graph.project.attributes[attribute], graph)

    def produce(cell: Cell) -> Produced:
        rows = score_rows(measurer.of(cell), scale)
        return Produced(rows, {**describe(rows), **measurer.about})

    # One cell a commit: what a model or a rater gave is kept until it stands.
    for outcome in refresh(
        lake, made.target, wanted, produce, lineage, batch_cells=1, tolerate=(ScoringError,), missing=missing
    ):
        if not outcome.skipped:
            measurer.committed(outcome.cell)
        yield outcome


def derive_cells(
    lake: Lake, graph: Graph, attribute: str, cells: Sequence[Cell], describe: Describe, lineage: Mapping[str, Any]
) -> Iterator[Outcome]:
    """Bring the cells of an attribute that is made of other scores up to date, after those derived attributes over the
    same shards that it is made of. Attributes measured on documents, and lenses' scores, must be there.

    Cells without a source's scores do not hold up the others: CellsFailedError names them at the end. Raises
    LookupError where a source has no scores at all, and AttributeFunctionError.
    """
    failed: dict[str, Exception] = {}
    for name in derived_inputs(graph.project, attribute):
        try:
            mine = [Cell(cell.shard, name) for cell in cells if cell.shard not in failed]
            for _ in _derive(lake, graph, name, mine, {}, describe, lineage):
                pass
        except CellsFailedError as error:
            failed |= {cell.shard: cause for cell, cause in error.failures.items()}
    without = {cell: failed[cell.shard] for cell in cells if cell.shard in failed}
    ready = [cell for cell in cells if cell not in without]
    yield from _derive(lake, graph, attribute, ready, without, describe, lineage)


def derived_inputs(project: Project, attribute: str) -> list[str]:
    """The derived attributes that one is made of, those that they are made of included, each after its own."""
    needed = made_of(project.attributes, attribute)
    return [name for name in in_order(project.attributes) if name in needed and inputs_of(project.attributes[name])]


def _derive(
    lake: Lake,
    graph: Graph,
    attribute: str,
    cells: Sequence[Cell],
    without: Mapping[Cell, Exception],
    describe: Describe,
    lineage: Mapping[str, Any],
) -> Iterator[Outcome]:
    project = graph.project
    made = derived_record(lake, project, attribute, lineage)
    wanted, missing = wanted_versions(lake, upstreams(lake, project, attribute), made.classifier, cells)
    sources = [score_source(lake, project, name) for name in inputs_of(project.attributes[attribute])]
    scale = scale_of(project.attributes[attribute], graph)

    def produce(cell: Cell) -> Produced:
        rows = score_rows(_derived(lake, project, made, sources, cell), scale)
        return Produced(rows, describe(rows))

    yield from refresh(lake, made.target, wanted, produce, lineage, missing={**without, **missing})


def _derived(
    lake: Lake, project: Project, made: AttributeRecord, sources: Sequence[ScoreSource], cell: Cell
) -> pl.DataFrame:
    """`id`, `score` and `reason` of the cell's documents, in their order."""
    settings = project.attributes[made.attribute]
    scores = source_scores(lake, sources, cell.shard)
    names = [source.name for source in sources]
    if isinstance(settings, FunctionAttribute):
        function = find_function(settings.function)
        frames = _with_texts(lake, scores, cell.shard) if settings.text else [scores]
        given = [*names, "text"] if settings.text else names
        answers = [
            pl.concat([frame.select("id"), apply(settings.function, function, frame.select(given))], how="horizontal")
            for frame in frames
        ]
        return pl.concat(answers) if answers else scores.select("id", score=pl.lit(None, pl.Float64))
    if isinstance(settings, CombinedAttribute):
        derived = combine(scores, settings, made.distributions)
    elif isinstance(settings, TiersAttribute):
        derived = levels(scores[settings.of], settings, made.distributions[settings.of])
    else:
        raise TypeError(f"attribute {made.attribute!r} of kind {settings.kind} is not made of other scores")
    return scores.select("id", score=derived, reason=missing_reasons(scores, names))


def source_scores(lake: Lake, sources: Sequence[ScoreSource], shard: str) -> pl.DataFrame:
    """`id` and, named as the sources, their scores (Float64; null where there is none), in the documents' order."""
    frames = [
        lake.scan(source.table, {"shard": [shard], "classifier": [source.classifier]})
        .select("id", pl.col("score").cast(pl.Float64).alias(source.name))
        .collect()
        for source in sources
    ]
    together = frames[0]
    for frame in frames[1:]:
        together = together.join(frame, on="id", how="left", maintain_order="left")
    return together


def _with_texts(lake: Lake, scores: pl.DataFrame, shard: str) -> Iterator[pl.DataFrame]:
    for batch in document_batches(lake, shard, document_places(lake, shard)):
        yield batch.select("id", "text").join(scores, on="id", how="left", maintain_order="left")
