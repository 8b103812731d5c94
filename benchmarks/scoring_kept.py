"""Scoring again with a new head over kept vectors: part of `python -m benchmarks.scoring`, which prints it.

Two comparisons, in processor seconds of the same process. A new head over stored float16 vectors (unpacking and the
product) against encoding the documents again. The commit of a narrow score table (the lake's own, as the `scores` asset
makes it) against writing the documents again with their scores beside the text (polars, zstd, streaming).
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets.classifier.head import Head, int_scores
from datashop_assets.embedding.embed import pack, unpack
from datashop_assets.rating.lens_folder import load_lens
from datashop_assets.records import SCORES
from resources.lake import DeltaLake

ROWS_PER_FILE = 10_000


def head_seconds(vectors: NDArray[np.float32], head: Head, rows: int, rounds: int) -> list[float]:
    """Seconds a document for unpacking and scoring so many stored vectors (these, again and again)."""
    stored = pl.Series("embedding", pack(vectors[np.arange(rows) % len(vectors)]), dtype=pl.Binary)
    return [_seconds(lambda: head.predict(unpack(stored))) / rows for _ in range(rounds)]


def commit_ratios(texts: Sequence[str], rows: int, rounds: int) -> list[float]:
    """Seconds for text and score written again, over those for a commit of scores: one ratio a round."""
    lens = load_lens(Path("datashop_assets/lenses/educational_value"))
    scores = np.random.default_rng(0).normal(2, 1, rows).astype(np.float32)
    ids = _ids(0, rows)
    table = pl.DataFrame({"id": ids, "score": scores, "int_score": int_scores(scores, lens)}).with_columns(
        pl.lit("benchmark").alias("classifier"), pl.lit("shard").alias("shard"), pl.lit("1").alias("version")
    )
    cell = [{"classifier": "benchmark", "shard": "shard", "version": "1"}]
    frame = pl.LazyFrame({"score": scores})
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "documents"
        _write(source, texts, rows)
        wide = pl.concat([pl.scan_parquet(source / "*.parquet"), frame], how="horizontal")
        for number in range(rounds):
            lake = DeltaLake(f"{folder}/lake{number}")
            narrow_s = _seconds(lambda lake=lake: lake.commit(SCORES.of("benchmark"), table, cell, {}))
            wide_s = _seconds(lambda: wide.sink_parquet(Path(folder) / "wide.parquet", compression="zstd"))
            ratios.append(wide_s / narrow_s)
    return ratios


def _write(folder: Path, texts: Sequence[str], rows: int) -> None:
    """The documents, in files of 10,000; no two texts are equal, or they would compress away."""
    folder.mkdir()
    for start in range(0, rows, ROWS_PER_FILE):
        numbers = range(start, min(start + ROWS_PER_FILE, rows))
        turned = [(text := texts[row % len(texts)])[(cut := row * 31 % len(text)) :] + text[:cut] for row in numbers]
        frame = pl.DataFrame({"id": _ids(numbers.start, numbers.stop), "text": turned})
        frame.write_parquet(folder / f"{start:09}.parquet", compression="zstd")


def _ids(start: int, stop: int) -> list[str]:
    return [f"{row:032x}" for row in range(start, stop)]


def _seconds(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def median_of(values: Sequence[float], digits: int = 2) -> float:
    return round(statistics.median(values), digits)
