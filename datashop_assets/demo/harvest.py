"""Writes the demo's crawl: real texts of this machine as crawl files in several formats.

What belongs here: the mix, the crawl files, and the few broken rows that any crawl has. What does not: finding the
texts (`sources.py`), the command line (`__main__.py`).
"""

import gzip
import hashlib
import json
import random
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from datashop_assets.demo.sources import SOURCES, SourceText

Crawl = Literal["first", "later"]

FOLDERS: Mapping[Crawl, str] = {"first": "crawl-2026-10", "later": "crawl-2026-11"}
DOCUMENTS: Mapping[Crawl, int] = {"first": 1600, "later": 150}
# Shares of the mix in per cent; it sums to 100.
MIX = {
    "encyclopedia": 20,
    "language_reference": 13,
    "python_code": 20,
    "readme": 16,
    "license": 11,
    "generated_code": 10,
    "minified_js": 10,
}
# Of each source's texts, so many per cent are kept for the later crawl, so that it brings new ones only.
LATER_SHARE = 10
DOCUMENTS_PER_FILE = 50
FEWEST_FILES = 8
# In this order, four files in a row have 142 to 155 kB and three of them at most 88 kB. So at a shard_bytes
# of 110,000 each four make a shard of 200 documents, also where other package versions bring somewhat other texts.
FORMATS = ("parquet", "jsonl.zst", "jsonl.gz", "arrow", "parquet", "jsonl.zst", "jsonl.gz", "jsonl")
WITH_BROKEN_ROWS = ("jsonl.gz", "jsonl")
REPORT = "_report.json"  # names that start with an underscore are no crawl files

Row = dict[str, Any]


class HarvestError(RuntimeError):
    """Too little text on this machine for the demo; the message names what is missing and what to install."""


@dataclass(frozen=True)
class HarvestReport:
    """What a crawl holds. `written` is False where it was there already.

    `documents` counts good rows, by `sources`; `broken` counts the rows that were spoilt on purpose, by what is wrong
    with them; `shortfall` is how many texts of a source the mix asked for beyond what this machine has.
    """

    crawl: str
    folder: str
    files: int
    bytes: int
    documents: int
    sources: dict[str, int]
    broken: dict[str, int]
    shortfall: dict[str, int]
    written: bool

    def __str__(self) -> str:
        sources = ", ".join(f"{count} {name}" for name, count in self.sources.items())
        broken = ", ".join(f"{count} {name}" for name, count in self.broken.items()) or "none"
        short = "".join(f"\n  too few {name}: {count} short" for name, count in self.shortfall.items())
        return (
            f"{'wrote' if self.written else 'found'} {self.documents} documents in {self.files} files "
            f"({self.bytes / 1e6:.1f} MB) under {self.folder}: {sources}; rows broken on purpose: {broken}{short}"
        )


def harvest(landing: Path, *, crawl: Crawl = "first", documents: int | None = None, seed: int = 0) -> HarvestReport:
    """Write a crawl below the landing folder, all or nothing; a crawl that is there is left as it is.

    The same installed packages, seed and number of documents give the same texts in the same files. The crawl
    `later` holds no text of the crawl `first` of the same seed. Raises HarvestError where less than half of the
    documents is found, or where the landing holds files of somebody else.
    """
    folder = landing / FOLDERS[crawl]
    if (folder / REPORT).is_file():
        return HarvestReport(**(json.loads((folder / REPORT).read_text()) | {"folder": str(folder), "written": False}))
    mine = set(FOLDERS.values())
    if others := sorted(path.name for path in landing.glob("*") if path.name.lstrip(".").split(".")[0] not in mine):
        raise HarvestError(
            f"{landing} holds {', '.join(others[:3])}, which the demo did not write; it adds its texts to no corpus "
            "but its own. Give the demo an empty folder, or move those files away"
        )
    wanted = DOCUMENTS[crawl] if documents is None else documents
    quotas = {name: max(1, round(wanted * share / 100)) for name, share in MIX.items()}
    chosen = {name: _choose(name, crawl, quota, seed) for name, quota in quotas.items()}
    texts = [text for found in chosen.values() for text in found]
    shortfall = {name: quotas[name] - len(found) for name, found in chosen.items() if len(found) < quotas[name]}
    if 2 * len(texts) < wanted:
        raise HarvestError(
            f"{len(texts)} of {wanted} documents found; too few texts of {', '.join(shortfall)}. Install the demo's "
            "packages (make demo does), or ask for fewer documents"
        )
    random.Random(seed).shuffle(texts)

    unfinished = landing / f".{FOLDERS[crawl]}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    broken = _write_files(unfinished, [_row(text) for text in texts], crawl)
    files = [file for file in unfinished.rglob("*") if file.suffix in (".parquet", ".zst", ".gz", ".jsonl", ".arrow")]
    report = HarvestReport(
        crawl=crawl,
        folder=str(folder),
        files=len(files),
        bytes=sum(file.stat().st_size for file in files),
        documents=len(texts),
        sources={name: len(found) for name, found in chosen.items()},
        broken=broken,
        shortfall=shortfall,
        written=True,
    )
    (unfinished / REPORT).write_text(json.dumps(asdict(report), indent=2))
    unfinished.rename(folder)
    return report


def _choose(name: str, crawl: Crawl, quota: int, seed: int) -> list[SourceText]:
    """Up to `quota` different texts of a source, chosen by a hash, from the crawl's own part of them."""

    def rank(text: SourceText) -> str:
        return hashlib.sha256(f"{seed}\0{text.text}".encode()).hexdigest()

    ranked = sorted({text.text: text for text in SOURCES[name]()}.values(), key=rank)
    kept_back = len(ranked) * LATER_SHARE // 100
    return (ranked[kept_back:] if crawl == "first" else ranked[:kept_back])[:quota]


def _row(text: SourceText) -> Row:
    identity = hashlib.sha256(f"{text.origin}\0{text.text}".encode()).hexdigest()[:16]
    return {
        "id": f"{text.source}-{identity}",
        "text": text.text,
        "source": text.source,
        "origin": text.origin,
        "license": text.license,
    }


def _write_files(folder: Path, rows: Sequence[Row], crawl: Crawl) -> dict[str, int]:
    """Spread the rows over crawl files; the counts of the broken rows that were put among them."""
    if crawl == "later":
        _write(folder / "part-00000", "jsonl.zst", [_line(row) for row in rows], rows)
        return {}
    count = max(FEWEST_FILES, round(len(rows) / DOCUMENTS_PER_FILE))
    broken: Counter[str] = Counter()
    for number in range(count):
        kind = FORMATS[number % len(FORMATS)]
        part = rows[number::count]
        lines = [_line(row) for row in part]
        if kind in WITH_BROKEN_ROWS:
            fault, line = _broken_line(number, part[0])
            lines.insert(len(lines) // 2, line)
            broken[fault] += 1
        _write(folder / f"part-{number:05d}", kind, lines, part)
    return dict(sorted(broken.items()))


def _broken_line(number: int, row: Row) -> tuple[str, bytes]:
    """A row as crawls have them, and what is wrong with it; another fault in each file."""
    faults = [
        ("cut off", _line(row)[: len(_line(row)) // 2]),
        ("null text", _line(row | {"text": None})),
        ("repeated", _line(row)),
        ("empty text", _line(row | {"text": "\n"})),
        (
            "not UTF-8",
            json.dumps(row | {"text": "caf\u00e9 cr\u00e8me"}, ensure_ascii=False).encode("latin-1", "replace"),
        ),
        ("no text column", _line({name: value for name, value in row.items() if name != "text"})),
    ]
    return faults[number % len(faults)]


def _line(row: Row) -> bytes:
    return json.dumps(row, ensure_ascii=False).encode()


def _write(place: Path, kind: str, lines: Sequence[bytes], rows: Sequence[Row]) -> None:
    content = b"\n".join(lines) + b"\n"
    target = place.with_name(f"{place.name}.{kind}")
    match kind:
        case "parquet":
            pq.write_table(pa.Table.from_pylist(list(rows)), target, compression="zstd")
        case "jsonl.zst":
            target.write_bytes(zstandard.compress(content))
        case "jsonl.gz":
            target.write_bytes(gzip.compress(content, mtime=0))  # no time in it: the same rows, the same bytes
        case "jsonl":
            target.write_bytes(content)
        case "arrow":
            _save_to_disk(place, pa.Table.from_pylist(list(rows)))
        case _:
            raise ValueError(f"no writer for {kind}")


def _save_to_disk(folder: Path, table: pa.Table) -> None:
    """The folder that `datasets.Dataset.save_to_disk` writes; `datasets.load_from_disk` reads it."""
    folder.mkdir()
    name = "data-00000-of-00001.arrow"
    with pa.OSFile(str(folder / name), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    state: dict[str, Any] = {
        "_data_files": [{"filename": name}],
        "_fingerprint": folder.name,
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text("{}")
