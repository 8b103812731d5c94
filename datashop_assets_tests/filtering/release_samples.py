"""What the tests of releases write: two shards of awkward texts, and the facts of a lens."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from datashop_assets.estimate import Estimate
from datashop_assets.filtering.cutoff import CutoffRecord
from datashop_assets.filtering.facts import ReleaseFacts
from datashop_assets.filtering.formats import COLUMNS
from datashop_assets.rating.lens import Lens
from datashop_assets.release_settings import ReleaseSettings

# Text that breaks careless writers: line and paragraph separators, quotes, a null, a lone BOM, braces, emoji.

FORMATS = ["parquet", "jsonl", "tokenized"]
AWKWARD = 'line\nand\r\n"quote" \\ \u2028 \u2029 \x00 \ufeff {x} 😀 é'


def facts(release: str = "0123456789abcdef", **settings: Any) -> ReleaseFacts:
    lens = Lens(
        "teaching", "Teaching value", "does it teach? {yes} | no", 0, 5, 3, 4000, "s", "p {{ document }}", exemplars=()
    )
    cutoff = CutoffRecord(
        lens="teaching",
        cutoff="c" * 16,
        classifier="a" * 16,
        policy='{"keep_fraction": 0.25}',
        lower=2.5,
        upper=None,
        reverse=False,
        kept_share=0.2512,
        documents=20,
        shards=("crawl-0", "crawl-1"),
        created_at=datetime(2026, 1, 2, tzinfo=UTC),
    )
    return ReleaseFacts(
        release=release,
        lens=lens,
        cutoff=cutoff,
        rater="embedded (model)",
        quality={"spearman": Estimate(0.71, 0.62, 0.79, 412)},
        tables={"documents": 4, "scores/teaching": 2},
        settings=ReleaseSettings(**settings),
    )


def batch(shard: str, rows: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "id": [f"d{n}" for n in range(rows)],
            "text": [AWKWARD if n == 0 else f"text {n} of {shard} " * 20 for n in range(rows)],
            "source": ["encyclopedia" if n % 2 else "pipe|d" for n in range(rows)],
            "license": ["CC-BY-SA-4.0" if n % 2 else None for n in range(rows)],
            "score": [2.5 + n / 7 for n in range(rows)],
            "int_score": [3] * rows,
            "shard": [shard] * rows,
        },
        schema=COLUMNS,
    )


def batches() -> Iterator[pl.DataFrame]:
    yield batch("crawl-0", 4)
    yield batch("crawl-1", 0)
    yield batch("crawl-2", 3)


EVERYTHING = pl.concat(batches())


def contents(directory: Path) -> dict[str, bytes]:
    return {p.relative_to(directory).as_posix(): p.read_bytes() for p in directory.rglob("*") if p.is_file()}
