"""The vectors of a run's shards: embed what is not embedded.

What belongs here: the order of the steps. What does not: encoding a cell (`embed.py`), reading tables (`inputs.py`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from datashop_assets.cellwork import Outcome, Produced, Target, refresh
from datashop_assets.embedding.embed import EmbeddingError
from datashop_assets.embedding.inputs import ready_cells, wanted_embeddings
from datashop_assets.embedding.shard import FRAME_ROWS, embed_shard
from datashop_assets.records import DOCUMENTS, EMBEDDINGS, Cell
from datashop_assets.seams import Encoder, Lake, Progress, Staging


def embed_cells(
    lake: Lake,
    encoder: Encoder,
    cells: Sequence[Cell],
    staging: Staging,
    log: Callable[[str], Any],
    lineage: Mapping[str, Any],
) -> Iterator[Outcome]:
    """Embed the shards that are not at their wanted version, a few a commit.

    `staging` keeps what is done of a shard until it is committed. Shards without documents, and those with a document
    that has no finite vector, do not hold up the others: CellsFailedError names them at the end.
    """
    ready, missing = ready_cells(lake, Target(DOCUMENTS), cells, "documents")
    wanted = wanted_embeddings(lake, encoder.id, ready)
    staged: dict[Cell, Progress] = {}

    def produce(cell: Cell) -> Produced:
        staged[cell] = staging("embeddings", encoder.id, cell.shard, wanted[cell])
        rows = embed_shard(lake, cell.shard, encoder, staged[cell], log)
        small = rows.height <= FRAME_ROWS
        return Produced(pl.concat(rows) if small and rows.height else rows, {"encoder": encoder.id})

    target = Target(EMBEDDINGS.of(encoder.id))
    for outcome in refresh(
        lake, target, wanted, produce, lineage, batch_cells=4, tolerate=(EmbeddingError,), missing=missing
    ):
        if outcome.cell in staged:
            staged.pop(outcome.cell).clear()
        yield outcome
