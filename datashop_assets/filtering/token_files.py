"""Token files for training: documents end to end, and an index of where each one begins.

What belongs here: the layout of the files. What does not: how a text becomes tokens (`datashop_assets/tokens.py`),
which rows are written and when a file closes (`release.py`).

`<stem>.bin` holds the tokens of all documents one after another, each with EOS at its end, as little-endian unsigned
16-bit numbers, or signed 32-bit ones for a vocabulary of 65,500 tokens or more. Nothing is padded, cut or left out: a
sequence length is the trainer's choice, and so is what it does with the tail. `<stem>.idx` is the index that
Megatron-LM's `IndexedDataset` reads (megatron/core/datasets/indexed_dataset.py), and with it NeMo, GPT-NeoX and
Megatron-DeepSpeed; trainers that take plain token arrays (nanoGPT, OLMo) map the .bin alone.
`<stem>.documents.parquet` says which document is where, for those who have no reader of .idx.
"""

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl

from datashop_assets.tokens import TextTokenizer

MAGIC, VERSION = b"MMIDIDX\x00\x00", 1
# Megatron's numbers for the types, and the vocabulary from which it takes the wider one.
DTYPE_CODES = {"<u2": 8, "<i4": 4}
WIDE_VOCABULARY = 65_500
PLACES = {"shard": pl.String, "id": pl.String, "start": pl.Int64, "tokens": pl.Int32}


def token_dtype(vocabulary: int) -> str:
    """The numpy type of the tokens in a .bin file."""
    return "<u2" if vocabulary < WIDE_VOCABULARY else "<i4"


@contextmanager
def token_file(stem: Path, tokenizer: TextTokenizer) -> Iterator[Callable[[pl.DataFrame], int]]:
    """The three files of one stem, open: a function that appends rows [shard, id, text] and returns their tokens.

    The lengths of the documents are in memory until the end, 4 bytes each, beside their ids.
    """
    dtype = token_dtype(tokenizer.vocabulary)
    places: list[pl.DataFrame] = []
    with stem.with_suffix(".bin").open("wb") as tokens:

        def write(rows: pl.DataFrame) -> int:
            lengths = []
            for ids in tokenizer.encode(rows["text"].to_list()):
                tokens.write(ids.astype(dtype).tobytes())
                lengths.append(len(ids))
            places.append(rows.select("shard", "id").with_columns(pl.Series("tokens", lengths, pl.Int32)))
            return sum(lengths)

        yield write
    documents = pl.concat(places).with_columns(start=pl.col("tokens").cast(pl.Int64).cum_sum() - pl.col("tokens"))
    documents.select(list(PLACES)).write_parquet(stem.with_suffix(".documents.parquet"))
    _write_index(stem.with_suffix(".idx"), documents["tokens"].to_numpy(), dtype)


def _write_index(path: Path, lengths: np.ndarray, dtype: str) -> None:
    """Every document is one sequence: its length in tokens, where it starts in bytes, and its number."""
    starts = np.concatenate([[0], np.cumsum(lengths[:-1], dtype=np.int64)]) * np.dtype(dtype).itemsize
    with path.open("wb") as file:
        file.write(MAGIC + struct.pack("<QBQQ", VERSION, DTYPE_CODES[dtype], len(lengths), len(lengths) + 1))
        file.write(lengths.astype("<i4").tobytes())
        file.write(starts.astype("<i8").tobytes())
        file.write(np.arange(len(lengths) + 1, dtype="<i8").tobytes())
