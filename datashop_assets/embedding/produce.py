"""The vectors of a run's shards: embed what is not embedded.

What belongs here: the order of the steps. What does not: encoding a cell (`embed.py`), reading tables (`inputs.py`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from datashop_assets.cellwork import Outcome, Produced, Target, refresh
from datashop_assets.embedding.embed import EmbeddingError, embeddings_frame
from datashop_assets.embedding.inputs import documents_of, ready_cells, wanted_embeddings
from datashop_assets.records import DOCUMENTS, EMBEDDINGS, Cell
from datashop_assets.seams import Encoder, Lake


def embed_cells(
    lake: Lake, encoder: Encoder, cells: Sequence[Cell], log: Callable[[str], Any], lineage: Mapping[str, Any]
) -> Iterator[Outcome]:
    """Embed the shards that are not at their wanted version, a few a commit.

    Shards without documents, and those with a document that has no finite vector, do not hold up the others:
    CellsFailedError names them at the end.
    """
    ready, missing = ready_cells(lake, Target(DOCUMENTS), cells, "documents")
    wanted = wanted_embeddings(lake, encoder.id, ready)

    def produce(cell: Cell) -> Produced:
        log(f"embedding {cell.shard}")
        texts = documents_of(lake, cell).select("id", "text").collect()
        return Produced(embeddings_frame(texts, encoder), {"encoder": encoder.id})

    target = Target(EMBEDDINGS.of(encoder.id))
    yield from refresh(
        lake, target, wanted, produce, lineage, batch_cells=4, tolerate=(EmbeddingError,), missing=missing
    )
