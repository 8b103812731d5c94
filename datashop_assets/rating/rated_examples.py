"""Documents that a lens's raters find best and worst, side by side, with what they say of them.

What belongs here: choosing and reading a few of them. What does not: figures of ratings (`summary.py`).
"""

import polars as pl

from datashop_assets.example_texts import EXAMPLES, beginnings
from datashop_assets.rating.lens import Lens
from datashop_assets.records import ANNOTATIONS
from datashop_assets.seams import Lake


def best_and_worst(lake: Lake, lens: Lens) -> pl.DataFrame:
    """At most EXAMPLES rows [score, best rated, its rationale, score of the worst, worst rated, its rationale] of the
    documents rated through the lens as it is now; a rationale column is left out where no rater gives one."""
    rated = lake.scan(ANNOTATIONS.of(lens.name)).filter(
        pl.col("lens_version") == lens.version, pl.col("score").is_not_null()
    )
    rows = rated.select("shard", "id", "score", "rationale").sort(
        "score", "shard", "id", descending=[True, False, False]
    )
    best, worst = pl.collect_all([rows.head(EXAMPLES), rows.reverse().head(EXAMPLES)])
    ids = pl.concat([best, worst]).select("shard", "id").unique()
    texts = beginnings(lake, ids)
    named = [
        _named(side, texts, name, blank)
        for side, name, blank in ((best, "best rated", ""), (worst, "worst rated", " "))
    ]
    shown = pl.concat(named, how="horizontal").with_columns(pl.all().fill_null(""))
    return shown.select(column for column in shown.columns if shown[column].str.len_chars().sum() or "rated" in column)


def _named(side: pl.DataFrame, texts: pl.DataFrame, name: str, blank: str) -> pl.DataFrame:
    """The columns of one side; `blank` tells their names from those of the other."""
    shown = side.join(texts, on=["shard", "id"], how="left", maintain_order="left")
    score = pl.col("score").round(3).cast(pl.String)
    return shown.select(
        score.alias(f"score{blank}"), pl.col("text").alias(name), pl.col("rationale").alias(f"rationale{blank}")
    )
