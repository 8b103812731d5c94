"""What is made of other scores: combinations and levels.

What belongs here: the arithmetic on a frame of scores, a column for each source. What does not: reading and writing
them (`produce.py`), functions of the user's (`functions.py`), the distributions (`distribution.py`).
"""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from datashop_assets.attribute_settings import CombinedAttribute, TiersAttribute
from datashop_assets.attributes.distribution import Distribution

NO_SCORE = "no_score"  # of a source; its name follows


def missing_reasons(scores: pl.DataFrame, names: Sequence[str]) -> pl.Series:
    """For each row `no_score:<source>` for the first source that is null, or null where all have a score."""
    first = pl.coalesce([pl.when(pl.col(name).is_null()).then(pl.lit(f"{NO_SCORE}:{name}")) for name in names])
    return scores.select(first.alias("reason"))["reason"]


def combine(scores: pl.DataFrame, settings: CombinedAttribute, distributions: Mapping[str, Distribution]) -> pl.Series:
    """One number a row (Float64) of the columns `settings.of`; null where one of them is null.

    With `normalize: rank`, each score is first replaced by its rank in its source's recorded distribution, so that
    scores of different scales weigh alike (Nemotron-CC takes the maximum of ranks of three classifiers).
    """
    columns = {name: scores[name].to_numpy().astype(np.float64) for name in settings.of}  # null becomes NaN
    if settings.normalize == "rank":
        columns = {name: distributions[name].ranks(values) for name, values in columns.items()}
    together = np.stack(list(columns.values()))
    if settings.how == "max":
        made = together.max(axis=0)
    elif settings.how == "min":
        made = together.min(axis=0)
    else:
        weights = [settings.weights.get(name, 1.0) for name in settings.of]
        made = np.average(together, axis=0, weights=weights)
    return pl.Series(made).fill_nan(None)


def levels(scores: pl.Series, settings: TiersAttribute, distribution: Distribution) -> pl.Series:
    """Each score's level (Float64): how many of the boundaries are below it; null where the score is."""
    made = np.searchsorted(boundaries(settings, distribution), scores.to_numpy(), side="left")
    return pl.DataFrame({"score": scores, "level": made.astype(np.float64)}).select(
        pl.when(pl.col("score").is_not_null()).then("level")
    )["level"]


def boundaries(settings: TiersAttribute, distribution: Distribution) -> list[float]:
    """The scores that separate the levels, ascending: a level has the scores above its lower boundary, up to its
    upper one. Two are equal where many documents have one score; the level between them is empty."""
    return [distribution.quantile(share) for share in settings.shares]
