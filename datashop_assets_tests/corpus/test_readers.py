"""The formats: real files as their usual writers make them, whole and damaged."""

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
import zstandard

from datashop_assets.corpus.readers import FORMATS, BadRow, UnreadableFileError, Wanted, format_of, read_rows

ROWS = [
    {"text": f"document {number}: naïve café 漢字 😀", "name": f"n{number}", "extra": number} for number in range(3000)
]
TABLE = pa.Table.from_pylist(ROWS)
LINES = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)


def wanted(*text: str, others: tuple[str, ...] = ("name",), max_document_bytes: int = 10_000_000) -> Wanted:
    return Wanted(text or ("text",), others, max_document_bytes)


def read(file: Path, want: Wanted | None = None) -> list[tuple[int, object]]:
    with file.open("rb") as handle:
        return list(read_rows(file.name, handle, want or wanted()))


def read_bytes(name: str, content: bytes, want: Wanted | None = None) -> list[tuple[int, object]]:
    return list(read_rows(name, io.BytesIO(content), want or wanted()))


def plain(value: object) -> object:
    return value.decode() if isinstance(value, bytes) else value


def ipc(kind: Callable[..., Any], table: pa.Table = TABLE) -> bytes:
    sink = io.BytesIO()
    with kind(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=1000)
    return sink.getvalue()


def parquet(table: pa.Table = TABLE, **options: object) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def polars_bytes(write: Callable[[pl.DataFrame, io.BytesIO], object]) -> bytes:
    sink = io.BytesIO()
    write(pl.DataFrame(ROWS), sink)
    return sink.getvalue()


def feather() -> bytes:
    sink = io.BytesIO()
    pyarrow.feather.write_feather(TABLE, sink)
    return sink.getvalue()


WHOLE = {
    "plain.jsonl": LINES,
    "crlf.ndjson": LINES.replace(b"\n", b"\r\n"),
    "open-end.jsonl": LINES.removesuffix(b"\n"),
    "bom.jsonl": b"\xef\xbb\xbf" + LINES,
    "one.jsonl.gz": gzip.compress(LINES),
    "members.json.gz": b"".join(gzip.compress(json.dumps(row).encode() + b"\n") for row in ROWS),
    "one.jsonl.zst": zstandard.compress(LINES),
    "frames.json.zst": zstandard.compress(LINES[:1000]) + zstandard.compress(LINES[1000:]),
    "pyarrow.parquet": parquet(row_group_size=700),
    "snappy-v1.parquet": parquet(compression="snappy", version="1.0", use_dictionary=False),
    "polars.parquet": polars_bytes(lambda frame, sink: frame.write_parquet(sink)),
    "stream.arrow": ipc(pa.ipc.new_stream),
    "file.arrow": ipc(pa.ipc.new_file),
    "polars-stream.arrow": polars_bytes(lambda frame, sink: frame.write_ipc_stream(sink)),
    "polars.feather": polars_bytes(lambda frame, sink: frame.write_ipc(sink, compression="zstd")),
    "pyarrow.feather": feather(),
    "dictionary.parquet": parquet(TABLE.set_column(0, "text", TABLE["text"].dictionary_encode())),
    "large.parquet": parquet(TABLE.set_column(0, "text", TABLE["text"].cast(pa.large_string()))),
    "binary.parquet": parquet(TABLE.set_column(0, "text", TABLE["text"].cast(pa.binary()))),
}


@pytest.mark.parametrize("name", WHOLE)
def test_every_row_of_every_format_comes_in_order_with_its_number(name: str) -> None:
    rows = read_bytes(name, WHOLE[name])
    assert [number for number, _ in rows] == list(range(len(ROWS)))
    assert [plain(values["text"]) for _, values in rows] == [row["text"] for row in ROWS]
    assert [plain(values["name"]) for _, values in rows] == [row["name"] for row in ROWS]


def test_every_known_ending_is_tried_above() -> None:
    tried = {format_of(name) for name in WHOLE}
    assert set(FORMATS) - tried <= {".ndjson.gz", ".ndjson.zst"}  # other names of .jsonl.gz and .jsonl.zst


@pytest.mark.models
def test_a_dataset_saved_to_disk(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_list(ROWS).save_to_disk(tmp_path / "saved", num_shards=2)
    files = sorted((tmp_path / "saved").glob("data-*.arrow"))
    texts = [plain(values["text"]) for file in files for _, values in read(file)]
    assert texts == [row["text"] for row in ROWS]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("a.jsonl", b"", id="json lines"),
        pytest.param("a.jsonl.gz", gzip.compress(b""), id="gzip"),
        pytest.param("a.jsonl.zst", zstandard.compress(b""), id="zstd"),
        pytest.param("a.parquet", parquet(TABLE.slice(0, 0)), id="parquet"),
        pytest.param("a.arrow", ipc(pa.ipc.new_stream, TABLE.slice(0, 0)), id="arrow stream"),
        pytest.param("a.jsonl", b"\n \n\r\n", id="blank lines"),
    ],
)
def test_a_file_without_rows_has_no_rows(name: str, content: bytes) -> None:
    assert read_bytes(name, content) == []


def cut(name: str, share: float) -> bytes:
    return WHOLE[name][: int(len(WHOLE[name]) * share)]


def without_last_batch(stream: bytes) -> bytes:
    """An Arrow stream cut just between two batches, where Arrow itself takes it for whole."""
    reader = pa.ipc.open_stream(stream)
    sink = io.BytesIO()
    writer = pa.ipc.new_stream(sink, reader.schema)
    writer.write_batch(reader.read_next_batch())
    return sink.getvalue()


def scribbled(name: str) -> bytes:
    middle = len(WHOLE[name]) // 2
    return WHOLE[name][:middle] + bytes(200) + WHOLE[name][middle + 200 :]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("a.jsonl.gz", cut("one.jsonl.gz", 0.5), id="gzip cut in the middle"),
        pytest.param("a.jsonl.gz", WHOLE["one.jsonl.gz"][:-1], id="gzip without its last byte"),
        pytest.param("a.jsonl.gz", scribbled("one.jsonl.gz"), id="gzip damaged inside"),
        pytest.param("a.jsonl.gz", LINES, id="plain text named gz"),
        pytest.param("a.jsonl.zst", cut("one.jsonl.zst", 0.5), id="zstd cut in the middle"),
        pytest.param("a.jsonl.zst", WHOLE["one.jsonl.zst"][:-1], id="zstd without its last byte"),
        pytest.param("a.jsonl.zst", scribbled("one.jsonl.zst"), id="zstd damaged inside"),
        pytest.param("a.jsonl.zst", WHOLE["one.jsonl.gz"], id="gzip named zst"),
        pytest.param("a.jsonl.gz", b"", id="gzip without a byte"),
        pytest.param("a.jsonl.zst", b"", id="zstd without a byte"),
        pytest.param("a.parquet", cut("pyarrow.parquet", 0.5), id="parquet cut in the middle"),
        pytest.param("a.parquet", b"", id="empty parquet"),
        pytest.param("a.parquet", b"PAR1 no parquet PAR1", id="no parquet"),
        pytest.param("a.arrow", cut("stream.arrow", 0.5), id="arrow stream cut in the middle"),
        pytest.param("a.arrow", without_last_batch(WHOLE["stream.arrow"]), id="arrow stream cut between batches"),
        pytest.param("a.arrow", cut("file.arrow", 0.5), id="arrow file cut in the middle"),
        pytest.param("a.arrow", b"", id="empty arrow"),
        pytest.param("a.feather", b"no feather at all", id="no feather"),
    ],
)
def test_a_damaged_file_is_named_and_never_taken_for_whole(name: str, content: bytes) -> None:
    with pytest.raises(UnreadableFileError, match=rf"^{name} is cut short or damaged .*; put a whole copy"):
        read_bytes(name, content)


@pytest.mark.parametrize(
    ("name", "content", "want", "message"),
    [
        pytest.param("a.csv", b"text\n", wanted(), r"a.csv is of no known format; .*\.parquet", id="unknown format"),
        pytest.param(
            "a.parquet", parquet(), wanted("body"), "no column body; its columns are text, name, extra", id="no column"
        ),
        pytest.param(
            "a.arrow", ipc(pa.ipc.new_stream), wanted(others=("key",)), "no column key", id="no id or source column"
        ),
        pytest.param("a.parquet", parquet(), wanted("extra"), "holds int64 in column extra", id="column of numbers"),
    ],
)
def test_a_file_that_does_not_fit_the_landing_says_how(name: str, content: bytes, want: Wanted, message: str) -> None:
    with pytest.raises(UnreadableFileError, match=message):
        read_bytes(name, content, want)


def test_an_outage_of_the_store_is_not_blamed_on_the_file() -> None:
    class Broken(io.BytesIO):
        def readinto(self, buffer: object) -> int:
            raise ConnectionError("reset by peer")

    with pytest.raises(ConnectionError, match="reset by peer"):
        list(read_rows("a.jsonl", Broken(LINES), wanted()))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param(b'{"text": "cut', "invalid_json", id="cut off"),
        pytest.param(b"<html>", "invalid_json", id="another format"),
        pytest.param(b"[" * 100_000, "invalid_json", id="nested a hundred thousand deep"),
        pytest.param(b'{"text": ' + b"9" * 5000 + b"}", "invalid_json", id="a number of 5,000 digits"),
        pytest.param(b'["text"]', "not_an_object", id="a list"),
        pytest.param(b"null", "not_an_object", id="null"),
        pytest.param(b'{"text": "caf\xe9"}', "not_utf8", id="latin-1"),
    ],
)
def test_a_bad_line_is_one_bad_row(line: bytes, reason: str) -> None:
    good = b'{"text": "good"}'
    first, bad, last = read_bytes("a.jsonl", b"\n".join([good, line, good]))
    assert (first, last) == ((0, {"text": "good"}), (2, {"text": "good"}))
    assert bad[0] == 1
    assert isinstance(bad[1], BadRow)
    assert bad[1].reason == reason
    assert len(bad[1].detail) < 250


class CountingHandle(io.BytesIO):
    """Remembers the most bytes that were asked for at once."""

    largest = 0

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self.largest = max(self.largest, len(buffer))
        return super().readinto(buffer)


def test_a_fifty_megabyte_line_is_passed_over_in_small_reads() -> None:
    line = b'{"text": "' + b"x" * 50_000_000 + b'"}\n'
    handle = CountingHandle(line + b'{"text": "good"}\n')
    long, good = read_rows("a.jsonl", handle, wanted(max_document_bytes=1_000_000))
    assert isinstance(long[1], BadRow)
    assert long[1].reason == "document_too_long"
    assert f"{len(line)} bytes" in long[1].detail
    assert good == (1, {"text": "good"})
    assert handle.largest <= 10_000_000


def test_a_line_whose_escaping_is_long_but_whose_document_is_not_is_kept() -> None:
    text = "\x01" * 1_000_000  # six bytes of JSON each
    ((_, row),) = read_bytes("a.jsonl", json.dumps({"text": text}).encode(), wanted(max_document_bytes=1_000_000))
    assert row == {"text": text}


def test_blank_lines_are_no_rows_but_count_as_lines() -> None:
    assert [number for number, _ in read_bytes("a.jsonl", b'\n{"text": "a"}\n\n{"text": "b"}\n')] == [1, 3]


def test_rows_come_before_the_file_is_read_to_its_end() -> None:
    archive = gzip.compress(LINES * 20)
    rows = read_rows("a.jsonl.gz", io.BytesIO(archive[:-1000]), wanted())
    assert next(rows)[0] == 0  # the damage at the end has not been reached yet
    with pytest.raises(UnreadableFileError):
        list(rows)
