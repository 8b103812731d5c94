"""A release: the kept text copied out into one folder that stands alone and can be checked.

What belongs here: writing the folder shard by shard, its manifest and checksums, verifying it. What does not: which
documents are kept (`filter.py`), the words of the card (`card.py`), reading the lake.

The folder holds `data/train-*.parquet`, `jsonl/train-*.jsonl.zst` (the same rows in the same order) with a README.md of
their own, `README.md`, `manifest.json` and `SHA256SUMS`. The same inputs give the same bytes in every file.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from datashop_assets.durable import files_below, new_directory, sha256_of, sole_writer
from datashop_assets.filtering.card import Contents, ReleaseFacts, dataset_card, jsonl_card
from datashop_assets.filtering.licenses import license_header
from datashop_assets.seams import PermanentError

COLUMNS = {
    "id": pl.String,
    "text": pl.String,
    "source": pl.String,
    "license": pl.String,
    "score": pl.Float32,
    "int_score": pl.Int8,
    "shard": pl.String,
}
ROWS_A_GROUP = 10_000
ZSTD_LEVEL = 3
# UTF-8 bytes of text in one file; compressed it comes to a third of that or less.
FILE_BYTES = 1_000_000_000
MANIFEST, SUMS, CARD = "manifest.json", "SHA256SUMS", "README.md"
# Part of a release's id. 2: with the licences, and the columns' types beside the jsonl files.
FORMAT = 2
NULLABLE = ("source", "license")


class ReleaseError(PermanentError):
    """A release that cannot be written or is damaged; the message names it and says what to do."""


@dataclass(frozen=True)
class ReleaseInfo:
    """A release that stands. `bytes` are those of its files; `reused` when it was there already.

    `sources` and `licenses` count its documents; those of unknown licence under null.
    """

    release: str
    directory: Path
    documents: int
    bytes: int
    sources: Mapping[str, int]
    licenses: Mapping[str | None, int]
    manifest: Mapping[str, Any]
    reused: bool


def write_release(
    directory: Path, batches: Iterable[pl.DataFrame], facts: ReleaseFacts, *, file_bytes: int = FILE_BYTES
) -> ReleaseInfo:
    """Write the release into `directory`, or leave it as it is where the same release stands there already.

    `batches` are the kept documents in release order, [id, text, source, license, score, ...] as in `COLUMNS`,
    one shard or a part of one at a time; one is in memory at once, and none is asked for where nothing is to be
    written. A file is closed once it holds `file_bytes` of text. All or nothing, also when the process is killed.
    Raises ReleaseError for an empty release, for a batch of other columns or with nulls (but in `NULLABLE`), and
    where `directory` holds another or a damaged release.
    """
    with sole_writer(directory):
        if directory.exists():
            return _standing(directory, facts.release)
        with new_directory(directory) as partial:
            contents = _write_data(partial, batches, facts, file_bytes)
            (partial / CARD).write_text(dataset_card(facts, contents), encoding="utf-8")
            (partial / "jsonl" / CARD).write_text(jsonl_card(facts, COLUMNS), encoding="utf-8")
            manifest = _manifest(partial, facts, contents)
            (partial / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False), encoding="utf-8")
            sums = [f"{sha256_of(path)}  {name}\n" for name, path in files_below(partial).items()]
            (partial / SUMS).write_text("".join(sums), encoding="utf-8")
    return _info(directory, manifest, reused=False)


def verify_release(directory: Path) -> list[str]:
    """What is wrong with a release, each fault naming its file; empty when every byte is as it was written."""
    try:
        manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        lines = (directory / SUMS).read_text(encoding="utf-8").splitlines()
        expected = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
        listed = {file["path"]: file["sha256"] for file in manifest["files"]}
    except FileNotFoundError as error:
        return [f"{Path(error.filename).name} is missing"]
    except (ValueError, KeyError, TypeError) as error:
        return [f"{MANIFEST} or {SUMS} cannot be read: {error}"]
    present = files_below(directory)
    problems = [f"{name} is not listed in {SUMS}" for name in present if name not in expected and name != SUMS]
    for name, digest in {**expected, **listed}.items():
        if name not in present:
            problems.append(f"{name} is missing")
        elif {sha256_of(present[name])} != {digest, expected.get(name)}:
            problems.append(f"{name} was altered")
    return problems


def _standing(directory: Path, release: str) -> ReleaseInfo:
    if problems := verify_release(directory):
        raise ReleaseError(f"release folder {directory} is damaged: {'; '.join(problems)}. Remove it and run again.")
    manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
    if manifest["release"] != release:
        raise ReleaseError(f"{directory} holds release {manifest['release']}, not {release}; give each its own folder")
    return _info(directory, manifest, reused=True)


def _info(directory: Path, manifest: Mapping[str, Any], reused: bool) -> ReleaseInfo:
    size = sum(path.stat().st_size for path in files_below(directory).values())
    licenses: Counter[str | None] = Counter()
    for row in manifest["licenses"]:
        licenses[row["license"]] += row["documents"]
    return ReleaseInfo(
        manifest["release"], directory, manifest["documents"], size, manifest["sources"], licenses, manifest, reused
    )


def _write_data(folder: Path, batches: Iterable[pl.DataFrame], facts: ReleaseFacts, file_bytes: int) -> Contents:
    """Write both formats; files are named at the end, when their number is known."""
    origins: Counter[tuple[str, str | None]] = Counter()
    int_scores: Counter[int] = Counter()
    text_bytes, held, numbers = 0, 0, 0
    kinds = [folder / "data", folder / "jsonl"]
    for kind in kinds:
        kind.mkdir()
    with ExitStack() as closing:
        writer: _Writer | None = None
        for batch in batches:
            for rows in _checked(batch, facts).iter_slices(ROWS_A_GROUP):
                if writer is None or held >= file_bytes:
                    closing.close()
                    writer, held = closing.enter_context(_Writer(folder, numbers)), 0
                    numbers += 1
                writer.write(rows)
                size = int(rows["text"].str.len_bytes().sum())
                held, text_bytes = held + size, text_bytes + size
                for source, licence, documents in rows.group_by("source", "license").len().iter_rows():
                    origins["unknown" if source is None else source, licence] += documents
                int_scores.update(dict(rows["int_score"].value_counts().iter_rows()))
    if not numbers:
        raise ReleaseError(
            f"release {facts.release} of lens {facts.lens.name!r} would be empty: cut-off {facts.cutoff.cutoff} keeps "
            "no document. Lower the bound or raise the share in the project file."
        )
    for kind in kinds:
        for path in sorted(kind.iterdir()):
            number, _, ending = path.name.partition(".")
            path.rename(kind / f"train-{number}-of-{numbers:05d}.{ending}")
    return Contents(text_bytes, dict(origins), dict(int_scores))


class _Writer:
    """One Parquet file and one jsonl.zst file, open at the same time, with the same rows."""

    def __init__(self, folder: Path, number: int) -> None:
        self._files = ExitStack()
        # Text in one row group can exceed the 2 GiB that 32-bit offsets address, hence large_string in memory; without
        # the stored Arrow schema readers see plain strings.
        schema = pl.DataFrame(schema=COLUMNS).to_arrow(compat_level=pl.CompatLevel.oldest()).schema
        self._parquet = self._files.enter_context(
            pq.ParquetWriter(
                folder / "data" / f"{number:05d}.parquet",
                schema,
                compression="zstd",
                compression_level=ZSTD_LEVEL,
                store_schema=False,
            )
        )
        raw = self._files.enter_context((folder / "jsonl" / f"{number:05d}.jsonl.zst").open("wb"))
        compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_checksum=True)
        self._lines = self._files.enter_context(compressor.stream_writer(raw))

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, *failure: object) -> None:
        self._files.close()

    def write(self, rows: pl.DataFrame) -> None:
        table: pa.Table = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
        self._parquet.write_table(table)
        self._lines.write(rows.write_ndjson().encode())


def _checked(batch: pl.DataFrame, facts: ReleaseFacts) -> pl.DataFrame:
    wrong = [
        f"{c} is {batch.schema.get(c, 'missing')}, not {d}" for c, d in COLUMNS.items() if batch.schema.get(c) != d
    ]
    if wrong:
        raise ReleaseError(f"release {facts.release}: a batch does not fit: {'; '.join(wrong)}")
    rows = batch.select(list(COLUMNS))
    nulls = [column for column in COLUMNS if column not in NULLABLE and rows[column].null_count()]
    if nulls:
        shards = rows["shard"].unique().to_list()
        raise ReleaseError(f"release {facts.release}: null {', '.join(nulls)} among the kept documents of {shards}")
    return rows


def _manifest(folder: Path, facts: ReleaseFacts, contents: Contents) -> dict[str, Any]:
    files = []
    for name, path in files_below(folder).items():
        entry: dict[str, Any] = {"path": name, "bytes": path.stat().st_size, "sha256": sha256_of(path)}
        if path.suffix == ".parquet":
            entry["rows"] = pq.read_metadata(path).num_rows
        files.append(entry)
    rows = {entry["path"].split("-")[1]: entry["rows"] for entry in files if "rows" in entry}
    for entry in files:
        if entry["path"].endswith(".jsonl.zst"):
            entry["rows"] = rows[entry["path"].split("-")[1]]
    cutoff = asdict(facts.cutoff)
    return {
        "format": FORMAT,
        "release": facts.release,
        "lens": {"name": facts.lens.name, "title": facts.lens.title, "version": facts.lens.version},
        "rater": facts.rater,
        "classifier": facts.cutoff.classifier,
        "quality": {name: asdict(estimate) for name, estimate in facts.quality.items()},
        "cutoff": cutoff | {"shards": list(facts.cutoff.shards), "created_at": facts.cutoff.created_at.isoformat()},
        "tables": dict(facts.tables),
        **license_header(contents.licenses),
        "documents": contents.documents,
        "documents_without_license": contents.licenses.get(None, 0),
        "text_bytes": contents.text_bytes,
        "sources": dict(sorted(contents.sources.items())),
        "licenses": [
            {"source": source, "license": licence, "documents": documents}
            for (source, licence), documents in contents.by_origin()
        ],
        "int_scores": {str(score): count for score, count in sorted(contents.int_scores.items())},
        "files": files,
    }
