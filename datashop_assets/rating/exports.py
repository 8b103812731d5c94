"""Ratings to files: every annotation of a lens with its document, as JSONL or Parquet, and tables as CSV.

What belongs here: what an exported rating looks like, and writing it shard by shard, so that a million ratings need
little memory. What does not: reading ratings made elsewhere (`imports.py`), the command (`interchange.py`).
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from datashop_assets.durable import replaced_file
from datashop_assets.rating.lens import Lens
from datashop_assets.records import ANNOTATIONS, DOCUMENTS
from datashop_assets.seams import Exports, Lake

# Columns of an exported rating, in order. What was judged comes last, and only where it is asked for.
EXPORTED = [
    "lens",
    "dataset",
    "shard",
    "id",
    "source",
    "rater",
    "score",
    "reason",
    "rationale",
    "criteria",
    "labels",
    "confidence",
    "chunks",
    "raw",
    "text_sha",
    "lens_version",
    "rated_at",
]
JUDGED = ["text", "fields"]
ENDINGS = (".jsonl", ".parquet")


def rating_frames(
    lake: Lake,
    lens: Lens,
    *,
    raters: Sequence[str] | None = None,
    every_version: bool = False,
    with_text: bool = False,
) -> Iterator[pl.DataFrame]:
    """The annotations of the lens, shard by shard, with their documents' dataset, source and (asked for) `text` and
    `fields`.

    Failed judgements are rows as well. Of earlier versions of the lens only with `every_version`; of all raters where
    none is named. A rating whose document is gone, or has another text by now, stays, with null `dataset`, `source`,
    `text` and `fields`; its shard, id and text_sha still say what was rated.
    """
    ratings = ANNOTATIONS.of(lens.name)
    cells = lake.cells(ratings)
    for shard in sorted(set(cells["shard"])):
        rows = lake.scan(ratings, {"shard": [shard]})
        if raters is not None:
            rows = rows.filter(pl.col("rater").is_in(list(raters)))
        if not every_version:
            rows = rows.filter(pl.col("lens_version") == lens.version)
        columns = ["id", "text_sha", "dataset", "source", *(JUDGED if with_text else [])]
        documents = lake.scan(DOCUMENTS, {"shard": [shard]}).select(columns)
        frame = (
            rows.join(documents, on=["id", "text_sha"], how="left")
            .with_columns(lens=pl.lit(lens.name))
            .select([*EXPORTED, *(JUDGED if with_text else [])])
            .sort("id", "rater", "rated_at")
            .collect()
        )
        if frame.height:
            yield frame


def as_record(row: dict[str, Any]) -> dict[str, Any]:
    """An exported row as JSON shows it: criteria as `{name: score}`, labels as `{set: [labels]}`, times in ISO 8601,
    and the fields of a record as they were."""
    labels: dict[str, list[str]] = {}
    for label in row["labels"] or []:
        labels.setdefault(label["set"], []).append(label["label"])
    fields = {"fields": json.loads(row["fields"] or "null")} if "fields" in row else {}
    return row | {
        **fields,
        "criteria": {criterion["name"]: criterion["score"] for criterion in row["criteria"] or []},
        "labels": labels,
        "rated_at": row["rated_at"].isoformat(),
    }


def export_ratings(
    lake: Lake,
    lens: Lens,
    file: Path,
    *,
    raters: Sequence[str] | None = None,
    every_version: bool = False,
    with_text: bool = False,
) -> int:
    """Write the ratings of `rating_frames` to a .jsonl or .parquet file, replaced whole; returns how many.

    Raises ValueError for another ending. Without any rating the file has no rows.
    """
    if file.suffix not in ENDINGS:
        raise ValueError(f"{file} must end in one of {', '.join(ENDINGS)}: that is how the format is chosen")
    frames = rating_frames(lake, lens, raters=raters, every_version=every_version, with_text=with_text)
    with replaced_file(file) as partial:
        return _write_jsonl(frames, partial) if file.suffix == ".jsonl" else _write_parquet(frames, partial, with_text)


def write_csv(frame: pl.DataFrame, file: Path) -> Path:
    """Replace the file by the frame; an empty frame gives the header alone."""
    with replaced_file(file) as partial:
        frame.write_csv(partial)
    return file


def publish_csv(frame: pl.DataFrame, summaries: Exports, folder: str, file: str) -> str:
    """`write_csv` to a file in a folder of the project's summaries; gives its path or URL."""
    write_csv(frame, summaries.folder(folder) / file)
    summaries.refresh(folder)
    return f"{summaries.place(folder)}/{file}"


def _write_jsonl(frames: Iterator[pl.DataFrame], file: Path) -> int:
    count = 0
    with file.open("w", encoding="utf-8") as stream:
        for frame in frames:
            for row in frame.iter_rows(named=True):
                stream.write(json.dumps(as_record(row), ensure_ascii=False) + "\n")
                count += 1
    return count


def _write_parquet(frames: Iterator[pl.DataFrame], file: Path, with_text: bool) -> int:
    columns = {**DOCUMENTS.columns, **ANNOTATIONS.columns, "lens": pl.String}
    empty = pl.DataFrame(schema={name: columns[name] for name in [*EXPORTED, *(JUDGED if with_text else [])]})
    count = 0
    with pq.ParquetWriter(file, empty.to_arrow().schema, compression="zstd") as writer:
        for frame in frames:
            writer.write_table(frame.to_arrow())
            count += frame.height
    return count
