"""polars: every row written again with the score of a new classifier beside its text, as wide corpora are kept.

    python benchmarks/filtering_peers/polars_rewrite.py DATA BOUND OUT

Streamed from parquet to parquet, file by file; BOUND is not used.
"""

import json
import sys
from pathlib import Path

import polars as pl

data, out = Path(sys.argv[1]), Path(sys.argv[3])
rows = 0
for file in sorted(data.glob("*.parquet")):
    scored = pl.scan_parquet(file).with_columns(new_score=1 - pl.col("score"))
    scored.sink_parquet(out / file.name, compression="zstd", compression_level=3, row_group_size=10_000)
    rows += pl.scan_parquet(out / file.name).select(pl.len()).collect().item()
print(json.dumps({"kept": rows}))  # noqa: T201 - read by benchmarks.filtering
