"""The parts of a report that train the recipe again: the learning curve, and the scores that calibrate.

What belongs here: on which rows it is trained again, and how often. What does not: the curve (`learning_curve.py`), the
calibration (`recalibration.py`).
"""

import numpy as np
from numpy.typing import NDArray

from datashop_assets.classifier.dataset import Part, TrainingError
from datashop_assets.classifier.head import Floats
from datashop_assets.classifier.learning_curve import LearningCurve, learning_curve
from datashop_assets.classifier.recalibration import Calibration, fit_calibration
from datashop_assets.classifier.recipes import Inputs
from datashop_assets.classifier.subject import Subject, some_of
from datashop_assets.classifier_settings import SOLVED_AT_ONCE

# Where the project file leaves it to the recipe, and the recipe is solved at once: 20 trainings in all.
POINTS, FOLDS = 4, 5
# These learn nothing from validation rows, which only choose their checkpoint; the others learn from them in the end.
CHECKPOINTED = ("pooler", "multi_lens", "fine_tune")


def refitted_curve(subject: Subject) -> LearningCurve | None:
    """Quality against the number of annotations; null where the project file, or the recipe's cost, asks for none."""
    settings = subject.recipe.report
    points = settings.learning_curve_points
    if points is None:
        points = POINTS if subject.recipe.model.kind in SOLVED_AT_ONCE else 0
    if points == 0:
        return None
    train, validation = subject.parts.train, subject.parts.validation
    held_out = subject.inputs_of(subject.parts.held_out)

    def refit(first: NDArray[np.int64], second: NDArray[np.int64], seed: int) -> Floats:
        return _scores(subject, some_of(train, first), some_of(validation, second), seed, held_out)

    return learning_curve(
        refit,
        len(train),
        len(validation),
        subject.labels,
        subject.predictions,
        points,
        settings.learning_curve_draws,
        *subject.draws,
    )


def calibration_of(subject: Subject) -> Calibration | None:
    """Fitted on scores of rows that the scoring classifier did not learn from; labels are as rated.

    By folds: all training and validation rows, each scored by a classifier that was trained without it. Where the
    project file leaves it to the recipe, and that learns nothing from validation rows, on these, as its classifier
    scores them. Null where neither is asked for.
    """
    folds, kind = subject.recipe.report.calibration_folds, subject.recipe.model.kind
    if folds is None and kind in CHECKPOINTED:
        part = subject.parts.validation
        theirs = subject.made.scorer.predict(subject.inputs_of(part))
        return fit_calibration(subject.report.classifier, part.scores, theirs, subject.lens)
    if folds is None:
        folds = FOLDS if kind in SOLVED_AT_ONCE else 0
    if folds < 2:
        return None
    random = np.random.default_rng(subject.recipe.seed)
    parts = [subject.parts.train, subject.parts.validation]
    fold_of = [random.permutation(np.arange(len(part)) % folds) for part in parts]
    labels: list[Floats] = []
    scores: list[Floats] = []
    for fold in range(folds):
        train, validation = (some_of(part, np.flatnonzero(of != fold)) for part, of in zip(parts, fold_of, strict=True))
        for part, of in zip(parts, fold_of, strict=True):
            mine = of == fold
            labels.append(part.scores[mine])
            asked = subject.inputs_of(some_of(part, np.flatnonzero(mine)))
            scores.append(_scores(subject, train, validation, subject.recipe.seed, asked))
    return fit_calibration(subject.report.classifier, np.concatenate(labels), np.concatenate(scores), subject.lens)


def _scores(subject: Subject, train: Part, validation: Part, seed: int, inputs: Inputs) -> Floats:
    """The scores of a classifier of these rows. Where they are all alike, as a part of the rows of a rare class may be,
    there is nothing to learn from them, and what they all have is what they teach."""
    try:
        return subject.refit(train, validation, seed).predict(inputs)
    except TrainingError:
        return np.full(len(inputs), train.targets.mean())
