"""The held-out documents that a classifier gets most wrong, for people to read.

What belongs here: choosing them, and their table. What does not: reading their texts (`documents_seen.py`).
"""

from pathlib import Path

import polars as pl

from datashop_assets import markdown

ERRORS_FILE = "confident_errors.md"
EACH = 8
TOO_HIGH, TOO_LOW = "rated lower than predicted", "rated higher than predicted"
INTRODUCTION = (
    "The held-out documents with the largest difference between the rating and the prediction. Where the rating is "
    "wrong, look at the rater or the lens; where the prediction is, see what these documents have in common."
)


def most_confident_errors(held_out: pl.DataFrame, each: int = EACH) -> pl.DataFrame:
    """Of rows with `label` and `prediction`, the `each` that were predicted most too high, then most too low.

    Gains `error` (prediction - label) and `direction`; a row is in one direction at most, and right ones in neither.
    """
    rows = held_out.with_columns(error=pl.col("prediction").cast(pl.Float64) - pl.col("label"))
    high = rows.filter(pl.col("error") > 0).sort("error", "id", descending=[True, False]).head(each)
    low = rows.filter(pl.col("error") < 0).sort("error", "id").head(each)
    return pl.concat(
        [high.with_columns(direction=pl.lit(TOO_HIGH)), low.with_columns(direction=pl.lit(TOO_LOW))],
    )


def errors_markdown(errors: pl.DataFrame) -> str:
    """A section a direction. `errors` are rows of `most_confident_errors` with `source`, `begins`, the beginning of the
    text, and `rationale`, null where the rater gave none: then there is no such column."""
    columns = [pl.col("id"), "source", "label", "prediction", pl.col("begins").alias("text begins")]
    if errors["rationale"].null_count() < errors.height:
        columns.append(pl.col("rationale").alias("rater's rationale"))
    lines = [INTRODUCTION]
    for direction in (TOO_HIGH, TOO_LOW):
        chosen = errors.filter(pl.col("direction") == direction).select(columns)
        lines += ["", f"**{direction.capitalize()}**", "", markdown.table(chosen)]
    return "\n".join(lines) + "\n"


def save_errors(directory: Path, errors: pl.DataFrame) -> None:
    (directory / ERRORS_FILE).write_text(errors_markdown(errors), encoding="utf-8")


def load_errors(directory: Path) -> str:
    """The table beside a classifier; says so where it was trained before there was one."""
    path = directory / ERRORS_FILE
    return path.read_text(encoding="utf-8") if path.is_file() else "*trained before this was recorded*"
