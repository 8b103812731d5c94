"""Labels corrected by what like documents were rated, for training alone.

What belongs here: correcting the ratings that a head is trained on without a word from those that it is measured on.
What does not: how ratings are corrected (the curation stage), the split (`dataset.py`).
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets.classifier.dataset import is_held_out, validation_texts
from datashop_assets.classifier_settings import ClassifierRecipe
from datashop_assets.curation.curate import curate
from datashop_assets.curation.pool import RatedPool
from datashop_assets.project import CurationSettings
from datashop_assets.rating.lens import Lens

RECIPE = 2  # part of a classifier's inputs: raise it when the same ratings would give other labels


def with_curated_labels(
    labelled: pl.DataFrame,
    vectors: NDArray[np.float32],
    lens: Lens,
    recipe: ClassifierRecipe,
    settings: CurationSettings,
    encoder: str,
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """The labelled rows with `target`, the score to train on, and `weight`, how probably it is right; and what a person
    should know of the curation.

    Held-out and validation texts have no part in it, neither as ratings nor as neighbours: else a head would be
    measured, and chosen, on what its labels were made of. (Of several seeds the validation texts of the first are left
    out, whose head is the one that is kept.) Their target is null and their weight 1, as are those of rows without a
    score. Where too few texts were rated for a curation, or it does harm, the target is the score, the weight 1, and
    the notes say so.
    """
    choosing = validation_texts(labelled, lens, recipe)
    used = np.array(
        [sha not in choosing and not is_held_out(sha, recipe.held_out_share) for sha in labelled["text_sha"]], bool
    )
    used &= labelled["score"].cast(pl.Float64).is_finite().fill_null(False).to_numpy()
    chosen = labelled.filter(pl.Series(used))
    pool = RatedPool(
        rows=chosen.select("shard", "id", "text_sha"),
        scores=chosen["score"].cast(pl.Float64).to_numpy()[:, None],
        vectors=vectors[used],
        raters=(lens.name,),
        without_score=0,
        outdated=0,
        annotations=(),
        embeddings={},
    )
    made = curate(pool, lens, encoder, settings, ["the rater"], _no_texts)
    right = pl.when("changed").then("confidence").otherwise(1 - pl.col("wrong")).fill_null(1.0)
    weights = right if made.report.applied else pl.lit(1.0)
    labels = made.rows.select(pl.col("curated_score").alias("target"), weights.alias("weight"))
    target, weight = np.full(labelled.height, np.nan), np.ones(labelled.height)
    target[used], weight[used] = labels["target"].to_numpy(), labels["weight"].to_numpy()
    notes = [*made.report.doubts]
    if made.report.applied:
        notes.append(f"{made.report.changed} of {made.report.rows} labels to train on were changed by curation")
    return labelled.with_columns(pl.Series("target", target).fill_nan(None), pl.Series("weight", weight)), tuple(notes)


def _no_texts(rows: pl.DataFrame, _: int) -> Sequence[str]:
    return [""] * rows.height
