"""The rows of an attribute's cell: checked, with reasons, in the documents' order.

What belongs here: from scores of documents to rows of the table, what people see of them. What does not: the scores
(`measurers.py`, `derived.py`).
"""

from collections import Counter
from typing import Any

import polars as pl

NO_NUMBER = "no_number"  # a measure that is not defined for the document, e.g. of a text without words
ROWS = {"id": pl.String, "score": pl.Float32, "int_score": pl.Int8, "reason": pl.String, "label": pl.String}


def score_rows(scores: pl.DataFrame, scale: tuple[int, ...] | None) -> pl.DataFrame:
    """Rows of `id`, `score` and, where there are some, `reason` and `label`, as the table has them.

    A score that is NaN or infinite becomes null; a null one without a reason gets `no_number`. `int_score` is the score
    rounded half to even and clipped to the scale [lowest, highest]; null without a scale.
    """
    absent = [pl.lit(None, pl.String).alias(name) for name in ("reason", "label") if name not in scores.columns]
    number = pl.col("score").cast(pl.Float32)
    finite = scores.with_columns(*absent, score=pl.when(number.is_finite()).then(number))
    rounded = pl.col("score").round(mode="half_to_even").clip(*scale) if scale else pl.lit(None)
    reason = pl.when(pl.col("score").is_null()).then(pl.coalesce("reason", pl.lit(NO_NUMBER)))
    return finite.with_columns(reason=reason, int_score=rounded.cast(pl.Int8)).select(
        pl.col(name).cast(dtype) for name, dtype in ROWS.items()
    )


def facts(rows: pl.DataFrame) -> dict[str, Any]:
    """What people see of a cell: its mean, lowest and highest score, nulls by reason, and the commonest labels."""
    scores = rows["score"].drop_nulls()
    shown: dict[str, Any] = {
        "scored": len(scores),
        "without score": dict(Counter(rows["reason"].drop_nulls()).most_common()),
    }
    if len(scores):
        shown |= {"mean score": scores.mean(), "lowest score": scores.min(), "highest score": scores.max()}
    if labels := Counter(rows["label"].drop_nulls()).most_common(10):
        shown["labels"] = dict(labels)
    return shown
