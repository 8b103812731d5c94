"""A shard's crawl files to its documents, and to the quarantine of rows that are none.

What belongs here: what makes a row a document, and the version of a shard's documents.
What does not: file formats (`readers.py`), which files make a shard (`bundling.py`), tables (`produce.py`).
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import polars as pl

from datashop_assets.corpus.readers import BadRow, DamagedFileError, Wanted, read_rows
from datashop_assets.corpus.structured import column_text, record_fields, storable_text
from datashop_assets.project import Landing
from datashop_assets.records import DOCUMENTS, QUARANTINE, CrawlFile, Shard, TableSpec

PARSER_VERSION = 1  # raise it when the same files would give other documents

# Part of the version where a landing names a licence column. 2: a list of licences is a licence.
LICENSE_VERSION = 2

# Rows that are collected as Python objects before they become a frame; 4,096 documents of 2 kB are 8 MB.
CHUNK_ROWS = 4096

OpenFile = Callable[[Landing, str], BinaryIO]
StatFile = Callable[[Landing, str], CrawlFile]


class ChangedFileError(ValueError):
    """A crawl file is no longer the one that was registered; shards are immutable."""

    def __init__(self, path: str, fault: str) -> None:
        super().__init__(f"{path} {fault}")
        self.path = path


@dataclass(frozen=True)
class ParsedShard:
    """The outcome of a shard, in the order of its files and rows.

    `documents` and `quarantine` have the columns of their tables but `version`. Every row of every file is in one
    of the two; blank lines of JSON files are no rows.
    """

    documents: pl.DataFrame
    quarantine: pl.DataFrame

    @property
    def reasons(self) -> dict[str, int]:
        """Quarantined rows by reason, most frequent first."""
        return dict(Counter(self.quarantine["reason"].to_list()).most_common())


def documents_version(shard: Shard, landing: Landing) -> str:
    """Content id of what a shard's documents are made from: its files, how the landing reads them, the parser."""
    settings: list[Any] = [
        landing.dataset,
        landing.text_columns,
        landing.id_column,
        landing.source_column,
        landing.max_document_bytes,
    ]
    # Only where it is given: documents from before there was this setting are what they would be without it.
    if landing.license_column is not None:
        settings += [landing.license_column, LICENSE_VERSION]
    if landing.fields or landing.messages_column:
        settings += ["record", landing.fields, landing.messages_column]
    content = [PARSER_VERSION, [[file.path, file.bytes, file.etag] for file in shard.files], settings]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def parse_shard(shard: Shard, landing: Landing, open_file: OpenFile, stat: StatFile | None = None) -> ParsedShard:
    """Read all files of a shard. `open_file` and `stat` are those of a `resources.landing.LandingArea`.

    A row that is no document is quarantined with its place and a reason of `readers.REASONS`; it never fails the
    shard. Raises UnreadableFileError where a file is missing or cannot be read at all and, given `stat`,
    ChangedFileError where a file is not the one that was registered, or is not any more once it was read; both say how
    its shard comes to be read.
    """
    documents = _Collector(DOCUMENTS)
    quarantine = _Collector(QUARANTINE)
    first_seen: dict[str, str] = {}
    for file in shard.files:
        for number, values in _file_rows(shard.shard, file, landing, open_file, stat):
            place = {"shard": shard.shard, "dataset": shard.dataset, "file": file.path, "row": number}
            try:
                document = _document(values, landing)
                if earlier := first_seen.get(document["id"]):
                    reason = "duplicate_id" if landing.id_column else "duplicate_text"
                    raise BadRow(reason, f"{document['id']} stands already in {earlier}")
            except BadRow as bad:
                quarantine.add(place | {"reason": bad.reason, "detail": bad.detail})
                continue
            first_seen[document["id"]] = f"{file.path} row {number}"
            documents.add(place | document)
    return ParsedShard(documents.frame(), quarantine.frame())


def _file_rows(
    shard: str, file: CrawlFile, landing: Landing, open_file: OpenFile, stat: StatFile | None
) -> Iterator[tuple[int, Mapping[str, Any] | BadRow]]:
    others = (landing.id_column, landing.source_column, landing.license_column, landing.messages_column)
    structured = landing.fields or landing.messages_column
    texts = tuple(landing.fields.values()) if structured else landing.text_columns
    wanted = Wanted(texts, tuple(c for c in others if c is not None), landing.max_document_bytes)

    def check() -> None:
        if stat is not None:
            _check_unchanged(shard, file, stat(landing, file.path))

    try:
        check()
        try:
            with open_file(landing, file.path) as handle:
                yield from read_rows(file.path, handle, wanted)
        except DamagedFileError:
            check()  # half of one file and half of another is no damage
            raise
        check()  # it may have been rewritten while it was read
    except FileNotFoundError as error:
        fault, mend = f"is gone from {landing.url}", "put it back as it was registered, or"
        raise DamagedFileError(file.path, fault, f"{mend} {_register_anew(shard)}") from error
    except DamagedFileError as error:
        raise DamagedFileError(error.path, error.fault, f"{error.mend}; then {_register_anew(shard)}") from error


def _register_anew(shard: str) -> str:
    command = f"python -m datashop_assets.corpus.withdraw {shard} --reason '...'"
    return f"withdraw its shard, and what then lies in the landing is registered anew: {command}"


def _check_unchanged(shard: str, registered: CrawlFile, now: CrawlFile) -> None:
    if (registered.bytes, registered.etag) != (now.bytes, now.etag):
        raise ChangedFileError(
            registered.path,
            f"was registered with {registered.bytes} bytes and etag {registered.etag}, and now has {now.bytes} bytes "
            f"and etag {now.etag}; restore it, or {_register_anew(shard)}",
        )


def _document(values: Mapping[str, Any] | BadRow, landing: Landing) -> dict[str, Any]:
    """The id, source, licence, text and text's figures of one row, and its fields. Raises BadRow."""
    if isinstance(values, BadRow):
        raise values
    fields = record_fields(values, landing)
    columns = [*landing.fields.values(), landing.messages_column] if fields else landing.text_columns
    parts = [column_text(values, column) for column in landing.text_columns] if fields is None else list(_parts(fields))
    present = [part for part in parts if part is not None]
    if not present:
        raise BadRow("null_text", ", ".join(str(column) for column in columns if column))
    text = "\n\n".join(present)
    if not text.strip():
        raise BadRow("empty_text", f"{len(text)} white-space characters")
    content = text.encode("utf-8")
    if len(content) > landing.max_document_bytes:
        raise BadRow("document_too_long", f"{len(content)} bytes of text; max_document_bytes is set lower")
    sha = hashlib.sha256(content).hexdigest()[:32]
    return {
        "id": sha if landing.id_column is None else _id(values, landing.id_column),
        "source": _source(values, landing),
        "license": _license(values, landing),
        "text": text,
        "text_sha": sha,
        "chars": len(text),
        "fields": None if fields is None else json.dumps(fields, ensure_ascii=False),
    }


def _parts(fields: Mapping[str, Any]) -> Iterator[str | None]:
    """The parts of a structured record's text: its fields as they are, messages below a line `### role` each."""
    for value in fields.values():
        if isinstance(value, list):
            yield from (f"### {message['role']}\n{message['content']}" for message in value)
        else:
            yield value


def _id(values: Mapping[str, Any], column: str) -> str:
    value = values.get(column)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    text = column_text(values, column)
    if not text:
        raise BadRow("null_id", column)
    return text


def _source(values: Mapping[str, Any], landing: Landing) -> str:
    """The row's source; the dataset where the landing names no column for it, or the row's source is null."""
    if landing.source_column is None:
        return landing.dataset
    return column_text(values, landing.source_column) or landing.dataset


def _license(values: Mapping[str, Any], landing: Landing) -> str | None:
    """The row's licence; None where the landing names no column for it, or the row's licence is null or blank.

    A JSON row without the field is one of unknown licence, and a document all the same: the release counts those. Of a
    list, as hubs have them, all are named, as it does not say whether one of them may be chosen.
    """
    column = landing.license_column
    if column is None or column not in values:
        return None
    stated = values[column] if isinstance(values[column], list) else [values[column]]
    licenses = [(storable_text(each, column) or "").strip() for each in stated]
    return ", ".join(each for each in licenses if each) or None


@dataclass
class _Collector:
    """Collects rows of one table, turning every few thousand into a frame, which is several times smaller."""

    table: TableSpec
    rows: list[dict[str, Any]] = field(default_factory=list)
    frames: list[pl.DataFrame] = field(default_factory=list)

    def add(self, row: dict[str, Any]) -> None:
        self.rows.append(row)
        if len(self.rows) == CHUNK_ROWS:
            self._close_chunk()

    def frame(self) -> pl.DataFrame:
        self._close_chunk()
        return pl.concat(self.frames)

    def _close_chunk(self) -> None:
        schema = {name: kind for name, kind in self.table.columns.items() if name != "version"}
        self.frames.append(pl.DataFrame(self.rows, schema=schema))
        self.rows = []
