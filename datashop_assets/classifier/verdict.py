"""Is a classifier good enough to be promoted? A pure judgement of its metrics, with reasons in words.

What belongs here: the conditions. What does not: the metrics (`metrics.py`), the Dagster checks that show the verdict.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from datashop_assets.classifier.baselines import LENGTH, MEAN
from datashop_assets.classifier.comparison import Comparison
from datashop_assets.estimate import Estimate


@dataclass(frozen=True)
class Verdict:
    """`passed` decides; the reasons say why, the deciding one first.

    `worse_than_promoted` says whether the classifier is worse, beyond chance, than the one in force when it was
    trained; null where they were not compared. It decides nothing here: a gate may ask for it.
    """

    passed: bool
    reasons: tuple[str, ...]
    worse_than_promoted: bool | None = None


def judge(figures: Mapping[str, Estimate | None]) -> Verdict:
    """Passes only a classifier whose held-out MAE is below the mean predictor's by more than chance.

    That is: the lower bound of the 95 % interval of (MAE of the mean - MAE of the classifier), paired by row, is above
    0. Whether it also beats the length of the document is said, and not asked: where good documents are long, length
    is a fair part of the score.
    """
    gain = figures[f"mae_gain_over_{MEAN}"]
    if gain is None:
        return Verdict(False, ("the gain over the mean predictor is not defined on the held-out rows",))
    passed = gain.low > 0
    deciding = (
        f"beats predicting the mean score: held-out MAE is lower by {gain}"
        if passed
        else f"no better than predicting the mean score: held-out MAE is lower by {gain}, and the interval reaches 0"
    )
    reasons = [deciding]
    over_length = figures.get(f"mae_gain_over_{LENGTH}")
    if over_length is not None:
        word = "beats" if over_length.low > 0 else "is not shown to beat"
        reasons.append(f"{word} predicting from the document's length alone: held-out MAE is lower by {over_length}")
    return Verdict(passed, tuple(reasons))


def with_comparison(verdict: Verdict, comparison: Comparison) -> Verdict:
    """The verdict that also says how the classifier compares with the one in force."""
    reasons = (*verdict.reasons, comparison.words) if comparison.gains else verdict.reasons
    return replace(verdict, reasons=reasons, worse_than_promoted=comparison.is_worse)
