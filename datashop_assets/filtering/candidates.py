"""The documents of shards as a filter sees them: what each is ranked by, or why it is not ranked.

What belongs here: reading shards' scores and what else the rule asks about, joined by position, and every reason
that stands before the score's own verdict. What does not: versions (`state.py`), bounds (`cutoff.py`), the verdict
(`filter.py`). No text is read.

The order of reasons: a duplicate or an evaluation's text is one whatever the lens, so that this comes first and the
counts of it are the same for every lens; then the population, then what has no score, then the condition. What has one
of these reasons has no part in a share: a keep-fraction is one of the documents that are left.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import polars as pl

from datashop_assets.conditions import Operand
from datashop_assets.deduplication.inputs import rejected_of_shards
from datashop_assets.filter_settings import OTHER_SOURCES
from datashop_assets.filtering.cutoff import Reason
from datashop_assets.filtering.draw import drawing_keys
from datashop_assets.filtering.rule import Ranking, Rule
from datashop_assets.project import Project
from datashop_assets.records import DOCUMENTS, FILTERED, SCORES, TableSpec
from datashop_assets.scoring.sources import ScoreSource, score_source
from datashop_assets.seams import Lake

# The columns beside those of operands. No lens or attribute has a blank in its name.
SHARD, ID, SOURCE, TEXT, REJECTED, KEPT = "its shard", "its id", "its source", "its text", "is rejected", "is kept"
KEY, MISSING, WHY = "its key", "is missing", "why not"

# Of all shards that are read together: about 60 bytes each, and as much for each further name in the condition.
ROWS_AT_ONCE = 500_000


class Candidates:
    """The candidates of shards that are asked for one by one, in their order, read many shards at a time.

    Opening a table costs as much as its files are many (0.1 s at 2,000 shards), so that one look for each shard would
    cost the square of their number. `rows` are the documents of each shard.
    """

    def __init__(self, lake: Lake, ranking: Ranking, project: Project, rows: Mapping[str, int]) -> None:
        self.lake, self.ranking, self.project = lake, ranking, project
        self.rows = rows
        self._left = list(rows)
        self._read: dict[str, pl.DataFrame] = {}

    def of(self, shard: str) -> pl.DataFrame:
        """The shard's candidates, see `candidates`. Each shard is asked for once; those passed over are forgotten."""
        return judged(self.read(shard), self.ranking)

    def read(self, shard: str) -> pl.DataFrame:
        """The same as they were read, for `judged`."""
        if shard not in self._read:
            # A shard that nobody expected became stale by another run since: it is read alone.
            ahead = self._left[self._left.index(shard) :] if shard in self._left else [shard]
            sizes = np.cumsum([self.rows.get(each, 0) for each in ahead])
            take = max(1, int(np.searchsorted(sizes, ROWS_AT_ONCE)))
            self._read = _read(self.lake, self.ranking, self.project, ahead[:take])
            self._left = ahead[take:] if shard in self._left else self._left
        return self._read.pop(shard)


def candidates(lake: Lake, ranking: Ranking, project: Project, shards: Sequence[str]) -> dict[str, pl.DataFrame]:
    """For each of the shards one row [id, source, key, reason, detail] for each of its scores, in their order.

    `key` (float32) is what bounds are compared with: the score, or with a draw the score and its noise; null where
    there is a `reason` not to rank the document, a `cutoff.Reason` or a `deduplication.tables.Rejection`. `detail` is
    the name whose score is missing. `source` is the group that has a bound of its own: empty where there is one for
    all.
    """
    return {shard: judged(rows, ranking) for shard, rows in _read(lake, ranking, project, shards).items()}


def _read(lake: Lake, ranking: Ranking, project: Project, shards: Sequence[str]) -> dict[str, pl.DataFrame]:
    """For each of the shards one row for each of its scores: its id, the columns of all operands, and what else the
    rule asks about."""
    rule = ranking.rule
    sources = [ScoreSource(ranking.lens, SCORES.of(ranking.lens), ranking.classifier)]
    sources += [score_source(lake, project, name) for name in ranking.names[1:]]
    tables = [_scores(lake, source, shards) for source in sources]
    if rule.population:
        tables.append(_columns(lake, FILTERED.of(rule.population), shards, {KEPT: "kept"}))
    if rule.sources or rule.draw:
        tables.append(_columns(lake, DOCUMENTS, shards, {SOURCE: "source", TEXT: "text_sha"}))
    rejected = rejected_of_shards(lake, project.deduplication, shards).lazy()
    tables.append(rejected.rename({"shard": SHARD, "id": ID, "reason": REJECTED}))
    read = [_by_shard(table) for table in tables]
    found = {}
    for shard in shards:
        own, *beside = [part(shard) for part in read]
        frame = pl.concat([own, *(_in_order(own[ID], rows) for rows in beside)], how="horizontal")
        found[shard] = frame
    return found


def judged(frame: pl.DataFrame, ranking: Ranking) -> pl.DataFrame:
    """The candidates in a shard's rows as they were read, see `candidates`."""
    rule = ranking.rule
    operands = tuple(dict.fromkeys((Operand(ranking.lens), *(rule.condition.operands if rule.condition else ()))))
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


def _scores(lake: Lake, source: ScoreSource, shards: Sequence[str]) -> pl.LazyFrame:
    """The shards' scores of a name, as columns that operands go by."""
    rows = lake.scan(source.table, {"shard": shards, "classifier": [source.classifier]})
    score, rounded = Operand(source.name).column, Operand(source.name, rounded=True).column
    numbers = pl.col("score").alias(score), pl.col("int_score").cast(pl.Float32).alias(rounded)
    return rows.select(pl.col("shard").alias(SHARD), pl.col("id").alias(ID), *numbers)


def _columns(lake: Lake, table: TableSpec, shards: Sequence[str], columns: Mapping[str, str]) -> pl.LazyFrame:
    """Columns of the shards' documents under other names."""
    renamed = [pl.col(column).alias(name) for name, column in {SHARD: "shard", ID: "id", **columns}.items()]
    return lake.scan(table, {"shard": shards}).select(renamed)


def _by_shard(rows: pl.LazyFrame) -> Callable[[str], pl.DataFrame]:
    """Read the rows; each shard's of them in their order, none where it has none."""
    read = rows.collect()
    runs = read[SHARD].rle().struct.unnest()
    if runs["value"].is_duplicated().any():  # read with another shard's rows between them
        read = read.sort(SHARD, maintain_order=True)
        runs = read[SHARD].rle().struct.unnest()
    # Rows of a cell stand together, so that shards are slices: 500,000 rows are neither hashed nor copied.
    columns, ends = read.drop(SHARD), runs["len"].cum_sum().to_list()
    parts = {
        shard: columns.slice(end - length, length)
        for shard, length, end in zip(runs["value"].to_list(), runs["len"].to_list(), ends, strict=True)
    }
    return lambda shard: parts.get(shard, columns.clear())


def _in_order(ids: pl.Series, rows: pl.DataFrame) -> pl.DataFrame:
    """The other columns of `rows` in the order of the ids, null where it has no such document.

    Tables of the same documents are in the same order, so that this is nearly always a comparison and no join.
    """
    if rows.is_empty():
        return rows.drop(ID).clear(len(ids))
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
