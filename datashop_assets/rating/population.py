"""The documents that a lens samples from: all of a shard, or those that another lens's filter keeps.

What belongs here: that choice, and its version. What does not: sampling (`sampling.py`), filtering (its stage, which
stands after this one: what is read here is its table, as it is now).

What a changed population leaves out of the sample stays rated: judgements that were paid for are kept and never asked
for again. They are trained on where the population keeps their documents still. What it adds is asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from datashop_assets.cellwork import Target
from datashop_assets.embedding.inputs import ready_cells, versions
from datashop_assets.records import FILTERED, Cell
from datashop_assets.seams import Lake


@dataclass(frozen=True)
class Population:
    """The kept documents of the lens `name`, or (null) all documents."""

    lake: Lake
    name: str | None

    def ready(self, cells: Sequence[Cell]) -> tuple[list[Cell], dict[Cell, Exception]]:
        """The cells that can be sampled from, and for the others the error that says what to materialize."""
        if self.name is None:
            return list(cells), {}
        asset = f"filtered_documents` of `{self.name}"  # between the two of the message
        return ready_cells(self.lake, Target(FILTERED.of(self.name)), cells, asset)

    def versions(self, cells: Sequence[Cell]) -> dict[Cell, str]:
        """The filtered version of each cell; none where all documents are sampled from."""
        if self.name is None:
            return {}
        return versions(self.lake, Target(FILTERED.of(self.name)), cells, "filtered_documents")

    def of(self, cell: Cell, documents: pl.DataFrame) -> pl.DataFrame:
        """Those of the cell's documents (`id`) that belong to it, in their order."""
        if self.name is None:
            return documents
        kept = self.lake.scan(FILTERED.of(self.name), {"shard": [cell.shard]}).filter("kept").select("id").collect()
        return documents.join(kept, on="id", how="semi", maintain_order="left")
