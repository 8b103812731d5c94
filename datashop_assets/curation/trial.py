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

from datashop_assets.curation.fitting import Fitted, Scores, corrected, refit
from datashop_assets.curation.neighbours import Neighbourhood
from datashop_assets.curation.transition import PoolTooSmallError
from datashop_assets.estimate import Estimate
from datashop_assets.lineage import stable_fraction
from datashop_assets.rating.agreement import over_resamples

FOLDS = 10
# Above so many texts one fold alone is held out: it tells differences of .02 by then.
ALL_FOLDS_TEXTS = 20_000
# Texts of which the ranks are compared: sorting them for each resample takes 2 ms.
MOST_COMPARED = 10_000
RESAMPLES = 500
L2 = 1.0  # of heads on unit vectors; what is compared are two heads with the same


def prediction_gain(
    scores: Scores,
    vectors: NDArray[np.float32],
    texts: Sequence[str],
    near: Neighbourhood,
    fitted: Fitted,
    names: Sequence[str],
    least_confidence: float,
) -> Estimate | None:
    """By how much more Spearman's correlation with held-out ratings is for heads trained on corrected scores than for
    heads trained on ratings, the mean over the fitted raters, with its interval over independent texts.

    `scores` of shape [rows, raters], `vectors` of [rows, dimension] and `texts` (hashes) are in the order of `near`;
    `fitted` is what is tried, in whose classes the raters' errors are estimated anew without the held-out texts. Twins
    are one text. Null where there is nothing to rank.
    """
    from sklearn.linear_model import Ridge

    heads, named = _representatives(texts, near.group)
    fold = np.array([int(stable_fraction(f"curation trial\n{text}") * FOLDS) for text in named], np.int64)
    unit = vectors[heads].astype(np.float32)
    unit /= np.sqrt(np.einsum("ij,ij->i", unit, unit, dtype=np.float32))[:, None]
    predicted = np.full((len(heads), 2), np.nan)
    for number in range(FOLDS if len(heads) <= ALL_FOLDS_TEXTS else 1):
        out = fold == number
        shown = np.where(out[near.group][:, None], np.nan, scores)
        try:
            made = corrected(shown, near, refit(shown, near, fitted.classes, names, however_few=True), least_confidence)
        except PoolTooSmallError:
            return None
        labels = np.column_stack([_by_text(made.plain, near), _by_text(made.scores, near)])
        known = ~np.isnan(labels).any(axis=1)
        if not out.any() or not known.any():
            continue
        predicted[out] = Ridge(alpha=L2).fit(unit[known], labels[known]).predict(unit[out])
    given = np.column_stack([_by_text(scores[:, number], near) for number in fitted.raters])
    tried = np.flatnonzero(~np.isnan(predicted).any(axis=1))
    order = np.argsort([stable_fraction(named[row]) for row in tried.tolist()], kind="stable")
    tried = tried[order[:MOST_COMPARED]]
    if not len(tried):
        return None

    def gain(rows: NDArray[np.int64]) -> dict[str, float]:
        mine = tried[rows]
        gains = [
            _spearman(column[rated], predicted[mine[rated], 1]) - _spearman(column[rated], predicted[mine[rated], 0])
            for column in given[mine].T
            if (rated := ~np.isnan(column)).any()
        ]
        return {"gain": float(np.mean(gains)) if gains else float("nan")}

    return over_resamples(gain, len(tried), RESAMPLES, seed=0)["gain"]


def _representatives(texts: Sequence[str], group: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[str]]:
    """Of each group the row with the smallest text, and that text: the order of the rows decides nothing."""
    order = np.lexsort((np.asarray(texts), group))
    heads = order[np.unique(group[order], return_index=True)[1]]
    return heads, [texts[row] for row in heads.tolist()]


def _by_text(scores: Scores, near: Neighbourhood) -> Scores:
    """The mean score of each text's rows; nan where none has one."""
    there = ~np.isnan(scores)
    counts = np.bincount(near.group[there], minlength=len(near.nearest))
    sums = np.bincount(near.group[there], scores[there], len(near.nearest))
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _spearman(first: Scores, second: Scores) -> float:
    from scipy.stats import rankdata

    if not np.ptp(first) or not np.ptp(second):
        return float("nan")
    return float(np.corrcoef(rankdata(first), rankdata(second))[0, 1])
