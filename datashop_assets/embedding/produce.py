"""The vectors of a run's shards: embed what is not embedded.

What belongs here: the order of the steps. What does not: encoding a cell (`embed.py`), reading tables (`inputs.py`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from datashop_assets.cellwork import Outcome, Produced, Target, refresh
from datashop_assets.embedding.embed import EmbeddingError
from datashop_assets.embedding.inputs import ready_cells, wanted_embeddings
from datashop_assets.embedding.shard import FRAME_ROWS, clearing, embed_shard
from datashop_assets.encoding_figures import EncodingFigures
from datashop_assets.records import DOCUMENTS, EMBEDDINGS, Cell
from datashop_assets.seams import Encoder, Lake, Progress, Staging


def facts_of(figures: EncodingFigures) -> dict[str, float]:
    """Speed of the encoder alone, as far as it is known: reading and keeping rows are not in it."""
    facts = {"encoder: tokens/s": figures.tokens_per_second, "encoder: share of matmul peak": figures.share_of_peak}
    return {name: round(value, 3) for name, value in facts.items() if value is not None}


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
        before = encoder.usage
        rows = embed_shard(lake, cell.shard, encoder, staged[cell], log)
        small = rows.height <= FRAME_ROWS
        facts = {"encoder": encoder.id, "documents/s": round(rows.rate, 1), **facts_of(encoder.usage - before)}
        return Produced(pl.concat(rows) if small and rows.height else rows, facts)

    target = Target(EMBEDDINGS.of(encoder.id))
    outcomes = refresh(
        lake, target, wanted, produce, lineage, batch_cells=4, tolerate=(EmbeddingError,), missing=missing
    )
    yield from clearing(outcomes, staged)
