"""Which rated documents a head is trained, chosen and measured on.

What belongs here: cleaning the labels, the held-out rule, the split. What does not: fitting (`head.py`), metrics.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets.classifier.head import int_scores
from datashop_assets.classifier_settings import ClassifierRecipe
from datashop_assets.lineage import stable_fraction
from datashop_assets.rating.lens import Lens

# Below this no figure is worth its interval: an accuracy of 0.5 on 10 rows is one of 0.2 to 0.8.
LEAST_TRAIN, LEAST_VALIDATION, LEAST_HELD_OUT = 20, 5, 10


class TrainingError(ValueError):
    """Labels that no classifier can be trained from; the message says what is missing and how to get it."""


@dataclass(frozen=True)
class Counts:
    """Where the labelled rows went. `repeats` are rows whose text another row has: they were merged into it."""

    given: int
    without_score: int
    repeats: int
    train: int
    validation: int
    held_out: int


@dataclass(frozen=True)
class Part:
    """One side of the split, float64 but for `rows`, which are positions in the labelled frame.

    `scores` are as rated, `targets` what to train on, with their `weights`.
    """

    rows: NDArray[np.int64]
    scores: NDArray[np.float64]
    targets: NDArray[np.float64]
    weights: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Split:
    train: Part
    validation: Part
    held_out: Part
    counts: Counts


def is_held_out(text_sha: str, share: float) -> bool:
    """Is this text kept for measuring, for ever? Depends on the text alone: not on labels, lens, seed or other rows.

    Hashed anew, because documents may have been sampled by their hash: of the documents with the smallest
    `text_sha`, all or none would be held out.
    """
    return stable_fraction(f"classifier held-out\n{text_sha}") < share


def split(labelled: pl.DataFrame, lens: Lens, recipe: ClassifierRecipe) -> Split:
    """Divide labelled rows (text_sha, score) into train, validation and held-out rows.

    What to train on is the column `target`, with its `weight`, where there is one, and else the score. Null scores are
    left out. Rows with the same text become one row (the first) with the mean of their scores, so that no text is on
    two sides and none counts twice. Validation is a share of what is not held out, stratified by rounded score. The
    outcome does not depend on the order of the rows.
    Raises TrainingError where a score is NaN, a side is too small, or every training score is the same.
    """
    if nan := int(labelled["score"].cast(pl.Float64).is_nan().sum()):
        raise TrainingError(f"{nan} scores are NaN; a failed judgement must be null with a reason")
    if "target" not in labelled.columns:
        labelled = labelled.with_columns(target="score", weight=pl.lit(1.0))
    texts = (
        labelled.with_row_index("row")
        .drop_nulls("score")
        .with_columns(pl.col("target").fill_null(pl.col("score")))
        .group_by("text_sha")
        .agg(pl.col("row").min(), pl.col("score", "target", "weight").cast(pl.Float64).mean())
        .sort("text_sha")
    )
    held, chosen = _sides(texts, lens, recipe)
    rows = texts["row"].to_numpy().astype(np.int64)
    scores = texts["score"].to_numpy().astype(np.float64)
    targets = texts["target"].to_numpy().astype(np.float64)
    weights = texts["weight"].to_numpy().astype(np.float64)

    def part(index: NDArray[np.int64]) -> Part:
        return Part(rows[index], scores[index], targets[index], weights[index])

    train, validation, held_out = (part(np.flatnonzero(side)) for side in (~held & ~chosen, chosen, held))
    without_score = labelled["score"].null_count()
    counts = Counts(
        given=labelled.height,
        without_score=without_score,
        repeats=labelled.height - without_score - texts.height,
        train=len(train),
        validation=len(validation),
        held_out=len(held_out),
    )
    _refuse_unusable(counts, train.targets, recipe)
    return Split(train, validation, held_out, counts)


def validation_texts(labelled: pl.DataFrame, lens: Lens, recipe: ClassifierRecipe) -> frozenset[str]:
    """The texts (text_sha) that `split` puts on the validation side, whatever their targets; none where a side would be
    too small to split."""
    texts = labelled.drop_nulls("score").group_by("text_sha").agg(pl.col("score").cast(pl.Float64).mean())
    texts = texts.sort("text_sha")
    _, chosen = _sides(texts, lens, recipe)
    return frozenset(texts["text_sha"].filter(pl.Series(chosen)).to_list())


def _sides(texts: pl.DataFrame, lens: Lens, recipe: ClassifierRecipe) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which of the texts [text_sha, score], in the order of their hashes, are held out, which are for validation."""
    held = np.array([is_held_out(sha, recipe.held_out_share) for sha in texts["text_sha"]], bool)
    chosen = np.zeros(texts.height, bool)
    seed = recipe.seed if recipe.split_seed is None else recipe.split_seed
    rest = texts["score"].to_numpy().astype(np.float64)[~held]
    chosen[~held] = _stratified(int_scores(rest, lens), recipe.validation_share, seed)
    return held, chosen


def _stratified(strata: NDArray[np.int8], share: float, seed: int) -> NDArray[np.bool_]:
    """A random choice of `share` of the rows, proportional in every stratum, without losing strata of one row.

    Rows are lined up by stratum, shuffled within; those at which the running total of `share` passes a whole number
    are taken.
    """
    order = np.lexsort((np.random.default_rng(seed).random(len(strata)), strata))
    total = np.floor(np.arange(len(strata) + 1) * share + 0.5)
    chosen = np.zeros(len(strata), bool)
    chosen[order] = np.diff(total) > 0
    return chosen


def _refuse_unusable(counts: Counts, scores: NDArray[np.float64], recipe: ClassifierRecipe) -> None:
    if counts.train < LEAST_TRAIN or counts.validation < LEAST_VALIDATION or counts.held_out < LEAST_HELD_OUT:
        rest = 1 - recipe.held_out_share
        needed = max(
            LEAST_HELD_OUT / recipe.held_out_share,
            LEAST_VALIDATION / (rest * recipe.validation_share),
            LEAST_TRAIN / (rest * (1 - recipe.validation_share)),
        )
        raise TrainingError(
            f"{counts.given} labelled rows ({counts.without_score} without a score, {counts.repeats} repeats of a "
            f"text) give {counts.train} training, {counts.validation} validation and {counts.held_out} held-out rows; "
            f"at least {LEAST_TRAIN}, {LEAST_VALIDATION} and {LEAST_HELD_OUT} are needed, which takes about "
            f"{int(np.ceil(1.3 * needed))} rated texts. Rate more documents (sample_per_shard, or more shards)."
        )
    if scores.min() == scores.max():
        raise TrainingError(
            f"all {len(scores)} training scores are {scores[0]:g}: there is nothing to learn. Look at the annotations; "
            "the rater or the lens does not tell these documents apart."
        )
