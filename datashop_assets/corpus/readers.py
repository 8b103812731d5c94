"""Crawl files to rows: one reader a file format, streaming, with the place of every row.

What belongs here: the formats by file name, and the reason codes for rows that are no documents.
What does not: what a document is made of (`documents.py`), where files lie (`resources/landing.py`).
A new format is one function from an open file to rows and one entry in `FORMATS`.
"""

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.parquet as pq

UNREADABLE = "unreadable_file"

REASONS: Mapping[str, str] = {
    UNREADABLE: "no row but a whole file: it cannot be read, and its shard has no documents",
    "invalid_json": "the line is not JSON",
    "not_an_object": "the line is JSON, but not an object with named fields",
    "not_utf8": "the bytes are not UTF-8, or the text holds half of a surrogate pair, which UTF-8 cannot carry",
    "nul_character": "a NUL character in a configured column: binary data, cut short by many tools",
    "missing_column": "a configured column is absent from this row",
    "wrong_type": "a configured column holds a value that is no text (or, for the id, no text or whole number)",
    "null_id": "the id is null or empty",
    "null_text": "every text column is null",
    "empty_text": "the text is empty or only white space",
    "document_too_long": "the text is longer than max_document_bytes",
    "duplicate_id": "an earlier row of the shard has the same id",
    "duplicate_text": "an earlier row of the shard has the same text, and ids are derived from the text",
}

# A document of max_document_bytes needs at most 6 times as much JSON (\u0001 for one byte); the rest of the row
# gets a megabyte. So a line that is longer holds a document that is too long, and is never read into memory whole.
JSON_EXPANSION = 6
OTHER_FIELDS_BYTES = 1_000_000
DETAIL_CHARS = 200
BATCH_ROWS = 1024
BUFFER_BYTES = 1 << 20
FILE_MAGIC = b"ARROW1"
END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"


class UnreadableFileError(ValueError):
    """A crawl file that cannot be read at all, which fails its shard: names the file, the fault and the mend."""

    def __init__(self, path: str, fault: str, mend: str) -> None:
        super().__init__(f"{path} {fault}; {mend}")
        self.path, self.fault, self.mend = path, fault, mend


class DamagedFileError(UnreadableFileError):
    """A crawl file that is not what its writer meant to write: cut short, damaged, or gone."""


class _SchemaFault(ValueError):  # noqa: N818
    """What is wrong with the columns of a file; `read_rows` adds the file."""


class BadRow(ValueError):  # noqa: N818 - a row is quarantined with it, nothing fails
    """Why one row is not a document: a code of `REASONS`, and what was seen, safe to store and to show."""

    def __init__(self, reason: str, seen: object) -> None:
        detail = str(seen).encode("utf-8", "backslashreplace").decode()
        cut = f"{detail[:DETAIL_CHARS]}... ({len(detail)} characters)"
        self.reason = reason
        self.detail = detail if len(detail) <= DETAIL_CHARS else cut
        super().__init__(f"{reason}: {self.detail}")


@dataclass(frozen=True)
class Wanted:
    """The columns that a reader must deliver, and how long a document may be."""

    text: tuple[str, ...]
    others: tuple[str, ...]
    max_document_bytes: int

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.text, *self.others)))


# Row number in the file (0-based row or line), and its values by column or why it has none.
Row = tuple[int, Mapping[str, Any] | BadRow]
Reader = Callable[[BinaryIO, Wanted], Iterator[Row]]


def read_rows(path: str, handle: BinaryIO, wanted: Wanted) -> Iterator[Row]:
    """The rows of one open crawl file, in order, read in batches.

    Text comes as str or as UTF-8 bytes that nobody has checked yet. Raises UnreadableFileError where the file as
    a whole cannot be read: unknown format, cut short, damaged, or without a configured column in its schema.
    """
    reader = FORMATS.get(format_of(path) or "")
    if reader is None:
        raise UnreadableFileError(
            path, "is of no known format", f"land files whose names end in one of {', '.join(FORMATS)}"
        )
    try:
        yield from reader(handle, wanted)
    except _SchemaFault as fault:
        raise UnreadableFileError(path, str(fault), "mend the landing's columns in the project file") from None
    except (ConnectionError, TimeoutError):
        raise  # the store's trouble, not the file's: worth a retry as it is
    except (OSError, EOFError, pa.ArrowException) as error:
        damage = f"is cut short or damaged ({type(error).__name__}: {error})"
        raise DamagedFileError(path, damage, "put a whole copy in its place, or take it away") from error


def format_of(path: str) -> str | None:
    """The ending in `FORMATS` by which the file's format goes; None for a file of no known format."""
    name = path.rpartition("/")[2].lower()
    return next((ending for ending in FORMATS if name.endswith(ending)), None)


def _parquet(handle: BinaryIO, wanted: Wanted) -> Iterator[Row]:
    file = pq.ParquetFile(handle)
    _check_schema(file.schema_arrow, wanted)
    yield from _rows(file.iter_batches(batch_size=BATCH_ROWS, columns=list(wanted.columns)), wanted.columns)


def _arrow(handle: BinaryIO, wanted: Wanted) -> Iterator[Row]:
    """Arrow IPC, as a stream (what `datasets.save_to_disk` writes) or as a file (feather)."""
    magic = handle.read(len(FILE_MAGIC))
    size = handle.seek(0, io.SEEK_END)
    handle.seek(max(size - len(END_OF_STREAM), 0))
    tail = handle.read()
    handle.seek(0)
    if magic == FILE_MAGIC:
        file = pa.ipc.open_file(handle)
        _check_schema(file.schema, wanted)
        yield from _rows((file.get_batch(i) for i in range(file.num_record_batches)), wanted.columns)
        return
    # Arrow itself takes a stream that ends between two batches for whole, so rows could be missing unnoticed.
    if tail != END_OF_STREAM:
        raise EOFError("the Arrow stream has no end marker: its writer did not finish, or it was cut short")
    stream = pa.ipc.open_stream(handle)
    _check_schema(stream.schema, wanted)
    yield from _rows(stream, wanted.columns)


def _json_lines(handle: BinaryIO, wanted: Wanted) -> Iterator[Row]:
    limit = JSON_EXPANSION * wanted.max_document_bytes + OTHER_FIELDS_BYTES
    lines = io.BufferedReader(cast(io.RawIOBase, handle), BUFFER_BYTES)
    number = -1
    while line := lines.readline(limit):
        number += 1
        if len(line) == limit and not line.endswith(b"\n"):
            length = len(line)
            while rest := lines.readline(BUFFER_BYTES):
                length += len(rest)
                if rest.endswith(b"\n"):
                    break
            yield number, BadRow("document_too_long", f"a line of {length} bytes")
            continue
        if number == 0:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if line := line.strip():
            yield number, _parse_json(line)


def _compressed_json_lines(codec: str) -> Reader:
    def read(handle: BinaryIO, wanted: Wanted) -> Iterator[Row]:
        if handle.seek(0, io.SEEK_END) == 0:
            raise EOFError("it has no bytes, and an archive of nothing has some: its writer did not finish")
        handle.seek(0)
        # Arrow's stream raises where the archive is cut short; those of zstandard end as if it were whole.
        source = pa.PythonFile(handle, mode="r")
        yield from _json_lines(cast(BinaryIO, pa.CompressedInputStream(source, codec)), wanted)

    return read


FORMATS: Mapping[str, Reader] = {
    ".parquet": _parquet,
    ".arrow": _arrow,
    ".feather": _arrow,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".jsonl.gz": _compressed_json_lines("gzip"),
    ".ndjson.gz": _compressed_json_lines("gzip"),
    ".json.gz": _compressed_json_lines("gzip"),
    ".jsonl.zst": _compressed_json_lines("zstd"),
    ".ndjson.zst": _compressed_json_lines("zstd"),
    ".json.zst": _compressed_json_lines("zstd"),
}


def _parse_json(line: bytes) -> Mapping[str, Any] | BadRow:
    start = line[:80].decode("utf-8", "replace")
    try:
        value = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return BadRow("not_utf8", f"byte {error.start} of {start}")
    except (ValueError, RecursionError) as error:  # RecursionError: brackets nested by the thousand
        return BadRow("invalid_json", f"{error}: {start}")
    return value if isinstance(value, dict) else BadRow("not_an_object", start)


def _check_schema(schema: pa.Schema, wanted: Wanted) -> None:
    """A column that is wrong in the schema is wrong in every row, which is a mistake of configuration."""
    if missing := [name for name in wanted.columns if name not in schema.names]:
        raise _SchemaFault(f"has no column {', '.join(missing)}; its columns are {', '.join(schema.names)}")
    for name in wanted.text:
        kind = schema.field(name).type
        if not (_is_textual(kind) or pa.types.is_null(kind)):
            raise _SchemaFault(f"holds {kind} in column {name}, not text")


def _rows(batches: Iterable[pa.RecordBatch], columns: Sequence[str]) -> Iterator[Row]:
    number = 0
    for batch in batches:
        for values in zip(*(_values(batch.column(name)) for name in columns), strict=True):
            yield number, dict(zip(columns, values, strict=True))
            number += 1


def _values(column: pa.Array) -> list[Any]:
    """Python values; text, in lists too, as bytes, because decoding a column at once would let one bad row fail all."""
    kind = column.type
    if _is_textual(kind):
        column = column.cast(pa.large_binary())
    elif (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and _is_textual(kind.value_type):
        column = column.cast(pa.large_list(pa.large_binary()))
    values: list[Any] = column.to_pylist()
    return values


def _is_textual(kind: pa.DataType) -> bool:
    types = pa.types
    if types.is_dictionary(kind):
        return _is_textual(kind.value_type)
    checks = (types.is_string, types.is_large_string, types.is_string_view)
    return any(check(kind) for check in (*checks, types.is_binary, types.is_large_binary, types.is_binary_view))
