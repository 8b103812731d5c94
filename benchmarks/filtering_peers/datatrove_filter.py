"""datatrove: parquet reader, a filter by the score, parquet writer; one task for each core.

python benchmarks/filtering_peers/datatrove_filter.py DATA BOUND OUT
"""

import json
import os
import sys
from pathlib import Path

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.filters import LambdaFilter
from datatrove.pipeline.readers import ParquetReader
from datatrove.pipeline.writers import ParquetWriter

if __name__ == "__main__":
    data, bound, out = sys.argv[1], float(sys.argv[2]), sys.argv[3]
    cores = os.cpu_count() or 1
    files = len(list(Path(data).glob("*.parquet")))
    LocalPipelineExecutor(
        pipeline=[
            ParquetReader(data, glob_pattern="*.parquet", text_key="text", id_key="id"),
            LambdaFilter(lambda document: document.metadata["score"] >= bound),
            ParquetWriter(f"{out}/data", compression="zstd"),
        ],
        logging_dir=f"{out}/logs",
        tasks=min(cores, files),
        workers=min(cores, files),
    ).run()
    import pyarrow.dataset as ds

    kept = ds.dataset(f"{out}/data", format="parquet").count_rows()
    print(json.dumps({"kept": kept}))  # noqa: T201 - read by benchmarks.filtering
