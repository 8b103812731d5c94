"""What makes an attribute's scores from here on: its record in force, or a new one.

What belongs here: whether something it is made of has changed, or the corpus has moved away from a recorded
distribution. What does not: reading and writing records (`state.py`), computing scores (`produce.py`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from datashop_assets.attribute_settings import (
    AttributeSettings,
    CombinedAttribute,
    FunctionAttribute,
    TiersAttribute,
    inputs_of,
)
from datashop_assets.attributes.distribution import Distribution, distribution
from datashop_assets.attributes.functions import function_id
from datashop_assets.attributes.state import AttributeRecord, in_force, record
from datashop_assets.corpus.registry import active_shards
from datashop_assets.project import Project
from datashop_assets.scoring.sketch import ScoreSketch, merge, sketch
from datashop_assets.scoring.sources import ScoreSource, score_source
from datashop_assets.seams import Lake

# A distribution is looked at again when the scored documents are more or fewer by this share: looking reads the scores
# of the whole corpus, and in a growing one happens log(growth) / log(1.25) times, not once a shard.
LOOK_AGAIN = 0.25
SHARE_ERROR = 0.0005
DOCUMENTS_A_READING = 4_000_000  # scores in memory: 16 MB, and a few times as much while they are sorted


def ranked_sources(settings: AttributeSettings) -> tuple[str, ...]:
    """The sources whose distribution over the corpus counts, not their scores alone."""
    if isinstance(settings, TiersAttribute):
        return (settings.of,)
    return settings.of if isinstance(settings, CombinedAttribute) and settings.normalize == "rank" else ()


def measured_record(
    lake: Lake, project: Project, attribute: str, content: Any, lineage: Mapping[str, Any]
) -> AttributeRecord:
    """The record of an attribute that is measured on documents, made anew where `content` has changed."""
    known = in_force(lake, project, attribute)
    if known is not None and known.content == content:
        return known
    settings = project.attributes[attribute]
    made = AttributeRecord(attribute, settings.kind, settings.version, content=content)
    record(lake, made, lineage)
    return made


def derived_record(lake: Lake, project: Project, attribute: str, lineage: Mapping[str, Any]) -> AttributeRecord:
    """The record of an attribute that is made of other scores.

    A new one is made where the settings, a source's classifier or a function's source changed, and where a source's
    distribution has shifted by more than the settings' tolerance. Its distributions are those of all scored documents
    of the project's shards as they are now. Raises LookupError where a source has no scores.
    """
    settings = project.attributes[attribute]
    sources = {name: score_source(lake, project, name) for name in inputs_of(settings)}
    known = in_force(lake, project, attribute)
    made = AttributeRecord(
        attribute,
        settings.kind,
        settings.version,
        {name: source.classifier for name, source in sources.items()},
        function_id(settings.function) if isinstance(settings, FunctionAttribute) else None,
    )
    same = known is not None and (known.sources, known.content) == (made.sources, made.content)
    ranked = ranked_sources(settings)
    if not ranked:
        return known if known is not None and same else _recorded(lake, made, lineage)
    # Ranks and levels are of what can be released: what serves annotation alone would shift them.
    shards = [shard.shard for shard in active_shards(lake, project) if not shard.pool_only]
    documents = sum(_scored_documents(lake, sources[name], shards) for name in ranked)
    if known is not None and same and abs(documents - known.documents) <= LOOK_AGAIN * known.documents:
        return known
    now = {name: _distribution(lake, sources[name], shards) for name in ranked}
    if known is not None and same and shift(known.distributions, now) <= _tolerance(settings):
        return _recorded(lake, replace(known, documents=documents), lineage)
    return _recorded(lake, replace(made, distributions=now, documents=documents), lineage)


def shift(before: Mapping[str, Distribution], now: Mapping[str, Distribution]) -> float:
    """The share of the corpus by which a document's rank in one of the sources moves at most."""
    return max(before[name].shift(now[name]) for name in now)


def corpus_sketch(lake: Lake, source: ScoreSource, shards: Sequence[str]) -> ScoreSketch:
    """The scores of the source over the shards, nulls left out, read some shards at a time."""

    def scores(some: Sequence[str]) -> pl.Series:
        rows = lake.scan(source.table, {"shard": some, "classifier": [source.classifier]})
        return rows.select("score").drop_nulls().collect()["score"]

    return merge(sketch(scores(some), SHARE_ERROR) for some in _readings(_cells(lake, source, shards)))


def _readings(cells: pl.DataFrame) -> Iterator[list[str]]:
    """The shards in order, as many at a time as DOCUMENTS_A_READING allows: opening the table costs more than reading
    one shard's scores."""
    before = pl.col("rows").cum_sum() - pl.col("rows")
    parts = cells.sort("shard").with_columns(part=before // DOCUMENTS_A_READING)
    yield from (part["shard"].to_list() for part in parts.partition_by("part", maintain_order=True))


def _recorded(lake: Lake, made: AttributeRecord, lineage: Mapping[str, Any]) -> AttributeRecord:
    record(lake, made, lineage)
    return made


def _distribution(lake: Lake, source: ScoreSource, shards: Sequence[str]) -> Distribution:
    whole = corpus_sketch(lake, source, shards)
    if not whole.n:
        raise LookupError(f"{source.name!r} has no scores in the project's shards; materialize them first")
    return distribution(whole)


def _scored_documents(lake: Lake, source: ScoreSource, shards: Sequence[str]) -> int:
    return int(_cells(lake, source, shards)["rows"].sum())


def _cells(lake: Lake, source: ScoreSource, shards: Sequence[str]) -> pl.DataFrame:
    mine = pl.col("classifier") == source.classifier
    return lake.cells(source.table).filter(mine, pl.col("shard").is_in(list(shards)))


def _tolerance(settings: AttributeSettings) -> float:
    return settings.tolerance if isinstance(settings, CombinedAttribute | TiersAttribute) else 0.0
