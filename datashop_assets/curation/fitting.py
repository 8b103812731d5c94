"""The errors of all raters of a pool at once, in the classes that its texts suffice for.

What belongs here: which raters and classes are fitted, and scores on the lens's scale out of what is corrected. What
does not: one rater's fit (`transition.py`), the correction itself (`correction.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datashop_assets.curation.classes import Classes, divide
from datashop_assets.curation.correction import NOT_RATED, Correction, Ratings, class_shares
from datashop_assets.curation.neighbours import Neighbourhood
from datashop_assets.curation.transition import PoolTooSmallError, Transition, consensus, fit, least_texts
from datashop_assets.rating.lens import Lens

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Fitted:
    """What is estimated of a pool's raters. `raters` are numbers of those that were fitted, `left_out` says why of the
    others by name. `ratings` and `transitions` are in the order of `raters`."""

    classes: Classes
    raters: tuple[int, ...]
    ratings: tuple[Ratings, ...]
    transitions: tuple[Transition, ...]
    left_out: Mapping[str, str]


def fit_raters(scores: Scores, near: Neighbourhood, lens: Lens, names: Sequence[str]) -> Fitted:
    """The errors of every rater that rated enough of the texts, in as many classes as the texts of the one that rated
    most suffice for. `scores`: of shape [rows, raters], nan where one gave none.

    Raises PoolTooSmallError where no rater's do for two classes.
    """
    if not len(scores):
        raise PoolTooSmallError("no document was rated; rate some")
    there, levels = ~np.isnan(scores), lens.high - lens.low + 1
    witnessed = [
        float(consensus(class_shares(np.where(rated, 0, NOT_RATED), near.group, 1), near.nearest).sum())
        for rated in there.T
    ]
    classes = divide(scores[there], lens.low, lens.high, int(max(witnessed)))
    if len(classes) == 1:
        raise PoolTooSmallError(
            f"{max(witnessed):.0f} independent rated texts are too few to tell a rater's errors by: two classes need "
            f"{least_texts(2)}, all {levels} levels {least_texts(levels)}. Rate more documents; until "
            "then the ratings stay as they are"
        )
    raters, ratings, transitions, left_out = [], [], [], {}
    for number, name in enumerate(names):
        rated = np.full(len(scores), NOT_RATED, np.int64)
        rated[there[:, number]] = classes.of(scores[there[:, number], number])
        try:
            transitions.append(fit(consensus(class_shares(rated, near.group, len(classes)), near.nearest)))
        except PoolTooSmallError as error:
            left_out[name] = str(error)
            continue
        raters.append(number)
        ratings.append(rated)
    return Fitted(classes, tuple(raters), tuple(ratings), tuple(transitions), left_out)


def plain_scores(scores: Scores, used: Sequence[int] = ()) -> Scores:
    """Of each row the first score that there is, those of the `used` raters before the others'; nan where none is."""
    order = [*used, *(number for number in range(scores.shape[1]) if number not in used)]
    there = ~np.isnan(scores[:, order])
    return np.asarray(scores[:, order][np.arange(len(there)), there.argmax(axis=1)])


def suggested_scores(scores: Scores, fitted: Fitted, found: Correction) -> Scores:
    """Of each row the mean score of the suggested class, or its own score where that is its class; nan where no fitted
    rater rated it."""
    own = scores[:, fitted.raters]
    centres = fitted.classes.centres(own[~np.isnan(own)])
    plain = plain_scores(scores, fitted.raters)
    moved = np.where(found.suggested == found.rated, plain, centres[found.suggested])
    return np.where(found.rated != NOT_RATED, moved, np.nan)
