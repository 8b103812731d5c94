"""The documents that one release has and another has not, each with the reason, some shards at a time.

What belongs here: comparing the filter's verdicts at two versions, and attributing a change. What does not: counting
and showing changes (`release_diff.py`).

Attribution asks in this order: is the shard, or the document, there in both; then which reason the filter gave where it
was not kept. Of a verdict by score, a changed classifier is the reason where there is another one (its scores are on no
common scale with the old ones), else a changed score says that the text was parsed anew, else the bound moved.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from datashop_assets.corpus.registry import registered_shards
from datashop_assets.deduplication.tables import Rejection
from datashop_assets.filtering.cutoff import Reason
from datashop_assets.records import DOCUMENTS, FILTERED, SCORES
from datashop_assets.tracing.views import View

# Documents whose verdicts are compared together: some 200 bytes each of both releases and their join.
DOCUMENTS_AT_ONCE = 250_000
KEY = ["shard", "id"]
BY_SCORE = [Reason.BELOW_LOWER, Reason.ABOVE_UPPER, Reason.INSIDE_EXCLUDED_RANGE, Reason.NOT_DRAWN]

NEW_SHARD, GONE_SHARD, PARSED = "new shard", "shard withdrawn", "text parsed anew"
CLASSIFIER, CUTOFF, DEDUPLICATION = "classifier changed", "cut-off moved", "deduplication"

SCHEMA = {
    **{"change": pl.String, "reason": pl.String, "shard": pl.String, "id": pl.String, "source": pl.String},
    **{"characters": pl.Int64, "verdict before": pl.String, "verdict after": pl.String},
    **{"score before": pl.Float32, "score after": pl.Float32},
}


@dataclass(frozen=True)
class Side:
    """A release's tables: the version of each of its shards' filtered cells, and how many rows it has."""

    view: View
    classifier: str
    filtered: Mapping[str, str]
    rows: Mapping[str, int]

    @classmethod
    def of(cls, view: View, lens: str, classifier: str) -> "Side":
        """The shards that stood at the time and were filtered."""
        standing = {shard.shard for shard in registered_shards(view.lake)}
        cells = view.lake.cells(FILTERED.of(lens)).filter(pl.col("shard").is_in(standing))
        versions, rows = (dict(cells.select("shard", column).iter_rows()) for column in ("version", "rows"))
        return cls(view, classifier, versions, rows)

    def verdicts(self, lens: str, shards: Sequence[str]) -> pl.DataFrame:
        """[shard, id, kept, verdict] of every document of some of its shards."""
        mine = [shard for shard in shards if shard in self.filtered]
        scan = self.view.lake.scan(FILTERED.of(lens), {"shard": mine})
        return scan.select(*KEY, "kept", verdict="reason").collect()

    def scores(self, lens: str, documents: pl.DataFrame) -> pl.DataFrame:
        """[shard, id, score] of these documents by the release's classifier."""
        where = {"shard": documents["shard"].unique().to_list(), "classifier": [self.classifier]}
        rows = self.view.lake.scan(SCORES.of(lens), where).filter(pl.col("id").is_in(documents["id"].implode()))
        return rows.select(*KEY, "score").collect()

    def origins(self, documents: pl.DataFrame) -> pl.DataFrame:
        """[shard, id, source, characters] of these documents; no text is read."""
        scan = self.view.lake.scan(DOCUMENTS, {"shard": documents["shard"].unique().to_list()})
        rows = scan.filter(pl.col("id").is_in(documents["id"].implode()))
        return rows.select(*KEY, "source", characters="chars").collect()


def changes(before: Side, after: Side, lens: str) -> Iterator[pl.DataFrame]:
    """Frames of SCHEMA, one row a document that is kept on one side alone, for DOCUMENTS_AT_ONCE documents each.

    Shards whose filtered cell is of the same version on both sides are not read: their verdicts are the same.
    """
    shards = sorted({*before.filtered, *after.filtered})
    for stretch in _stretches([s for s in shards if before.filtered.get(s) != after.filtered.get(s)], before, after):
        yield _changes(before, after, lens, stretch)


def _stretches(shards: Sequence[str], before: Side, after: Side) -> Iterator[list[str]]:
    stretch: list[str] = []
    held = 0
    for shard in shards:
        rows = max(before.rows.get(shard, 0), after.rows.get(shard, 0))
        if stretch and held + rows > DOCUMENTS_AT_ONCE:
            yield stretch
            stretch, held = [], 0
        stretch.append(shard)
        held += rows
    if stretch:
        yield stretch


def _changes(before: Side, after: Side, lens: str, shards: Sequence[str]) -> pl.DataFrame:
    both = before.verdicts(lens, shards).join(
        after.verdicts(lens, shards), on=KEY, how="full", coalesce=True, suffix=" after"
    )
    was, stays = pl.col("kept").fill_null(False), pl.col("kept after").fill_null(False)
    changed = both.filter(was != stays).select(
        *KEY,
        pl.when(was).then(pl.lit("removed")).otherwise(pl.lit("added")).alias("change"),
        pl.col("verdict").alias("verdict before"),
        pl.col("verdict after"),
    )
    removed, added = changed.filter(pl.col("change") == "removed"), changed.filter(pl.col("change") == "added")
    origins = pl.concat([before.origins(removed), after.origins(added)])
    scored = changed.join(before.scores(lens, changed).rename({"score": "score before"}), on=KEY, how="left")
    scored = scored.join(after.scores(lens, changed).rename({"score": "score after"}), on=KEY, how="left")
    found = scored.join(origins, on=KEY, how="left")
    return found.with_columns(_reason(before, after).alias("reason")).select(
        pl.col(column).cast(dtype) for column, dtype in SCHEMA.items()
    )


def _reason(before: Side, after: Side) -> pl.Expr:
    """The reason of each changed document, in the order of the module's docstring."""
    lost = pl.when(pl.col("change") == "removed").then("verdict after").otherwise("verdict before")
    rejected = lost.is_in([each.value for each in Rejection])
    same_score = pl.col("score before").eq_missing(pl.col("score after"))
    by_score = (
        pl.lit(CLASSIFIER)
        if before.classifier != after.classifier
        else pl.when(same_score).then(pl.lit(CUTOFF)).otherwise(pl.lit(PARSED))
    )
    return (
        pl.when(~pl.col("shard").is_in(list(before.filtered)))
        .then(pl.lit(NEW_SHARD))
        .when(~pl.col("shard").is_in(list(after.filtered)))
        .then(pl.lit(GONE_SHARD))
        .when(lost.is_null())
        .then(pl.lit(PARSED))
        .when(rejected)
        .then(pl.format("{}: {}", pl.lit(DEDUPLICATION), lost))
        .when(lost.is_in([each.value for each in BY_SCORE]))
        .then(by_score)
        .otherwise(lost)
    )
