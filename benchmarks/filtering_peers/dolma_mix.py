"""dolma: the mixer, documents and attributes from jsonl.gz as the toolkit keeps them, kept documents to jsonl.zst.

    python benchmarks/filtering_peers/dolma_mix.py DATA BOUND OUT

DATA is the folder `jsonl` of benchmarks.filtering_data. dolma 1.2.1 asks for numpy 1 and tokenizers 0.19, so it needs
an environment of its own.
"""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

data, bound, out = sys.argv[1], float(sys.argv[2]), sys.argv[3]
config = {
    "streams": [
        {
            "name": "kept",
            "documents": [f"{data}/documents/*.jsonl.gz"],
            "attributes": ["score"],
            "output": {"path": f"{out}/kept", "max_size_in_bytes": 10**9},
            "filter": {"include": [f"$.attributes[?(@.score__value__value[0][2] >= {bound})]"], "syntax": "jsonpath"},
        }
    ],
    "processes": os.cpu_count() or 1,
}
Path(out, "mix.yaml").write_text(yaml.safe_dump(config))
command = [str(Path(sys.executable).parent / "dolma"), "-c", f"{out}/mix.yaml", "mix"]
subprocess.run(command, check=True, stdout=sys.stderr)
kept = 0
for file in Path(out, "kept").glob("*"):
    with gzip.open(file, "rb") as lines:
        kept += sum(1 for _ in lines)
print(json.dumps({"kept": kept}))  # noqa: T201 - read by benchmarks.filtering
