"""The report of a trained classifier, from its predictions on held-out rows.

What belongs here: which figures are made of them. What does not: each figure (`metrics.py`, `baselines.py`), training.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets.classifier import baselines, metrics
from datashop_assets.classifier.dataset import Split
from datashop_assets.classifier.head import Floats, classifier_id
from datashop_assets.classifier.recipes import Fit
from datashop_assets.classifier.report import OverSeeds, Report
from datashop_assets.classifier.verdict import judge
from datashop_assets.classifier_settings import ClassifierRecipe
from datashop_assets.rating.lens import Lens


def measure(
    fit: Fit,
    predictions: NDArray[np.float32],
    labelled: pl.DataFrame,
    parts: Split,
    lens: Lens,
    recipe: ClassifierRecipe,
    encoder_id: str,
    about_labels: tuple[str, ...] = (),
    of_seeds: Sequence[NDArray[np.float32]] = (),
) -> Report:
    """Every figure of the classifier in `fit`, on the held-out rows of `parts`.

    `predictions` are its scores of those rows, in order. `of_seeds` are the predictions for the same rows of the
    classifiers of every seed, this one's first; where there are two or more, the report says how much the figures vary.
    """
    held_out, chars = parts.held_out, labelled["chars"].to_numpy()
    rows = np.concatenate([parts.train.rows, parts.validation.rows])
    scores = np.concatenate([parts.train.scores, parts.validation.scores])
    references = {
        baselines.MEAN: baselines.predict_mean(scores, len(held_out)),
        baselines.LENGTH: baselines.predict_by_length(chars[rows], scores, chars[held_out.rows]),
    }
    figures, notes = metrics.bootstrap(
        metrics.metrics(held_out.scores, predictions, lens)
        | baselines.mae_metrics(held_out.scores, predictions, references),
        len(held_out),
        recipe.bootstrap,
        recipe.seed,
    )
    return Report(
        classifier=classifier_id(encoder_id, fit.scorer),
        encoder=encoder_id,
        lens=lens.name,
        lens_version=lens.version,
        recipe=recipe.version,
        low=lens.low,
        high=lens.high,
        positive_at=lens.positive_at,
        model=recipe.model.kind,
        chosen=dict(fit.chosen),
        log=fit.log,
        counts=parts.counts,
        figures=figures,
        over_seeds=over_seeds(held_out.scores, of_seeds, lens) if len(of_seeds) > 1 else {},
        notes=(*about_labels, *notes),
        confusion=tuple(tuple(row) for row in metrics.confusion(held_out.scores, predictions, lens).tolist()),
        reliability=metrics.reliability_bins(held_out.scores, predictions),
        verdict=judge(figures),
    )


def over_seeds(labels: Floats, of_seeds: Sequence[NDArray[np.float32]], lens: Lens) -> dict[str, OverSeeds | None]:
    """Of each metric its mean and standard deviation over the seeds' predictions; null where one has none."""
    every = np.arange(len(labels))
    of_each = [metrics.metrics(labels, predictions, lens) for predictions in of_seeds]
    values = {name: np.array([functions[name](every) for functions in of_each]) for name in of_each[0]}
    return {
        name: None if np.isnan(drawn).any() else OverSeeds(float(drawn.mean()), float(drawn.std(ddof=1)), len(drawn))
        for name, drawn in values.items()
    }
