"""Vectors of documents, and the bytes they are stored as.

What belongs here: encoding a cell's texts, packing and unpacking. What does not: the encoder (`resources/encoders/`),
reading tables (`inputs.py`).
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets.seams import Encoder

# Half the bytes of float32. Its 11 bits of mantissa move a value by at most 2^-11 = 0.05 %.
STORED = np.dtype("<f2")


class EmbeddingError(ValueError):
    """Vectors that cannot be stored or read; the message names the documents and the mend."""


def pack(vectors: NDArray[np.float32]) -> list[bytes]:
    """One value of the `embedding` column a row: little-endian float16. Raises EmbeddingError naming bad rows."""
    # Beyond 65,504 float16 is infinite: checked after the conversion, so that no overflow is stored.
    with np.errstate(over="ignore"):
        stored = vectors.astype(STORED)
    bad = np.flatnonzero(~np.isfinite(stored).all(axis=1))
    if bad.size:
        raise EmbeddingError(f"rows {bad[:5].tolist()} ({bad.size} in all) hold NaN or values beyond float16")
    return [row.tobytes() for row in stored]


def unpack(embeddings: pl.Series) -> NDArray[np.float32]:
    """The vectors of an `embedding` column: float32 of shape [rows, dimension]; [0, 0] of an empty column.

    Raises EmbeddingError where a value is null or the rows differ in dimension.
    """
    if embeddings.null_count():
        raise EmbeddingError(f"{embeddings.null_count()} of {len(embeddings)} embeddings are null")
    sizes = embeddings.bin.size().unique().sort().to_list()
    if len(sizes) > 1:
        raise EmbeddingError(f"the embeddings differ in size: {sizes} bytes; were two encoders mixed in one table?")
    flat = np.frombuffer(b"".join(embeddings.to_list()), STORED)
    return flat.reshape(len(embeddings), sizes[0] // STORED.itemsize if sizes else 0).astype(np.float32)


def embeddings_frame(documents: pl.DataFrame, encoder: Encoder) -> pl.DataFrame:
    """Embed documents (id, text): a frame of id and packed embedding, in the documents' order.

    Raises EmbeddingError naming the documents whose vector is not finite.
    """
    vectors = encoder.encode(documents["text"].to_list())
    _refuse_not_finite(documents["id"].to_list(), vectors, encoder.id)
    packed = pl.Series("embedding", pack(vectors), dtype=pl.Binary)
    return documents.select("id").with_columns(packed)


def _refuse_not_finite(ids: Sequence[str], vectors: NDArray[np.float32], encoder: str) -> None:
    limit = float(np.finfo(STORED).max)
    bad = [ids[int(row)] for row in np.flatnonzero(~(np.abs(vectors) <= limit).all(axis=1))]
    if bad:
        raise EmbeddingError(
            f"encoder {encoder} gave NaN, infinite or too large values for {len(bad)} documents: {bad[:5]}. "
            "Look at their text; with encoder.normalize on, no value is above 1."
        )
