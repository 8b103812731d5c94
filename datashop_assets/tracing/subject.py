"""The document that is traced, and one row of a table about it.

What belongs here: reading the document and single rows by (shard, id). What does not: what the rows say (`origin.py`,
`judgements.py`, `outcome.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from datashop_assets.graph import Graph
from datashop_assets.records import DOCUMENTS, Cell, TableSpec
from datashop_assets.seams import Lake

# What a step shows of a text.
SHOWN_CHARS = 200


@dataclass(frozen=True)
class Subject:
    """A document of a lake as it stood: its row of `documents` but the text, of which `start` is the beginning."""

    lake: Lake
    graph: Graph
    lens: str
    document: Mapping[str, Any]
    start: str

    @property
    def shard(self) -> str:
        return str(self.document["shard"])

    @property
    def id(self) -> str:
        return str(self.document["id"])

    @property
    def cell(self) -> Cell:
        return Cell(self.shard, self.lens)

    def rows(self, table: TableSpec, where: Mapping[str, list[str]] | None = None) -> list[dict[str, Any]]:
        """The document's rows of a table that has a column `shard` and one `id`; its shard alone is read."""
        scan = self.lake.scan(table, {"shard": [self.shard], **(where or {})})
        return scan.filter(pl.col("id") == self.id).collect().to_dicts()


def read_subject(lake: Lake, graph: Graph, lens: str, shard: str, document: str) -> Subject | None:
    """The document of this id in this shard; None where there is none."""
    rows = lake.scan(DOCUMENTS, {"shard": [shard]}).filter(pl.col("id") == document)
    start = pl.col("text").str.slice(0, SHOWN_CHARS)
    found = rows.select(pl.exclude("text", "fields"), start.alias("start")).collect().to_dicts()
    return (
        Subject(lake, graph, lens, {k: v for k, v in found[0].items() if k != "start"}, found[0]["start"])
        if found
        else None
    )
