"""The documents of a shard as a filter sees them: what each is ranked by, or why it is not ranked.

What belongs here: reading one shard's scores and what else the rule asks about, joined by position, and every reason
that stands before the score's own verdict. What does not: versions (`state.py`), bounds (`cutoff.py`), the verdict
(`filter.py`). No text is read.

The order of reasons: a duplicate or an evaluation's text is one whatever the lens, so that this comes first and the
counts of it are the same for every lens; then the population, then what has no score, then the condition. What has one
of these reasons has no part in a share: a keep-fraction is one of the documents that are left.
"""

from collections.abc import Mapping, Sequence

import polars as pl

from datashop_assets.conditions import Operand
from datashop_assets.deduplication.inputs import rejected_documents
from datashop_assets.filter_settings import OTHER_SOURCES
from datashop_assets.filtering.cutoff import Reason
from datashop_assets.filtering.draw import drawing_keys
from datashop_assets.filtering.rule import Ranking, Rule
from datashop_assets.project import Project
from datashop_assets.records import DOCUMENTS, FILTERED, SCORES, TableSpec
from datashop_assets.scoring.sources import ScoreSource, score_source
from datashop_assets.seams import Lake

# The columns beside those of operands. No lens or attribute has a blank in its name.
ID, REJECTED, KEPT, SOURCE, TEXT = "its id", "is rejected", "is kept", "its source", "its text"
KEY, MISSING, WHY = "its key", "is missing", "why not"


def candidates(lake: Lake, ranking: Ranking, project: Project, shard: str) -> pl.DataFrame:
    """One row [id, source, key, reason, detail] for each of the shard's scores, in their order.

    `key` (float32) is what bounds are compared with: the score, or with a draw the score and its noise; null where
    there is a `reason` not to rank the document, a `cutoff.Reason` or a `deduplication.tables.Rejection`. `detail` is
    the name whose score is missing. `source` is the group that has a bound of its own: empty where there is one for
    all.
    """
    rule = ranking.rule
    operands = tuple(dict.fromkeys((Operand(ranking.lens), *(rule.condition.operands if rule.condition else ()))))
    own = ScoreSource(ranking.lens, SCORES.of(ranking.lens), ranking.classifier)
    ids = _scores(lake, own, shard).select(ID).collect()[ID]
    others = {each.name: None for each in operands if each.name != ranking.lens}
    beside = [_scores(lake, source, shard) for source in (own, *(score_source(lake, project, name) for name in others))]
    rejected = rejected_documents(lake, project.deduplication, shard)
    beside.append(rejected.lazy().rename({"id": ID, "reason": REJECTED}))
    if rule.population:
        beside.append(_columns(lake, FILTERED.of(rule.population), shard, {KEPT: "kept"}))
    if rule.sources or rule.draw:
        beside.append(_columns(lake, DOCUMENTS, shard, {SOURCE: "source", TEXT: "text_sha"}))
    frame = pl.concat([ids.to_frame(), *(_in_order(ids, rows) for rows in beside)], how="horizontal")

    key = frame[ranking.lens].rename(KEY)
    if rule.draw:
        key = pl.Series(KEY, drawing_keys(key.to_numpy(), frame[TEXT], rule.draw))
    return (
        frame.with_columns(key, _missing(operands).alias(MISSING))
        .with_columns(_reason(rule).alias(WHY))
        .select(
            id=ID,
            source=_group(rule),
            key=pl.when(pl.col(WHY).is_null()).then(KEY),
            reason=WHY,
            detail=pl.when(pl.col(WHY) == Reason.UNSCORED.value).then(MISSING),
        )
    )


def _scores(lake: Lake, source: ScoreSource, shard: str) -> pl.LazyFrame:
    """The shard's scores of a name, as columns that operands go by."""
    rows = lake.scan(source.table, {"shard": [shard], "classifier": [source.classifier]})
    score, rounded = Operand(source.name).column, Operand(source.name, rounded=True).column
    numbers = pl.col("score").alias(score), pl.col("int_score").cast(pl.Float32).alias(rounded)
    return rows.select(pl.col("id").alias(ID), *numbers)


def _columns(lake: Lake, table: TableSpec, shard: str, columns: Mapping[str, str]) -> pl.LazyFrame:
    """Columns of the shard's documents under other names."""
    renamed = [pl.col(column).alias(name) for name, column in {ID: "id", **columns}.items()]
    return lake.scan(table, {"shard": [shard]}).select(renamed)


def _in_order(ids: pl.Series, other: pl.LazyFrame) -> pl.DataFrame:
    """The other columns of `other` in the order of the ids, null where it has no such document.

    Tables of the same documents are in the same order, so that this is nearly always a comparison and no join.
    """
    rows = other.collect()
    if not rows[ID].equals(ids):
        rows = ids.to_frame().join(rows, on=ID, how="left", maintain_order="left")
    return rows.drop(ID)


def _missing(operands: Sequence[Operand]) -> pl.Expr:
    """The name of the first operand that is no number; null where all are."""
    there = {operand: pl.col(operand.column).is_finite().fill_null(False) for operand in operands}
    return pl.coalesce(pl.when(~finite).then(pl.lit(operand.name)) for operand, finite in there.items())


def _reason(rule: Rule) -> pl.Expr:
    """Why a row is not ranked, in the order of the module's docstring; null where it is."""
    reasons = [pl.col(REJECTED)]
    if rule.population:
        inside = pl.col(KEPT).fill_null(False)
        reasons.append(pl.when(~inside).then(pl.lit(Reason.NOT_IN_POPULATION.value)))
    reasons.append(pl.when(pl.col(MISSING).is_not_null()).then(pl.lit(Reason.UNSCORED.value)))
    if rule.condition:
        reasons.append(pl.when(~rule.condition.expression).then(pl.lit(Reason.CONDITION.value)))
    return pl.coalesce(reasons)


def _group(rule: Rule) -> pl.Expr:
    """The group of each row, which has a bound of its own."""
    if not rule.sources:
        return pl.lit("")
    named = pl.col(SOURCE).is_in([source for source in rule.sources if source != OTHER_SOURCES])
    return pl.when(named.fill_null(False)).then(SOURCE).otherwise(pl.lit(OTHER_SOURCES))
