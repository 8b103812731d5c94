"""The errors of all raters of a pool at once, in the classes that its texts suffice for.

What belongs here: which raters and classes are fitted, and scores on the lens's scale out of what is corrected. What
does not: one rater's fit (`transition.py`), the correction itself (`correction.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datashop_assets.curation.classes import Classes, divide
from datashop_assets.curation.correction import NOT_RATED, Correction, Ratings, class_shares, correct
from datashop_assets.curation.neighbours import Neighbourhood
from datashop_assets.curation.transition import (
    Matrix,
    PoolTooSmallError,
    Transition,
    consensus,
    counted_texts,
    fit,
    least_texts,
)
from datashop_assets.rating.lens import Lens

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Fitted:
    """What is estimated of a pool's raters. `raters` are numbers of those that were fitted, `left_out` says why of the
    others by name. `ratings` and `transitions` are in the order of `raters`; `centres` are the classes' mean scores."""

    classes: Classes
    centres: Scores
    raters: tuple[int, ...]
    ratings: tuple[Ratings, ...]
    transitions: tuple[Transition, ...]
    left_out: Mapping[str, str]


@dataclass(frozen=True)
class Corrected:
    """Of each row its plain score, the suggested one (nan where there is none), and whether that is sure enough."""

    plain: Scores
    suggested: Scores
    changed: NDArray[np.bool_]
    found: Correction

    @property
    def scores(self) -> Scores:
        """The plain scores, with what is changed replaced by the suggestion."""
        return np.where(self.changed, self.suggested, self.plain)


def fit_raters(scores: Scores, near: Neighbourhood, lens: Lens, names: Sequence[str]) -> Fitted:
    """The errors of every rater that rated enough of the texts, in as many classes as the texts of the one that rated
    most suffice for. `scores`: of shape [rows, raters], nan where one gave none.

    Raises PoolTooSmallError where no rater's do for two classes.
    """
    if not len(scores):
        raise PoolTooSmallError("there is no document with a score and a usable vector")
    there, levels = ~np.isnan(scores), lens.high - lens.low + 1
    texts = max(counted_texts(_patterns(np.where(rated, 0, NOT_RATED), near, 1)) for rated in there.T)
    weights = text_weights(near)[np.nonzero(there)[0]]
    classes = divide(scores[there], weights, lens.low, lens.high, texts)
    if len(classes) == 1:
        raise PoolTooSmallError(
            f"{texts:.0f} independent rated texts are too few to tell a rater's errors by: two classes need "
            f"{least_texts(2)}, all {levels} levels {least_texts(levels)}. Rate more documents; until then the ratings "
            "stay as they are"
        )
    return refit(scores, near, classes, names)


def refit(
    scores: Scores, near: Neighbourhood, classes: Classes, names: Sequence[str], *, however_few: bool = False
) -> Fitted:
    """The errors of every rater in the given classes, of those alone with texts enough, or of `however_few`.

    Raises PoolTooSmallError where that is none.
    """
    there = ~np.isnan(scores)
    raters, ratings, transitions, left_out = [], [], [], {}
    for number, name in enumerate(names):
        rated = np.full(len(scores), NOT_RATED, np.int64)
        rated[there[:, number]] = classes.of(scores[there[:, number], number])
        try:
            transitions.append(fit(_patterns(rated, near, len(classes)), however_few=however_few))
        except PoolTooSmallError as error:
            left_out[name] = str(error)
            continue
        raters.append(number)
        ratings.append(rated)
    if not raters:
        raise PoolTooSmallError("; ".join(left_out.values()))
    own, fitted = scores[:, raters], there[:, raters]
    centres = classes.centres(own[fitted], text_weights(near)[np.nonzero(fitted)[0]])
    return Fitted(classes, centres, tuple(raters), tuple(ratings), tuple(transitions), left_out)


def corrected(scores: Scores, near: Neighbourhood, fitted: Fitted, least_confidence: float) -> Corrected:
    """The correction of every row whose plain score, that of the first rater who gave one, is of a fitted rater."""
    plain = plain_scores(scores)
    found = correct(fitted.ratings, near.group, near.nearest, fitted.transitions, least_confidence)
    known = np.isin((~np.isnan(scores)).argmax(axis=1), fitted.raters) & ~np.isnan(plain)
    suggested = np.where(found.suggested == found.rated, plain, fitted.centres[found.suggested])
    return Corrected(plain, np.where(known, suggested, np.nan), found.changed & known, found)


def plain_scores(scores: Scores) -> Scores:
    """Of each row the first score that there is; nan where there is none."""
    return np.asarray(scores[np.arange(len(scores)), (~np.isnan(scores)).argmax(axis=1)])


def text_weights(near: Neighbourhood) -> Scores:
    """Of each row the part that it is of its text: twins count as one together."""
    return np.asarray(1.0 / np.bincount(near.group)[near.group])


def _patterns(rated: Ratings, near: Neighbourhood, classes: int) -> Matrix:
    return consensus(class_shares(rated, near.group, classes), near.nearest)
