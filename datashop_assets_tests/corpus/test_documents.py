"""What becomes of the rows of a shard: documents, or quarantine with a reason."""

import gzip
import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import deltalake
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.corpus.documents import ChangedFileError, ParsedShard, documents_version, parse_shard
from datashop_assets.corpus.readers import REASONS, UnreadableFileError
from datashop_assets.project import Landing
from datashop_assets.records import DOCUMENTS, QUARANTINE, CrawlFile, Shard
from resources.landing import FsspecLandingArea

LANDING = Landing(dataset="web", url="memory://crawl", max_document_bytes=1000)
WITH_ID = LANDING.model_copy(update={"id_column": "key"})
WITH_SOURCE = LANDING.model_copy(update={"source_column": "site"})
WITH_LICENSE = LANDING.model_copy(update={"license_column": "terms"})
TWO_COLUMNS = LANDING.model_copy(update={"text_columns": ("title", "body")})


def shard_of(files: Mapping[str, bytes]) -> Shard:
    return Shard("web", "web-00000", 0, tuple(CrawlFile(path, len(data), "v1") for path, data in files.items()))


def parse(files: Mapping[str, bytes], landing: Landing = LANDING) -> ParsedShard:
    def open_file(_: Landing, path: str) -> BinaryIO:
        return io.BytesIO(files[path])

    return parse_shard(shard_of(files), landing, open_file)


def lines(*rows: object) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def parse_rows(*rows: object, landing: Landing = LANDING) -> ParsedShard:
    return parse({"a.jsonl": lines(*rows)}, landing)


def parquet(columns: Mapping[str, Any]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(dict(columns)), sink)
    return sink.getvalue()


def test_a_document_carries_its_text_and_its_place() -> None:
    (row,) = parse_rows({"text": "zwölf 😀\n"}).documents.to_dicts()
    sha = hashlib.sha256("zwölf 😀\n".encode()).hexdigest()[:32]
    assert row == {
        "shard": "web-00000",
        "id": sha,
        "dataset": "web",
        "source": "web",
        "license": None,
        "fields": None,
        "text": "zwölf 😀\n",
        "text_sha": sha,
        "chars": 8,
        "file": "a.jsonl",
        "row": 0,
    }


BAD_ROWS = [
    pytest.param({"body": "other name"}, LANDING, "missing_column", id="no text column"),
    pytest.param({"text": 17}, LANDING, "wrong_type", id="a number as text"),
    pytest.param({"text": ["a"]}, LANDING, "wrong_type", id="a list as text"),
    pytest.param({"text": None}, LANDING, "null_text", id="null"),
    pytest.param({"text": ""}, LANDING, "empty_text", id="empty"),
    pytest.param({"text": " \n\t\u00a0"}, LANDING, "empty_text", id="white space only"),
    pytest.param({"text": "x" * 1001}, LANDING, "document_too_long", id="too long"),
    pytest.param({"text": "漢" * 400}, LANDING, "document_too_long", id="too long in bytes, not in characters"),
    pytest.param({"text": "half \ud83d of an emoji"}, LANDING, "not_utf8", id="half a surrogate pair"),
    pytest.param({"text": "zero\0byte"}, LANDING, "nul_character", id="a NUL character"),
    pytest.param({"text": "a", "key": None}, WITH_ID, "null_id", id="null id"),
    pytest.param({"text": "a", "key": ""}, WITH_ID, "null_id", id="empty id"),
    pytest.param({"text": "a"}, WITH_ID, "missing_column", id="no id"),
    pytest.param({"text": "a", "key": True}, WITH_ID, "wrong_type", id="true as id"),
    pytest.param({"text": "a", "key": 1.5}, WITH_ID, "wrong_type", id="a fraction as id"),
    pytest.param({"text": "a", "key": "\udc00"}, WITH_ID, "not_utf8", id="half a surrogate pair in the id"),
    pytest.param({"text": "a", "key": "first"}, WITH_ID, "duplicate_id", id="an id that was there before"),
    pytest.param({"text": "first text"}, LANDING, "duplicate_text", id="a text that was there before"),
    pytest.param({"text": "a"}, WITH_SOURCE, "missing_column", id="no source"),
    pytest.param({"text": "a", "site": {}}, WITH_SOURCE, "wrong_type", id="an object as source"),
    pytest.param({"text": "a", "terms": ["MIT", 2]}, WITH_LICENSE, "wrong_type", id="a number among licences"),
    pytest.param({"title": None, "body": None}, TWO_COLUMNS, "null_text", id="every text column null"),
    pytest.param({"title": "a"}, TWO_COLUMNS, "missing_column", id="one text column absent"),
    pytest.param("a string", LANDING, "not_an_object", id="no object"),
]
FIRST = {"text": "first text", "key": "first", "site": "s", "terms": "MIT", "title": "t", "body": "first text"}
LAST = {"text": "last text", "key": "last", "site": "s", "terms": "MIT", "title": "t", "body": "last text"}


@pytest.mark.parametrize(("row", "landing", "reason"), BAD_ROWS)
def test_a_bad_row_is_quarantined_with_place_and_reason_and_fails_nothing(
    row: object, landing: Landing, reason: str
) -> None:
    parsed = parse_rows(FIRST, row, LAST, landing=landing)
    assert parsed.documents["row"].to_list() == [0, 2]
    (bad,) = parsed.quarantine.to_dicts()
    assert (bad["shard"], bad["file"], bad["row"], bad["reason"]) == ("web-00000", "a.jsonl", 1, reason)
    assert 0 < len(bad["detail"]) < 250


def test_the_quarantine_of_every_bad_row_can_be_stored(tmp_path: Any) -> None:
    parsed = parse_rows(*(case.values[0] for case in BAD_ROWS))
    deltalake.write_deltalake(tmp_path / "documents", parsed.documents)
    deltalake.write_deltalake(tmp_path / "quarantine", parsed.quarantine)
    stored = pl.read_delta(str(tmp_path / "quarantine"))
    assert stored.height + parsed.documents.height == len(BAD_ROWS)


def test_every_reason_is_documented() -> None:
    assert {case.values[2] for case in BAD_ROWS} <= set(REASONS)


def test_reasons_are_counted() -> None:
    parsed = parse_rows({"text": None}, {"text": ""}, {"text": None}, {"text": "good"})
    assert parsed.reasons == {"null_text": 2, "empty_text": 1}


def test_one_bad_value_in_a_parquet_file_is_one_bad_row() -> None:
    texts = pa.array([b"good", b"caf\xe9", None, b"fine"], pa.binary()).view(pa.binary())
    unchecked = pa.Array.from_buffers(pa.string(), len(texts), texts.buffers())
    parsed = parse({"a.parquet": parquet({"text": unchecked})})
    assert parsed.documents["text"].to_list() == ["good", "fine"]
    assert parsed.quarantine["reason"].to_list() == ["not_utf8", "null_text"]


@pytest.mark.parametrize(
    ("row", "text"),
    [
        pytest.param({"title": "Title", "body": "Body"}, "Title\n\nBody", id="joined by a blank line"),
        pytest.param({"title": None, "body": "Body"}, "Body", id="null parts are left out"),
    ],
)
def test_several_text_columns(row: dict[str, Any], text: str) -> None:
    assert parse_rows(row, landing=TWO_COLUMNS).documents["text"].to_list() == [text]


@pytest.mark.parametrize(
    ("key", "expected"),
    [pytest.param(7, "7", id="number"), pytest.param("doc/7", "doc/7", id="text"), pytest.param(0, "0", id="zero")],
)
def test_ids_from_a_column(key: object, expected: str) -> None:
    assert parse_rows({"text": "a", "key": key}, landing=WITH_ID).documents["id"].to_list() == [expected]
    column = parquet({"text": ["a"], "key": [key]})
    assert parse({"a.parquet": column}, WITH_ID).documents["id"].to_list() == [expected]


def test_the_same_text_under_two_ids_is_two_documents_that_share_their_text_sha() -> None:
    documents = parse_rows({"text": "a", "key": 1}, {"text": "a", "key": 2}, landing=WITH_ID).documents
    assert documents["id"].to_list() == ["1", "2"]
    assert documents["text_sha"].n_unique() == 1


def test_duplicates_are_found_across_the_files_of_a_shard_and_the_first_one_stays() -> None:
    parsed = parse({"a.jsonl": lines({"text": "same"}), "b.parquet": parquet({"text": ["same", "other"]})})
    assert parsed.documents.select("file", "row").rows() == [("a.jsonl", 0), ("b.parquet", 1)]
    assert "a.jsonl row 0" in parsed.quarantine["detail"][0]


def test_the_source_is_the_rows_own_or_the_dataset() -> None:
    documents = parse_rows({"text": "a", "site": "x.org"}, {"text": "b", "site": None}, landing=WITH_SOURCE).documents
    assert documents["source"].to_list() == ["x.org", "web"]


@pytest.mark.parametrize(
    ("stated", "meant"),
    [
        pytest.param("CC-BY-SA-4.0", "CC-BY-SA-4.0", id="stated"),
        pytest.param("MIT OR Apache-2.0", "MIT OR Apache-2.0", id="an expression, as it is"),
        pytest.param(" MIT\n", "MIT", id="white space around it"),
        pytest.param(None, None, id="null"),
        pytest.param("", None, id="empty"),
        pytest.param(" ", None, id="blank"),
        pytest.param(["mit"], "mit", id="a list of one"),
        pytest.param(["mit", "cc-by-4.0"], "mit, cc-by-4.0", id="a list, of which all are named"),
        pytest.param([None, " ", "mit"], "mit", id="a list with blanks"),
        pytest.param([], None, id="an empty list"),
    ],
)
def test_the_licence_is_the_rows_own_and_never_invented(stated: str | list[str] | None, meant: str | None) -> None:
    row = {"text": "a", "terms": stated}
    assert parse_rows(row, landing=WITH_LICENSE).documents["license"].to_list() == [meant]
    kind = pa.list_(pa.string()) if isinstance(stated, list) else pa.string()
    column = parquet({"text": ["a"], "terms": pa.array([stated], kind)})
    assert parse({"a.parquet": column}, WITH_LICENSE).documents["license"].to_list() == [meant]
    assert parse_rows(row).documents["license"].to_list() == [None], "a column that the landing does not name"


def test_a_json_row_without_the_licence_field_is_a_document_of_unknown_licence() -> None:
    parsed = parse_rows({"text": "a"}, {"text": "b", "terms": "MIT"}, landing=WITH_LICENSE)
    assert parsed.documents["license"].to_list() == [None, "MIT"]
    assert parsed.quarantine.is_empty()


def test_a_shard_without_any_row_has_empty_tables_of_the_right_shape() -> None:
    parsed = parse({"a.jsonl": b""})
    assert parsed.documents.height == parsed.quarantine.height == 0
    assert {**parsed.documents.schema, "version": pl.String} == dict(DOCUMENTS.schema)
    assert {**parsed.quarantine.schema, "version": pl.String} == dict(QUARANTINE.schema)


json_rows = st.one_of(
    st.dictionaries(
        st.sampled_from(["text", "key", "site"]),
        st.one_of(st.none(), st.integers(), st.text(max_size=5), st.booleans(), st.lists(st.text(), max_size=2)),
    ),
    st.integers(),
    st.none(),
)


@given(st.lists(json_rows, max_size=20))
def test_every_row_is_either_a_document_or_in_quarantine(rows: list[object]) -> None:
    parsed = parse_rows(*rows, landing=WITH_ID)
    found = parsed.documents["row"].to_list() + parsed.quarantine["row"].to_list()
    assert sorted(found) == list(range(len(rows)))
    assert parsed.documents["id"].is_unique().all()
    assert set(parsed.quarantine["reason"]) <= set(REASONS)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param({"a.parquet": b"PAR1"}, "a.parquet is cut short", id="damaged file"),
        pytest.param({"a.parquet": parquet({"body": ["a"]})}, "no column text; its columns are body", id="no column"),
        pytest.param({"a.txt": b"text"}, "a.txt is of no known format", id="unknown format"),
    ],
)
def test_a_file_that_cannot_be_read_fails_the_shard_by_name(files: dict[str, bytes], message: str) -> None:
    with pytest.raises(UnreadableFileError, match=message):
        parse({"good.jsonl": lines({"text": "good"}), **files})


@pytest.mark.parametrize(
    ("landing", "column"),
    [pytest.param(WITH_SOURCE, "site", id="source"), pytest.param(WITH_LICENSE, "terms", id="licence")],
)
def test_a_file_whose_schema_lacks_a_column_that_the_landing_names_fails_the_shard(
    landing: Landing, column: str
) -> None:
    with pytest.raises(UnreadableFileError, match=rf"a\.parquet has no column {column}.*mend the landing's columns"):
        parse({"a.parquet": parquet({"text": ["a"]})}, landing)


def test_a_file_that_is_gone_fails_the_shard_by_name() -> None:
    def open_file(_: Landing, path: str) -> BinaryIO:
        raise FileNotFoundError(path)

    with pytest.raises(UnreadableFileError, match=r"a\.jsonl is gone from memory://crawl"):
        parse_shard(shard_of({"a.jsonl": b""}), LANDING, open_file)


@pytest.mark.parametrize(
    "now",
    [
        pytest.param(CrawlFile("a.jsonl", 9, "v1"), id="another size"),
        pytest.param(CrawlFile("a.jsonl", 0, "v2"), id="another content"),
    ],
)
def test_a_file_that_changed_since_registration_is_refused(now: CrawlFile) -> None:
    def open_file(_: Landing, path: str) -> BinaryIO:
        raise AssertionError("must not be read")

    with pytest.raises(ChangedFileError, match=r"a\.jsonl was registered with 0 bytes and etag v1, and now has"):
        parse_shard(shard_of({"a.jsonl": b""}), LANDING, open_file, lambda landing, path: now)


@pytest.mark.parametrize(
    "rewritten",
    [
        pytest.param(gzip.compress(lines({"text": "another"})), id="another file in its place"),
        pytest.param(gzip.compress(lines({"text": "another"}))[:20], id="one that is being copied over it"),
    ],
)
def test_a_file_that_is_rewritten_while_it_is_read_is_refused(tmp_path: Path, rewritten: bytes) -> None:
    area, landing = FsspecLandingArea(), LANDING.model_copy(update={"url": str(tmp_path)})
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines({"text": "registered"})))
    shard = Shard("web", "web-00000", 0, (area.stat(landing, "a.jsonl.gz"),))

    def open_file(asked: Landing, path: str) -> BinaryIO:
        handle = area.open_file(asked, path)
        (tmp_path / path).write_bytes(rewritten)
        return handle

    with pytest.raises(ChangedFileError, match=r"a\.jsonl\.gz was registered with .* restore it, or withdraw"):
        parse_shard(shard, landing, open_file, area.stat)


SHARD = shard_of({"a.jsonl": b"1234"})


@pytest.mark.parametrize(
    ("shard", "landing"),
    [
        pytest.param(shard_of({"b.jsonl": b"1234"}), LANDING, id="another file"),
        pytest.param(shard_of({"a.jsonl": b"12345"}), LANDING, id="another size"),
        pytest.param(Shard("web", "web-00000", 0, (CrawlFile("a.jsonl", 4, "v2"),)), LANDING, id="another content"),
        pytest.param(SHARD, TWO_COLUMNS, id="other text columns"),
        pytest.param(SHARD, WITH_ID, id="an id column"),
        pytest.param(SHARD, WITH_SOURCE, id="a source column"),
        pytest.param(SHARD, WITH_LICENSE, id="a licence column"),
        pytest.param(SHARD, LANDING.model_copy(update={"license_column": "site"}), id="another licence column"),
        pytest.param(SHARD, LANDING.model_copy(update={"max_document_bytes": 5}), id="another limit"),
    ],
)
def test_whatever_changes_the_documents_changes_their_version(shard: Shard, landing: Landing) -> None:
    assert documents_version(shard, landing) != documents_version(SHARD, LANDING)


@pytest.mark.parametrize(
    "update",
    [{"url": "s3://elsewhere/crawl"}, {"shard_bytes": 1}, {"close_after_s": 1.0}, {"settle_s": 1}, {"pool_only": True}],
)
def test_a_move_of_the_landing_or_other_bundling_leaves_documents_as_they_are(update: dict[str, Any]) -> None:
    assert documents_version(SHARD, LANDING.model_copy(update=update)) == documents_version(SHARD, LANDING)


INSTRUCTIONS = Landing(dataset="crawl", url="landing", fields={"instruction": "prompt", "output": "answer"})
CHATS = Landing(dataset="crawl", url="landing", messages_column="messages")
TALK = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Because."}]


def test_an_instruction_record_has_its_fields_and_a_text_of_them() -> None:
    parsed = parse_rows(
        {"prompt": "Add 1 and 2", "answer": "3"}, {"prompt": "Wait", "answer": None}, landing=INSTRUCTIONS
    )
    assert [json.loads(fields) for fields in parsed.documents["fields"]] == [
        {"instruction": "Add 1 and 2", "output": "3"},
        {"instruction": "Wait", "output": None},
    ]
    assert parsed.documents["text"].to_list() == ["Add 1 and 2\n\n3", "Wait"]


@pytest.mark.parametrize(
    "talk",
    [
        pytest.param(TALK, id="role and content"),
        pytest.param([{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "Because."}], id="from and value"),
    ],
)
def test_a_chat_record_has_its_messages_in_one_form_from_every_format(talk: list[dict[str, str]]) -> None:
    column = parquet({"messages": pa.array([talk])})
    for parsed in (parse_rows({"messages": talk}, landing=CHATS), parse({"a.parquet": column}, CHATS)):
        assert json.loads(parsed.documents["fields"].item()) == {"messages": TALK}
        assert parsed.documents["text"].item() == "### user\nWhy?\n\n### assistant\nBecause."


@pytest.mark.parametrize(
    ("row", "landing", "reason"),
    [
        pytest.param({"prompt": "a"}, INSTRUCTIONS, "missing_column", id="a field is absent"),
        pytest.param({"prompt": None, "answer": None}, INSTRUCTIONS, "null_text", id="every field is null"),
        pytest.param({"prompt": ["a"], "answer": "b"}, INSTRUCTIONS, "wrong_type", id="a list as a field"),
        pytest.param({"messages": "Why?"}, CHATS, "wrong_type", id="a text in place of messages"),
        pytest.param({"messages": [{"content": "x"}]}, CHATS, "wrong_type", id="a message without a role"),
        pytest.param({"messages": [{"role": "user", "content": 1}]}, CHATS, "wrong_type", id="a number as content"),
        pytest.param({"messages": []}, CHATS, "null_text", id="no message"),
    ],
)
def test_a_record_that_is_none_is_quarantined(row: dict[str, Any], landing: Landing, reason: str) -> None:
    parsed = parse_rows(row, landing=landing)
    assert parsed.documents.is_empty()
    assert parsed.quarantine["reason"].to_list() == [reason]


def test_a_plain_document_has_no_fields_and_its_shard_the_version_that_it_always_had() -> None:
    assert parse_rows({"text": "a"}).documents["fields"].to_list() == [None]
    assert len({documents_version(SHARD, landing) for landing in (LANDING, INSTRUCTIONS, CHATS)}) == 3
