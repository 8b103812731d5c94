"""What downstream stages read of a cell's documents and embeddings, and the versions they are made from.

What belongs here: the joins between `documents` and `embeddings`. What does not: encoding (`embed.py`).
"""

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets.cellwork import Target, have
from datashop_assets.embedding.embed import unpack
from datashop_assets.lineage import embeddings_version
from datashop_assets.records import DOCUMENTS, EMBEDDINGS, Cell
from datashop_assets.seams import Lake


class MissingUpstreamError(LookupError):
    """A cell whose inputs are not there yet; the message says which asset to materialize."""


def ready_cells(
    lake: Lake, target: Target, cells: Sequence[Cell], asset: str
) -> tuple[list[Cell], dict[Cell, Exception]]:
    """The cells whose upstream is there, and for each of the others the error that says which asset to materialize.

    For a run over several cells: the first are worked on, the second are handed to `cellwork.refresh` as `missing`.
    """
    known = have(lake, target, cells)
    missing: dict[Cell, Exception] = {
        cell: MissingUpstreamError(f"materialize `{asset}` first: it has nothing for {cell.shard}")
        for cell in cells
        if known.get(cell, (None, 0))[0] is None
    }
    return [cell for cell in cells if cell not in missing], missing


def versions(lake: Lake, target: Target, cells: Sequence[Cell], asset: str) -> dict[Cell, str]:
    """The upstream version of each cell. Raises MissingUpstreamError naming the asset and the shards without one."""
    known = have(lake, target, cells)
    missing = sorted({cell.shard for cell in cells if known.get(cell, (None, 0))[0] is None})
    if missing:
        shown = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        raise MissingUpstreamError(f"materialize `{asset}` first: it has nothing for {shown}")
    return {cell: str(known[cell][0]) for cell in cells}


def wanted_embeddings(lake: Lake, encoder: str, cells: Sequence[Cell]) -> dict[Cell, str]:
    """The embeddings version that each cell should have, from its documents as they are now.

    Raises MissingUpstreamError.
    """
    return {
        cell: embeddings_version(version, encoder)
        for cell, version in versions(lake, Target(DOCUMENTS), cells, "documents").items()
    }


def documents_of(lake: Lake, cell: Cell) -> pl.LazyFrame:
    """The cell's documents, in file and row order."""
    return lake.scan(DOCUMENTS, {"shard": [cell.shard]}).sort("file", "row")


def document_places(lake: Lake, shard: str) -> pl.DataFrame:
    """Where the shard's documents stand, in file and row order: position (from 0), file, row, chars. Reads no text."""
    places = lake.scan(DOCUMENTS, {"shard": [shard]}).select("file", "row", "chars").sort("file", "row").collect()
    return places.with_row_index("position").cast({"position": pl.Int64})


def document_batches(
    lake: Lake, shard: str, places: pl.DataFrame, *, rows: int = 1024, chars: int = 16_000_000
) -> Iterator[pl.DataFrame]:
    """The documents at these `document_places`, in their order, some at a time: position, id, text, text_sha.

    A batch has at most so many rows, and so many characters unless one document has more, so that the memory it takes
    does not depend on the size of the shard. Neighbours are read together: places with gaps make smaller batches.
    """
    documents = lake.scan(DOCUMENTS, {"shard": [shard]}).select("file", "row", "id", "text", "text_sha")
    file, row = pl.col("file"), pl.col("row")
    for part in _stretches(places, rows, chars):
        first, last = part.row(0, named=True), part.row(-1, named=True)
        after = (file > first["file"]) | ((file == first["file"]) & (row >= first["row"]))
        before = (file < last["file"]) | ((file == last["file"]) & (row <= last["row"]))
        read = documents.filter(after & before).sort("file", "row").collect()
        yield read.select(part["position"], "id", "text", "text_sha")


def texts_of(
    lake: Lake, shard: str, ids: pl.Series, *, rows: int = 512, chars: int = 16_000_000
) -> Iterator[pl.DataFrame]:
    """Id and text of these documents of a shard, in file and row order, some at a time; ids that it lacks are left out.

    Text is read by id, as a predicate of the scan: row groups without any of them are skipped. Batches are bounded as
    those of `document_batches` are.
    """
    documents = lake.scan(DOCUMENTS, {"shard": [shard]}).filter(pl.col("id").is_in(ids.implode()))
    places = documents.select("id", "file", "row", "chars").sort("file", "row").collect()
    for part in _stretches(places.with_row_index("position").cast({"position": pl.Int64}), rows, chars):
        inside = pl.col("file").is_between(pl.lit(part["file"][0]), pl.lit(part["file"][-1]))
        some = documents.filter(inside, pl.col("id").is_in(part["id"].implode()))
        yield part.select("id").join(some.select("id", "text").collect(), on="id", how="inner", maintain_order="left")


def _stretches(places: pl.DataFrame, rows: int, chars: int) -> Iterator[pl.DataFrame]:
    """Consecutive positions, each stretch within both bounds."""
    start, held = 0, 0
    positions, lengths = places["position"].to_list(), places["chars"].to_list()
    for index, length in enumerate(lengths):
        full = index - start == rows or held + length > chars or positions[index] != positions[index - 1] + 1
        if index > start and full:
            yield places[start:index]
            start, held = index, 0
        held += length
    if positions:
        yield places[start:]


def embeddings_of(lake: Lake, encoder: str, shards: Sequence[str]) -> tuple[pl.DataFrame, NDArray[np.float32]]:
    """Shard and id of each document of the shards, and its vector: float32 of shape [documents, dimension]."""
    rows = lake.scan(EMBEDDINGS.of(encoder), {"shard": shards}).select("shard", "id", "embedding").collect()
    return rows.select("shard", "id"), unpack(rows["embedding"])


def vector_batches(
    lake: Lake, encoder: str, shard: str, rows: int = 65_536
) -> Iterator[tuple[pl.Series, NDArray[np.float32]]]:
    """Ids and vectors of a shard's documents, some at a time, so that memory does not depend on the shard's size.

    Vectors are float32 of shape [at most `rows`, dimension], in the table's order.
    """
    stored = lake.scan(EMBEDDINGS.of(encoder), {"shard": [shard]}).select("id", "embedding")
    for frame in stored.collect_batches(chunk_size=rows, lazy=True):
        yield frame["id"], unpack(frame["embedding"])


def current_embeddings(lake: Lake, encoder: str, shards: Sequence[str]) -> dict[str, str]:
    """The version of each shard's vectors. Raises MissingUpstreamError for shards that have none, or none of their
    documents as they are now."""
    cells = [Cell(shard) for shard in shards]
    wanted = wanted_embeddings(lake, encoder, cells)
    there = have(lake, Target(EMBEDDINGS.of(encoder)), cells)
    stale = [cell.shard for cell in cells if there.get(cell, (None, 0))[0] != wanted[cell]]
    if stale:
        raise MissingUpstreamError(
            f"materialize `embeddings` first: {len(stale)} shards have none of their documents as they are now "
            f"({', '.join(stale[:5])})"
        )
    return {cell.shard: version for cell, version in wanted.items()}


def vectors_for(lake: Lake, encoder: str, rows: pl.DataFrame) -> NDArray[np.float32]:
    """The vector of each row (`shard`, `id`), in order: float32 of shape [rows, dimension].

    Raises MissingUpstreamError naming shards with documents that have none.
    """
    ids, vectors = embeddings_of(lake, encoder, rows["shard"].unique().to_list())
    positions = rows.join(ids.with_row_index("position"), on=["shard", "id"], how="left", maintain_order="left")
    missing = positions.filter(pl.col("position").is_null())["shard"].unique().sort().to_list()
    if missing:
        raise MissingUpstreamError(f"materialize `embeddings` first: rated documents of {missing[:5]} have none")
    return np.asarray(vectors[positions["position"].to_numpy()])
