"""Scores made elsewhere, in files of Dolma's attribute format, joined to documents by id.

What belongs here: finding and reading the files, one number an entry, the join. What does not: formats and compression
(`corpus/readers.py`).

The format (Soldaini et al. 2024, Dolma toolkit): one object a document, {id, attributes: {name: [[start, end, score],
...]}}. Objects of {name: {score: ...}} and of {name: score}, which others write, are read too.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from fsspec.core import url_to_fs

from datashop_assets.attribute_settings import ImportedAttribute
from datashop_assets.corpus.readers import BadRow, Wanted, format_of, read_rows
from datashop_assets.records import DOCUMENTS, Cell
from datashop_assets.seams import Lake

NO_ENTRY, SEVERAL_ENTRIES, NO_VALUE = "no_entry", "several_entries", "no_value"
# The files are read once for so many documents: 2 million entries are some 300 MB.
DOCUMENTS_A_READING = 2_000_000
ENTRY_BYTES = 10_000_000
ENTRIES_A_FRAME = 65_536


class ImportedFilesError(ValueError):
    """Files of attributes that are not there or cannot be used; the message names them and the mend."""


@dataclass(frozen=True)
class AttributeFile:
    """A file as it was listed. `etag` is the store's own name of the content, null where it has none (a local disk);
    `changed` is when it was last written, as the store says it, or the `etag`."""

    url: str
    bytes: int
    etag: str | None
    changed: str

    @property
    def content(self) -> str:
        """What changes with the content alone: the store's own word, or the SHA-256 of the bytes, which are read."""
        if self.etag is not None:
            return self.etag
        fs, path = url_to_fs(self.url)
        with fs.open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Counts:
    """Of one reading of all files: entries, those of no document that was asked about, and rows that are no entry."""

    entries: int = 0
    unknown: int = 0
    bad: int = 0


def list_files(settings: ImportedAttribute) -> list[AttributeFile]:
    """The files, by name. Raises ImportedFilesError where a pattern finds none or a format is not known."""
    found: dict[str, AttributeFile] = {}
    for url in settings.files:
        fs, pattern = url_to_fs(url)
        listed = fs.glob(pattern, detail=True)
        files = {path: info for path, info in listed.items() if info["type"] == "file"}
        if not files:
            raise ImportedFilesError(f"there is no file of attributes at {url}; correct `files` in the project file")
        for path, info in files.items():
            if format_of(path) is None:
                raise ImportedFilesError(f"{path} is of no known format; jsonl, jsonl.gz, jsonl.zst and parquet are")
            etag = info.get("ETag") or info.get("etag")
            changed = etag or info.get("LastModified") or info.get("mtime")
            found[path] = AttributeFile(fs.unstrip_protocol(path), int(info["size"]), etag, str(changed))
    return [found[path] for path in sorted(found)]


def value_of(given: Any, settings: ImportedAttribute) -> float | None:
    """One number of an attribute's value; None where there is none. Raises ValueError for what is no such value."""
    if given is None:
        return None
    if isinstance(given, Mapping):
        return value_of(given.get(settings.field), settings)
    if isinstance(given, Sequence) and not isinstance(given, str | bytes):
        return _of_spans(given, settings.spans)
    return float(given)


def _of_spans(spans: Sequence[Any], how: str) -> float | None:
    scores = [float(score) for _, _, score in spans]
    if not scores:
        return None
    if how == "min":
        return min(scores)
    if how == "max":
        return max(scores)
    if how == "sum":
        return math.fsum(scores)
    lengths = [float(end) - float(start) for start, end, _ in spans]
    if not sum(lengths):
        return math.fsum(scores) / len(scores)
    return math.fsum(score * length for score, length in zip(scores, lengths, strict=True)) / math.fsum(lengths)


def entries(file: AttributeFile, settings: ImportedAttribute) -> Iterator[tuple[str, float | None] | None]:
    """Of each row its id and number; None for a row that is no entry. Raises UnreadableFileError where the file is
    damaged."""
    fs, path = url_to_fs(file.url)
    with fs.open(path, "rb") as handle:
        for _, values in read_rows(path, handle, Wanted((), ("id", "attributes"), ENTRY_BYTES)):
            yield _entry(values, settings)


def _entry(values: Mapping[str, Any] | BadRow, settings: ImportedAttribute) -> tuple[str, float | None] | None:
    if isinstance(values, BadRow) or values.get("id") is None or not isinstance(values.get("attributes"), Mapping):
        return None
    id_ = values["id"]
    try:
        value = value_of(values["attributes"].get(settings.attribute), settings)
    except (TypeError, ValueError):
        return None
    return id_.decode() if isinstance(id_, bytes) else str(id_), value


class ImportedScores:
    """The entries of the documents of some cells, read for as many of them at a time as fit into memory.

    `known` is the `content` that the attribute's scores in force were recorded with, null where there are none.
    """

    def __init__(self, lake: Lake, settings: ImportedAttribute, cells: Sequence[Cell], known: Any = None) -> None:
        self.lake = lake
        self.settings = settings
        self.files = list_files(settings)
        # Records of before there were digests name the time of the last change: they stay in force until it changes.
        changed = [[file.url, file.bytes, file.changed] for file in self.files]
        self.content: list[list[Any]] = (
            changed if known == changed else [[file.url, file.bytes, file.content] for file in self.files]
        )
        self._waiting = [cell.shard for cell in cells]
        self._ids: dict[str, pl.Series] = {}
        self._found = pl.DataFrame()
        self.counts = Counts()

    def of(self, cell: Cell) -> pl.DataFrame:
        """`id`, `score` and `reason` of the cell's documents, in their order.

        Reasons: `no_entry`, `no_value` (an entry without this attribute, or without spans), and `several_entries` that
        do not agree.
        """
        if cell.shard not in self._ids:
            self._read(cell.shard)
        ids = self._ids.pop(cell.shard)
        joined = pl.DataFrame({"id": ids}).join(self._found, on="id", how="left", maintain_order="left")
        different = pl.col("values") > 1
        reason = (
            pl.when(pl.col("values").is_null())
            .then(pl.lit(NO_ENTRY))
            .when(different)
            .then(pl.lit(SEVERAL_ENTRIES))
            .when(pl.col("score").is_null())
            .then(pl.lit(NO_VALUE))
        )
        return joined.select("id", score=pl.when(~different).then("score"), reason=reason)

    @property
    def about(self) -> dict[str, int]:
        return {
            "entries in the files": self.counts.entries,
            "entries of no document asked about": self.counts.unknown,
            "rows that are no entry": self.counts.bad,
        }

    def committed(self, cell: Cell) -> None:
        """Nothing was kept."""

    def _read(self, shard: str) -> None:
        """Read the files for this shard and those that follow, up to DOCUMENTS_A_READING documents."""
        later = self._waiting[self._waiting.index(shard) :] if shard in self._waiting else [shard]
        self._ids, documents = {}, 0
        for key in later:
            ids = self.lake.scan(DOCUMENTS, {"shard": [key]}).select("id", "file", "row").sort("file", "row")
            self._ids[key] = ids.collect()["id"]
            documents += len(self._ids[key])
            if documents >= DOCUMENTS_A_READING:
                break
        wanted = pl.DataFrame({"id": pl.concat(list(self._ids.values())).unique()})
        found, self.counts = self._entries(wanted)
        value = pl.col("score")
        self._found = found.group_by("id").agg(values=value.drop_nulls().n_unique(), score=value.drop_nulls().first())

    def _entries(self, wanted: pl.DataFrame) -> tuple[pl.DataFrame, Counts]:
        kept: list[pl.DataFrame] = []
        total = unknown = bad = 0
        for frame in self._frames():
            good = frame.filter(pl.col("id").is_not_null())
            mine = good.join(wanted, on="id", how="semi")
            total, bad = total + good.height, bad + frame.height - good.height
            unknown += good.height - mine.height
            kept.append(mine)
        schema = {"id": pl.String, "score": pl.Float64}
        return pl.concat(kept) if kept else pl.DataFrame(schema=schema), Counts(total, unknown, bad)

    def _frames(self) -> Iterator[pl.DataFrame]:
        rows: list[tuple[str | None, float | None]] = []
        for file in self.files:
            for entry in entries(file, self.settings):
                rows.append(entry or (None, None))
                if len(rows) == ENTRIES_A_FRAME:
                    yield _frame(rows)
                    rows = []
        yield _frame(rows)


def _frame(rows: list[tuple[str | None, float | None]]) -> pl.DataFrame:
    return pl.DataFrame(rows, {"id": pl.String, "score": pl.Float64}, orient="row")
