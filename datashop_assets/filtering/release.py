"""A release: the kept text copied out into one folder that stands alone and can be checked.

What belongs here: writing the folder a row group at a time, its manifest and checksums, verifying it. What does not:
which documents are kept (`filter.py`), reading them (`texts.py`), the files of each format (`formats.py`), the words
of the card (`card.py`).

The folder holds, of the formats that are asked for, `data/train-*.parquet`, `jsonl/train-*.jsonl.zst` (the same rows in
the same order, with a README.md of their own) and `tokenized/train-*` (their tokens), and `README.md`, `manifest.json`
and `SHA256SUMS`. The same inputs give the same bytes in every file.
"""

import errno
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl
import zstandard

from datashop_assets.durable import files_below, new_directory, sha256_of, sole_writer
from datashop_assets.filtering.best_first import best_first
from datashop_assets.filtering.card import dataset_card, jsonl_card
from datashop_assets.filtering.facts import Contents, ReleaseFacts, Tokenized
from datashop_assets.filtering.formats import COLUMNS, FOLDERS, Open, openers
from datashop_assets.filtering.licenses import license_header
from datashop_assets.filtering.token_files import token_dtype
from datashop_assets.lineage import content_id
from datashop_assets.release_settings import ReleaseSettings
from datashop_assets.seams import PermanentError
from datashop_assets.tokens import TextTokenizer

MANIFEST, SUMS, CARD = "manifest.json", "SHA256SUMS", "README.md"
# Part of a release's id. 2: with the licences, and the columns' types beside the jsonl files. 3: row groups are the
# reader's, and the manifest has the settings and the content's id.
FORMAT = 3
NULLABLE = ("source", "license")
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


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
    directory: Path, batches: Iterable[pl.DataFrame], facts: ReleaseFacts, tokenizer: TextTokenizer | None = None
) -> ReleaseInfo:
    """Write the release into `directory`, or leave it as it is where the same release stands there already.

    `batches` are the kept documents in release order, [id, text, source, license, score, ...] as in
    `formats.COLUMNS`, and `characters_removed` where parts of texts were cut out. One is in memory at a time, and none
    is asked for where nothing is to be written; it is written in row groups of the settings' rows or fewer. A file is
    closed once it holds the settings' bytes of text. All or nothing, also when the process is killed.
    Raises ReleaseError for an empty release, for a batch of other columns or with nulls (but in `NULLABLE`), where
    there is no room left, and where `directory` holds another or a damaged release.
    """
    with sole_writer(directory):
        if directory.exists():
            return _standing(directory, facts.release)
        try:
            with new_directory(directory) as partial:
                contents = _write_data(partial, batches, facts, tokenizer)
                (partial / CARD).write_text(dataset_card(facts, contents, COLUMNS), encoding="utf-8")
                if "jsonl" in facts.settings.formats:
                    (partial / FOLDERS["jsonl"] / CARD).write_text(jsonl_card(facts, COLUMNS), encoding="utf-8")
                manifest = _manifest(partial, facts, contents)
                (partial / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False), encoding="utf-8")
                sums = {file["path"]: file["sha256"] for file in manifest["files"]}
                sums[MANIFEST] = sha256_of(partial / MANIFEST)
                lines = [f"{digest}  {name}\n" for name, digest in sorted(sums.items())]
                (partial / SUMS).write_text("".join(lines), encoding="utf-8")
        except OSError as error:
            if error.errno not in FULL:
                raise
            raise ReleaseError(
                f"release {facts.release} of lens {facts.lens.name!r}: no room for its files below {directory.parent} "
                f"({error.strerror or error}). Nothing of it is left there. Make room, or set DATASHOP_HOME to a "
                "larger disk, and materialize `release` again."
            ) from error
    return _info(directory, manifest, reused=False)


def verify_release(directory: Path) -> list[str]:
    """What is wrong with a release, each fault naming its file; empty when every byte is as it was written."""
    try:
        manifest = read_manifest(directory)
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


def read_manifest(directory: Path) -> dict[str, Any]:
    """What a release says of itself."""
    manifest: dict[str, Any] = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
    return manifest


def first_rows(directory: Path, rows: int) -> pl.DataFrame:
    """The first rows of a release in its first file, with the columns of `COLUMNS`; none where it has only tokens."""
    if data := sorted((directory / FOLDERS["parquet"]).glob("*.parquet")):
        return pl.scan_parquet(data[0]).head(rows).collect()
    if lines := sorted((directory / FOLDERS["jsonl"]).glob("*.jsonl.zst")):
        with zstandard.open(lines[0], "rt", encoding="utf-8", newline="\n") as file:
            return pl.DataFrame([json.loads(line) for line in islice(file, rows)], schema=COLUMNS)
    return pl.DataFrame(schema=COLUMNS)


def _standing(directory: Path, release: str) -> ReleaseInfo:
    if problems := verify_release(directory):
        raise ReleaseError(f"release folder {directory} is damaged: {'; '.join(problems)}. Remove it and run again.")
    manifest = read_manifest(directory)
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


def _write_data(
    folder: Path, batches: Iterable[pl.DataFrame], facts: ReleaseFacts, tokenizer: TextTokenizer | None
) -> Contents:
    """Write every format; files are named at the end, when their number is known."""
    settings, formats = facts.settings, openers(facts.settings, tokenizer)
    origins: Counter[tuple[str, str | None]] = Counter()
    int_scores: Counter[int] = Counter()
    text_bytes = held = removed = 0
    files: list[_File] = []
    for name in formats:
        (folder / name).mkdir()
    with ExitStack() as closing:
        for batch in batches:
            if "characters_removed" in batch.columns:
                removed += int(batch["characters_removed"].sum())
            for rows in _checked(batch, facts).iter_slices(settings.row_group_rows):
                if not files or held >= settings.file_bytes:
                    closing.close()
                    files.append(closing.enter_context(_File(folder, len(files), formats, settings)))
                    held = 0
                files[-1].write(rows)
                size = int(rows["text"].str.len_bytes().sum())
                held, text_bytes = held + size, text_bytes + size
                for source, licence, documents in rows.group_by("source", "license").len().iter_rows():
                    origins["unknown" if source is None else source, licence] += documents
                int_scores.update(dict(rows["int_score"].value_counts().iter_rows()))
    if not files:
        raise ReleaseError(
            f"release {facts.release} of lens {facts.lens.name!r} would be empty: cut-off {facts.cutoff.cutoff} keeps "
            "no document. Lower the bound or raise the share in the project file."
        )
    for name in formats:
        for path in sorted((folder / name).iterdir()):
            number, _, ending = path.name.partition(".")
            path.rename(folder / name / f"train-{number}-of-{len(files):05d}.{ending}")
    tokenized = None
    if "tokenized" in settings.formats and tokenizer is not None:
        tokenized = Tokenized(
            tokenizer=tokenizer.name,
            tokenizer_id=tokenizer.id,
            vocabulary=tokenizer.vocabulary,
            eos=tokenizer.eos,
            dtype=token_dtype(tokenizer.vocabulary),
            tokens=sum(file.tokens for file in files),
        )
    rows_of_files = tuple(file.rows for file in files)
    return Contents(text_bytes, dict(origins), dict(int_scores), rows_of_files, removed, tokenized)


class _File:
    """One file of each format, open at the same time, with the same rows in the same order."""

    def __init__(self, folder: Path, number: int, formats: Mapping[str, Open], settings: ReleaseSettings) -> None:
        self.rows = self.tokens = 0
        self.write: Callable[[pl.DataFrame], None] = self._write
        self._files = ExitStack()
        stems = {name: folder / name / f"{number:05d}" for name in formats}
        self._writes = [self._files.enter_context(formats[name](stem)) for name, stem in stems.items()]
        if settings.sort_by_score == "within_files":
            sort = best_first(folder / "unsorted", self._write, settings.row_group_rows)
            self.write = self._files.enter_context(sort)

    def __enter__(self) -> "_File":
        return self

    def __exit__(self, *failure: Any) -> None:
        self._files.__exit__(*failure)

    def _write(self, rows: pl.DataFrame) -> None:
        self.rows += rows.height
        self.tokens += sum(write(rows) for write in self._writes)


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
        if path.name.startswith("train-"):
            entry["rows"] = contents.file_rows[int(path.name.split("-")[1])]
        files.append(entry)
    cutoff = facts.cutoff.to_row() | {"created_at": facts.cutoff.created_at.isoformat()}
    for bound in cutoff["lower_by_source"]:
        bound["lower"] = bound["lower"] if math.isfinite(bound["lower"]) else None  # JSON has no infinity
    return {
        "format": FORMAT,
        "release": facts.release,
        "content": content_id([[file["path"], file["sha256"]] for file in files if "rows" in file]),
        "lens": {"name": facts.lens.name, "title": facts.lens.title, "version": facts.lens.version},
        "rater": facts.rater,
        "classifier": facts.cutoff.classifier,
        "quality": {name: asdict(estimate) for name, estimate in facts.quality.items()},
        "cutoff": cutoff,
        "settings": facts.settings.model_dump(mode="json"),
        "tables": dict(facts.tables),
        **license_header(contents.licenses),
        "documents": contents.documents,
        "documents_without_license": contents.licenses.get(None, 0),
        "text_bytes": contents.text_bytes,
        "characters_removed": contents.characters_removed,
        "tokenized": asdict(contents.tokenized) if contents.tokenized else None,
        "sources": dict(sorted(contents.sources.items())),
        "licenses": [
            {"source": source, "license": licence, "documents": documents}
            for (source, licence), documents in contents.by_origin()
        ],
        "int_scores": {str(score): count for score, count in sorted(contents.int_scores.items())},
        "files": files,
    }
