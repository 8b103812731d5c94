"""How well raters agree with each other: what no classifier of their labels can be expected to pass by much.

What belongs here: the agreement of the rater that a classifier learnt from with others, beside the classifier's own.
What does not: a full report on raters (the rating stage).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datashop_assets.classifier.head import Floats
from datashop_assets.classifier.metrics import spearman
from datashop_assets.estimate import Estimate
from datashop_assets.rating.agreement import RESAMPLES, level_counts, over_resamples, weighted_kappa
from datashop_assets.rating.lens import Lens
from datashop_assets.rating.rater_report import judged_by_both
from datashop_assets.records import ANNOTATIONS
from datashop_assets.seams import Lake

# Documents that two raters must both have judged.
LEAST_BOTH = 20
SPEARMAN, KAPPA = "spearman", "weighted_kappa"


@dataclass(frozen=True)
class RaterPair:
    """Another rater against the one that the classifier learnt from, on the documents that both judged."""

    other: str
    both: int
    figures: dict[str, Estimate | None]


@dataclass(frozen=True)
class Ceiling:
    """`classifier` are its rank correlation and quadratic weighted kappa (Cohen 1968) with the labels of its rater on
    held-out rows, `raters` those of other raters with the same labels. Without other raters the `reason` is said."""

    classifier: dict[str, Estimate | None]
    raters: tuple[RaterPair, ...]
    reason: str | None = None


def ceiling(lake: Lake, lens: Lens, rater: str, labels: Floats, predictions: Floats, seed: int) -> Ceiling:
    """The classifier's agreement with its rater on held-out rows, and that of every other rater of the lens.

    A rater asked anew, or another model, counts as another rater: each has an id of its own.
    """
    own = agreement_figures(labels, predictions, lens, seed)
    known = lake.cells(ANNOTATIONS.of(lens.name))["rater"].unique().sort().to_list()
    others = [other for other in known if other != rater]
    found = []
    for other in others:
        for _, _, both, rows in judged_by_both(lake, lens, {rater: rater, other: other}, "score"):
            if both >= LEAST_BOTH:
                figures = agreement_figures(rows["score"].to_numpy(), rows["score_second"].to_numpy(), lens, seed)
                found.append(RaterPair(other, both, figures))
    reason = None
    if not found:
        reason = (
            f"no other rater judged {LEAST_BOTH} of the same documents through this lens; name one in `also_rated_by`"
        )
    return Ceiling(own, tuple(found), reason)


def agreement_figures(first: Floats, second: Floats, lens: Lens, seed: int) -> dict[str, Estimate | None]:
    """Rank correlation, and quadratic weighted kappa of the rounded scores, of two series of the same documents."""
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)

    def measures(rows: NDArray[np.int64]) -> dict[str, float]:
        x, y = a[rows], b[rows]
        return {SPEARMAN: spearman(x, y), KAPPA: weighted_kappa(level_counts(x, y, lens.low, lens.high))}

    return over_resamples(measures, len(a), RESAMPLES, seed)
