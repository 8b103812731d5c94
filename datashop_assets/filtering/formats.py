"""The files of a release, one kind at a time: how rows are appended to each.

What belongs here: opening a file of each format and writing rows to it. What does not: which rows, in which order and
when a file closes (`release.py`, `best_first.py`), the layout of token files (`token_files.py`).
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from datashop_assets.filtering.token_files import token_file
from datashop_assets.release_settings import ReleaseSettings
from datashop_assets.tokens import TextTokenizer

COLUMNS = {
    "id": pl.String,
    "text": pl.String,
    "source": pl.String,
    "license": pl.String,
    "score": pl.Float32,
    "int_score": pl.Int8,
    "shard": pl.String,
}
ZSTD_LEVEL = 3
# Rows that are lines of JSON at once: of 2 kB each, 4 MB.
LINES_AT_ONCE = 2_000
# The folder of each format's files.
FOLDERS = {"parquet": "data", "jsonl": "jsonl", "tokenized": "tokenized"}

# Appends rows of COLUMNS; returns how many tokens they have, or 0 where none are made.
Write = Callable[[pl.DataFrame], int]
Open = Callable[[Path], AbstractContextManager[Write]]


def openers(settings: ReleaseSettings, tokenizer: TextTokenizer | None) -> Mapping[str, Open]:
    """For each format that is asked for, by its folder: how a file is opened, given its path without an ending.

    Raises ValueError where token files are asked for without a tokenizer.
    """
    if "tokenized" in settings.formats and tokenizer is None:
        raise ValueError("token files need a tokenizer")
    known: dict[str, Open] = {"parquet": parquet_file, "jsonl": jsonl_file}
    if tokenizer is not None:
        known["tokenized"] = partial(token_file, tokenizer=tokenizer)
    return {FOLDERS[name]: known[name] for name in settings.formats}


@contextmanager
def parquet_file(stem: Path) -> Iterator[Write]:
    """A parquet file; each call writes one row group, with statistics of every column."""
    # Text in one row group can exceed the 2 GiB that 32-bit offsets address, hence large_string in memory; without the
    # stored Arrow schema readers see plain strings.
    schema = pl.DataFrame(schema=COLUMNS).to_arrow(compat_level=pl.CompatLevel.oldest()).schema
    with pq.ParquetWriter(
        stem.with_suffix(".parquet"), schema, compression="zstd", compression_level=ZSTD_LEVEL, store_schema=False
    ) as file:

        def write(rows: pl.DataFrame) -> int:
            table: pa.Table = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
            file.write_table(table, row_group_size=max(1, rows.height))
            return 0

        yield write


@contextmanager
def jsonl_file(stem: Path) -> Iterator[Write]:
    """A jsonl.zst file, one object a line."""
    compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_checksum=True)
    with stem.with_suffix(".jsonl.zst").open("wb") as raw, compressor.stream_writer(raw) as lines:

        def write(rows: pl.DataFrame) -> int:
            for some in rows.iter_slices(LINES_AT_ONCE):
                lines.write(some.write_ndjson().encode())
            return 0

        yield write
