"""The tables of automation.

What belongs here: their schemas. What does not: what is in them (`pauses.py`).
"""

import polars as pl

from datashop_assets.records import TableSpec

PAUSES = TableSpec(
    "pauses",
    {
        "lens": pl.String,
        "paused": pl.Boolean,
        "by": pl.String,
        "note": pl.String,
        "changed_at": pl.Datetime("us", "UTC"),
    },
    key="lens",
    notes={
        "lens": "a lens or an attribute; * for everything",
        "paused": "true: sensors and schedules ask for nothing of it; the newest record counts",
    },
)
