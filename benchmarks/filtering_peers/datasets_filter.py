"""Hugging Face datasets: load, filter, write, as its documentation has it.

    python benchmarks/filtering_peers/datasets_filter.py WAY DATA BOUND OUT

WAY is one of: `rows` (a function of a row), `rows2` (the same in two processes), `columns` (batches of the one column
that is asked for), `arrow` (batches as Arrow tables, compared by pyarrow); `ids` as `columns`, of ids and scores alone,
which leaves a list of ids and no text. DATA has parquet files with text and score.
"""

import json
import sys
import tempfile
import time

import pyarrow.compute as pc
from datasets import disable_progress_bars, load_dataset

imports = time.process_time()
way, data, bound, out = sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4]
disable_progress_bars()
with tempfile.TemporaryDirectory(dir=out) as cache:
    narrow = {"columns": ["id", "score"]} if way == "ids" else {}
    rows = load_dataset("parquet", data_files=f"{data}/*.parquet", split="train", cache_dir=cache, **narrow)
    if way == "rows":
        kept = rows.filter(lambda row: row["score"] >= bound)
    elif way == "rows2":
        kept = rows.filter(lambda row: row["score"] >= bound, num_proc=2)
    elif way in ("columns", "ids"):
        kept = rows.filter(lambda scores: [s >= bound for s in scores], batched=True, input_columns=["score"])
    else:
        kept = rows.with_format("arrow").filter(lambda table: pc.greater_equal(table["score"], bound), batched=True)
        kept = kept.with_format(None)
    if way == "ids":
        kept = kept.select_columns(["id"])
    kept.to_parquet(f"{out}/kept.parquet")
    print(json.dumps({"kept": len(kept), "imports": imports}))  # noqa: T201 - read by benchmarks.filtering
