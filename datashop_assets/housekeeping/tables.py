"""The table of housekeeping.

What belongs here: its schema. What does not: what is done (`tidying.py`, `leftovers.py`, `old_runs.py`).
"""

import polars as pl

from datashop_assets.records import TableSpec

HOUSEKEEPING = TableSpec(
    "housekeeping",
    {
        "kind": pl.String,
        "what": pl.String,
        "action": pl.String,
        "files": pl.Int64,
        "bytes": pl.Int64,
        "note": pl.String,
        "run_id": pl.String,
        "done_at": pl.Datetime("us", "UTC"),
    },
    key="what",
    notes={
        "kind": "the asset that did it",
        "what": "a table, a model, a folder or a run",
        "action": "what was done with it; a dry run is not recorded",
        "files": "files that are gone, or were rewritten; a run is one",
        "bytes": "their size; null where it is not known",
    },
)
