"""pyarrow: a dataset's scanner with the condition pushed into it, and what it finds written as parquet.

python benchmarks/filtering_peers/pyarrow_filter.py DATA BOUND OUT
"""

import json
import sys

import pyarrow.dataset as ds

data, bound, out = sys.argv[1], float(sys.argv[2]), sys.argv[3]
rows = ds.dataset(data, format="parquet")
options = ds.ParquetFileFormat().make_write_options(compression="zstd", compression_level=3)
found = rows.scanner(filter=ds.field("score") >= bound, batch_size=16_384)
ds.write_dataset(found, out, format="parquet", file_options=options)
kept = ds.dataset(out, format="parquet").count_rows()
print(json.dumps({"kept": kept}))  # noqa: T201 - read by benchmarks.filtering
