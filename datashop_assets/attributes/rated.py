"""An LLM's rating of all documents of a cell, or of those that a lens's filter kept.

What belongs here: whom a rater is asked about, and its ratings as scores. What does not: rating (`rating/annotate.py`),
its budget (`rating/usage.py`), a lens's own sample, which its classifier learns from (`rating/produce.py`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from datashop_assets.rating.annotate import annotate, paid_for
from datashop_assets.rating.judgement import Document
from datashop_assets.rating.lens import Lens
from datashop_assets.rating.reading import identities, read_documents
from datashop_assets.rating.usage import BudgetReachedError, Spending
from datashop_assets.records import ANNOTATIONS, DOCUMENTS, FILTERED, Cell
from datashop_assets.seams import Lake, Rater, Staging

NOT_A_SURVIVOR = "not_a_survivor"
# Judgements stand in staging below <stage>/<attribute>/<lens version>/<rater>/<shard>. Those of the former stage, which
# scores by a model share, are still taken over.
RATED_ATTRIBUTES = "rated_attributes"
FORMER_STAGE = "attributes"


@dataclass(frozen=True)
class RatedScores:
    """What a rater gives through a lens. Ratings of the lens's own sample are taken over, and never asked for again."""

    lake: Lake
    attribute: str
    lens: Lens
    rater: Rater
    survivors_of: str | None
    staging: Staging
    spending: Spending
    log: Callable[[str], Any]

    @property
    def content(self) -> dict[str, str]:
        """What identifies the ratings."""
        return {"lens": self.lens.version, "rater": self.rater.id}

    @property
    def about(self) -> dict[str, str]:
        return {"spent by the run": str(self.spending)}

    def of(self, cell: Cell) -> pl.DataFrame:
        """`id`, `score` and `reason` of the cell's documents, in their order.

        A failed judgement has its rater's reason; a document that the filter dropped has `not_a_survivor`. Raises
        BudgetReachedError where the budget ends in this cell: what was rated is kept, and the next run goes on.
        """
        snapshot = self.lake.version(DOCUMENTS)
        every = identities(self.lake, cell.shard, snapshot)
        asked = every if self.survivors_of is None else every.join(self._kept(cell), on="id", how="semi")

        names = (self.attribute, self.lens.version, self.rater.id, cell.shard)
        staged, before = self.staging(RATED_ATTRIBUTES, *names), self.staging(FORMER_STAGE, *names)

        def existing() -> pl.LazyFrame:
            table = ANNOTATIONS.of(self.lens.name)
            rated = self.lake.scan(table, {"shard": [cell.shard], "rater": [self.rater.id]})
            return paid_for(lambda: rated, before)

        def read(rows: pl.DataFrame) -> Iterator[Document]:
            return read_documents(self.lake, cell.shard, snapshot, rows)

        done = annotate(asked, read, self.lens, self.rater, existing, staged, self.spending, self.log)
        if done.left:
            raise BudgetReachedError(
                f"{self.attribute}: the run's budget for rater {self.spending.rater} is used up at its bound on "
                f"{self.spending.reached} ({self.spending}); {done.left} documents of {cell.shard} are still to be "
                "rated. What was rated is kept: run the same partitions again, which has the budget anew, or give the "
                "rater a larger `budget` in the project file"
            )
        reason = pl.when(pl.col("asked").is_null()).then(pl.lit(NOT_A_SURVIVOR)).otherwise("reason")
        return (
            self.lake.scan(DOCUMENTS, {"shard": [cell.shard]}, snapshot)
            .select("id", "file", "row")
            .sort("file", "row")
            .collect()
            .join(done.rows.select("id", "score", "reason", asked=True), on="id", how="left", maintain_order="left")
            .select("id", "score", reason=reason)
        )

    def committed(self, cell: Cell) -> None:
        """What was rated stays in staging: a filter that moves asks about documents that were paid for before."""

    def _kept(self, cell: Cell) -> pl.DataFrame:
        table = FILTERED.of(str(self.survivors_of))
        return self.lake.scan(table, {"shard": [cell.shard]}).filter("kept").select("id").collect()
