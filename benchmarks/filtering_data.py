"""The corpus of `benchmarks.filtering`: real texts, each row another pair of them, as a lake and as the peers' files.

    python -m benchmarks.filtering_data ROWS FOLDER [--jsonl]

The texts are those of the demo's sources (8,800 of 1,180 characters on average); a row joins two that are drawn at
random, so that there are 77 million different rows. Scores are drawn from a normal distribution: nothing that is
measured here depends on what they mean. FOLDER gets `lake` (shards of 100,000 documents, and their scores),
`wide` (parquet with the text and its score in one table, ten row groups a file, as corpora are published), with
`--jsonl` also `jsonl` (dolma's layout: documents, and attributes beside them), and `facts.json`.
"""

import argparse
import gzip
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.filtering_ours import CLASSIFIER, KEPT_SHARE, LENS
from datashop_assets.classifier.registry import ClassifierRecord, record_classifier
from datashop_assets.corpus.registry import register
from datashop_assets.demo.sources import SOURCES
from datashop_assets.records import DOCUMENTS, SCORES, CrawlFile, Shard
from resources.lake import DeltaLake

SEED, ROWS_A_SHARD, FILE_ROWS, GROUPS_A_FILE = 2026, 100_000, 1_000, 10
# What a version of filtered documents follows from: nothing is trained here, and no field but its names is read.
TRAINED = ClassifierRecord(
    lens=LENS,
    classifier=CLASSIFIER,
    encoder="benchmark",
    recipe="linear",
    uri="none",
    inputs_version="benchmark",
    metrics="{}",
    passed=True,
    verdict="not trained",
    trained_at=datetime(2026, 1, 1, tzinfo=UTC),
)


def shards(rows: int) -> Iterator[pl.DataFrame]:
    """DOCUMENTS rows with a column `score`, a shard at a time."""
    found = [(name, text.text) for name, texts in SOURCES.items() for text in texts()]
    draw = np.random.default_rng(SEED)
    for start in range(0, rows, ROWS_A_SHARD):
        count = min(ROWS_A_SHARD, rows - start)
        pairs = draw.integers(0, len(found), (count, 2)).tolist()
        texts = [f"{found[first][1]}\n\n{found[second][1]}" for first, second in pairs]
        columns = {
            "shard": f"web-{start // ROWS_A_SHARD:05d}",
            "id": [hashlib.sha256(f"{SEED} {start + number}".encode()).hexdigest()[:32] for number in range(count)],
            "dataset": "web",
            "source": [found[first][0] for first, _ in pairs],
            "license": None,
            "text": texts,
            "text_sha": [hashlib.sha256(text.encode()).hexdigest()[:32] for text in texts],
            "chars": [len(text) for text in texts],
            "file": [f"crawl/part-{(start + number) // FILE_ROWS:05d}.parquet" for number in range(count)],
            "row": [number % FILE_ROWS for number in range(count)],
            "fields": None,
            "version": "documents",
        }
        frame = pl.DataFrame(columns, schema=DOCUMENTS.schema)
        yield frame.with_columns(score=pl.Series(draw.normal(1.5, 1.0, count).astype(np.float32)))


def build(rows: int, folder: Path, jsonl: bool) -> None:
    """Write the corpus below `folder`."""
    lake = DeltaLake(str(folder / "lake"))
    record_classifier(lake, TRAINED, {})
    (folder / "wide").mkdir(parents=True)
    scores, text_bytes = [], 0
    for number, shard in enumerate(shards(rows)):
        name = shard["shard"][0]
        lake.commit(DOCUMENTS, shard.select(list(DOCUMENTS.columns)), [{"shard": name, "version": "documents"}], {})
        rounded = pl.col("score").round().clip(0, 5).cast(pl.Int8)
        made = shard.select("shard", "id", "score", classifier=pl.lit(CLASSIFIER), int_score=rounded)
        made = made.with_columns(version=pl.lit("scores")).select(list(SCORES.columns))
        cell = {"classifier": CLASSIFIER, "shard": name, "version": "scores"}
        lake.commit(SCORES.of(LENS), made, [cell], {})
        wide = shard.select("id", "text", "source", "license", "shard", "score", int_score=rounded)
        wide.write_parquet(
            folder / "wide" / f"part-{number:05d}.parquet",
            compression="zstd",
            compression_level=3,
            row_group_size=-(-shard.height // GROUPS_A_FILE),
        )
        if jsonl:
            _write_jsonl(folder / "jsonl", number, shard)
        register(lake, [Shard("web", name, number, (CrawlFile(f"crawl/{name}", 0, name),), False)], {})
        scores.append(shard["score"])
        text_bytes += int(shard["text"].str.len_bytes().sum())
    every = pl.concat(scores)
    bound = every.quantile(1 - KEPT_SHARE, "nearest")
    facts = {"rows": rows, "text_bytes": text_bytes, "bound": bound, "kept": int((every >= bound).sum())}
    (folder / "facts.json").write_text(json.dumps(facts))


def _write_jsonl(folder: Path, number: int, shard: pl.DataFrame) -> None:
    for kind in ("documents", "attributes/score"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    name = f"part-{number:05d}.jsonl.gz"
    with (
        gzip.open(folder / "documents" / name, "wt", compresslevel=4, encoding="utf-8") as documents,
        gzip.open(folder / "attributes" / "score" / name, "wt", compresslevel=4, encoding="utf-8") as attributes,
    ):
        for id_, text, source, score in shard.select("id", "text", "source", "score").iter_rows():
            documents.write(json.dumps({"id": id_, "text": text, "source": source}, ensure_ascii=False) + "\n")
            spans = {"score__value__value": [[0, len(text), score]]}
            attributes.write(json.dumps({"id": id_, "attributes": spans}) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jsonl", action="store_true")
    asked = parser.parse_args()
    build(asked.rows, asked.folder, asked.jsonl)
