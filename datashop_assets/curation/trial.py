"""Whether corrected scores are worth more than the ratings, tried on texts whose ratings they were made without.

What belongs here: that trial. What does not: the correction that is tried (`fitting.py`, `correction.py`).

That near texts share a true score cannot be seen from ratings alone: where quality varies among like texts, that looks
as if the rater erred. It can be seen from what is learned: of two linear heads on the same vectors, one trained on the
ratings and one on the corrected scores of the same texts, the better labels give the head that ranks the ratings of
other texts better. By rank, for a rater that errs upwards is corrected downwards.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from datashop_assets.curation.correction import correct
from datashop_assets.curation.fitting import Scores, fit_raters, plain_scores, suggested_scores
from datashop_assets.curation.neighbours import Neighbourhood
from datashop_assets.curation.transition import PoolTooSmallError
from datashop_assets.estimate import Estimate
from datashop_assets.lineage import stable_fraction
from datashop_assets.project import CurationSettings
from datashop_assets.rating.agreement import over_resamples
from datashop_assets.rating.lens import Lens

FOLDS = 5
# Above so many rows one fold alone is held out: it tells differences of .01 by then.
ALL_FOLDS_ROWS = 5000
# Rows of which the ranks are compared: sorting them for each resample takes 2 ms.
MOST_COMPARED = 10_000
RESAMPLES = 500
L2 = 1.0  # of heads on unit vectors; what is compared are two heads with the same


def prediction_gain(
    scores: Scores,
    vectors: NDArray[np.float32],
    texts: Sequence[str],
    near: Neighbourhood,
    lens: Lens,
    settings: CurationSettings,
    names: Sequence[str],
) -> Estimate | None:
    """By how much more Spearman's correlation with held-out ratings is for heads trained on corrected scores than for
    heads trained on ratings, with its interval over rows.

    `scores` of shape [rows, raters], `vectors` of [rows, dimension] and `texts` (hashes) are in the order of `near`.
    Held-out texts have no part in the correction, and twins are on one side. Null where what is left is too small for
    an estimate, or where there is nothing to rank.
    """
    from sklearn.linear_model import Ridge

    rated = plain_scores(scores)
    fold = _folds(texts, near.group)
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float32))
    unit = (vectors / lengths[:, None]).astype(np.float32)
    by_rating, by_correction = np.full(len(rated), np.nan), np.full(len(rated), np.nan)
    for number in range(FOLDS if len(rated) <= ALL_FOLDS_ROWS else 1):
        out = fold == number
        if out.all() or not out.any():
            continue
        shown = np.where(out[:, None], np.nan, scores)
        try:
            fitted = fit_raters(shown, near, lens, names)
        except PoolTooSmallError:
            return None
        found = correct(fitted.ratings, near.group, near.nearest, fitted.transitions, settings.least_confidence)
        plain = plain_scores(shown, fitted.raters)
        corrected = np.where(found.changed, suggested_scores(shown, fitted, found), plain)
        for labels, predictions in ((plain, by_rating), (corrected, by_correction)):
            predictions[out] = Ridge(alpha=L2).fit(unit[~out], labels[~out]).predict(unit[out])
    tried = np.flatnonzero(~np.isnan(by_rating))
    tried = tried[np.argsort([stable_fraction(texts[row]) for row in tried.tolist()])[:MOST_COMPARED]]
    if not len(tried) or not np.ptp(rated[tried]) or not np.ptp(by_rating[tried]) or not np.ptp(by_correction[tried]):
        return None

    def gain(rows: NDArray[np.int64]) -> dict[str, float]:
        mine = tried[rows]
        return {"gain": _spearman(rated[mine], by_correction[mine]) - _spearman(rated[mine], by_rating[mine])}

    return over_resamples(gain, len(tried), RESAMPLES, seed=0)["gain"]


def _folds(texts: Sequence[str], group: NDArray[np.int64]) -> NDArray[np.int64]:
    """The fold of each row, by its group's smallest text: the order of the rows decides nothing."""
    smallest: dict[int, str] = {}
    for number, text in zip(group.tolist(), texts, strict=True):
        if number not in smallest or text < smallest[number]:
            smallest[number] = text
    folds = {number: int(stable_fraction(f"curation trial\n{text}") * FOLDS) for number, text in smallest.items()}
    return np.array([folds[number] for number in group.tolist()], np.int64)


def _spearman(first: Scores, second: Scores) -> float:
    from scipy.stats import rankdata

    if not np.ptp(first) or not np.ptp(second):
        return float("nan")
    return float(np.corrcoef(rankdata(first), rankdata(second))[0, 1])
