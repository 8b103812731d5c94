"""Frames for a terminal and for JSON.

What belongs here: how a frame reads. What does not: what is in it; markdown for the UI (`datashop_assets/markdown.py`).
"""

import json
from typing import Any

import polars as pl

LONGEST = 60


def frame_text(frame: pl.DataFrame) -> str:
    """All rows and columns in plain letters; long texts are cut; an empty frame says so."""
    if frame.is_empty():
        return "no rows"
    with pl.Config(
        tbl_rows=-1,
        tbl_cols=-1,
        tbl_width_chars=4000,
        fmt_str_lengths=LONGEST,
        tbl_formatting="NOTHING",
        tbl_hide_column_data_types=True,
        tbl_hide_dataframe_shape=True,
        thousands_separator=",",
        float_precision=4,
    ):
        return "\n".join(line.rstrip() for line in str(frame).splitlines())


def frame_rows(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """The rows as JSON has them: times and bytes as text."""
    return list(json.loads(json.dumps(frame.to_dicts(), default=_plain)))


def _plain(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
