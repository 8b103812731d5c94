"""The gate before `promotion`: is a classifier worse than the one in force, on rows that neither learnt from?

What belongs here: which comparison counts, and what is asked of it. What does not: what a classifier must reach by
itself (`verdict.py`), the paired differences (`comparison.py`), the record of a promotion (`registry.py`).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import polars as pl

from datashop_assets.classifier.comparison import DECIDING, Comparison, compare, not_compared
from datashop_assets.classifier.dataset import LEAST_HELD_OUT
from datashop_assets.classifier.produce import HELD_OUT_FILE
from datashop_assets.classifier.registry import ClassifierRecord, find_classifier, promoted
from datashop_assets.classifier.report import Report
from datashop_assets.rating.lens import Lens
from datashop_assets.seams import Lake

Requires = Literal["not_worse", "better"]
RESAMPLES, SEED = 1000, 0
WHICH_ROWS = (
    "rated documents that both classifiers hold out by the stable hash of their text, so that neither learnt from "
    "them; labelled by the new one's rater"
)


@dataclass(frozen=True)
class Standing:
    """Where a classifier stands beside the one in force: may it replace that one, and why; the words decide nothing."""

    allowed: bool
    words: str
    comparison: Comparison


def stand(comparison: Comparison, requires: Requires, *, contested: bool) -> Standing:
    """What the comparison allows. `contested` says whether another classifier is in force at all.

    Worse beyond chance (the 95 % interval of the paired difference in MAE or in rank correlation lies below 0) is never
    allowed. Where it cannot be told, `not_worse` lets it pass and says so; `better` asks for proof.
    """
    if not contested:
        return Standing(True, comparison.words, comparison)
    if comparison.is_worse is None:
        words = f"whether it is worse than the one in force cannot be told: {comparison.words}"
        if requires == "better":
            words += "; the project file asks for proof that it is better (`promotion.requires`)"
        return Standing(requires == "not_worse", words, comparison)
    if comparison.is_worse:
        return Standing(False, f"worse than the one in force: {comparison.words}", comparison)
    gains = [gain for name in DECIDING if (gain := comparison.gains.get(name)) is not None]
    if any(gain.low > 0 for gain in gains):
        return Standing(True, f"better than the one in force: {comparison.words}", comparison)
    if requires == "better":
        words = f"not shown to be better, which the project file asks for (`promotion.requires`): {comparison.words}"
        return Standing(False, words, comparison)
    return Standing(True, f"not shown to be worse than the one in force: {comparison.words}", comparison)


def standing(
    lake: Lake, fetch: Callable[[str], Path], record: ClassifierRecord, lens: Lens, requires: Requires
) -> Standing:
    """Where the classifier stands beside the one that is in force now. `fetch` gives a stored model's folder.

    The comparison made at training is used where it was with that one: it also asked the old classifier about rows that
    were rated after its time. Where another one came into force since, or the old one could not be asked (its vectors
    are gone), the predictions that stand beside both models are compared, on the rows that both held out.
    """
    current = promoted(lake, record.lens)
    if current is None:
        return stand(not_compared("none is in force yet"), requires, contested=False)
    if current.classifier == record.classifier:
        return stand(not_compared("it is the one in force", current.classifier), requires, contested=False)
    quality = Report.from_json(record.metrics).quality
    at_training = quality.comparison if quality and quality.comparison.promoted == current.classifier else None
    if at_training is not None and at_training.gains:
        return stand(at_training, requires, contested=True)
    rival = find_classifier(lake, record.lens, current.classifier)
    try:
        mine, theirs = (pl.read_parquet(fetch(each.uri) / HELD_OUT_FILE) for each in (record, rival))
    except FileNotFoundError as error:
        comparison = not_compared(f"the held-out predictions are not there: {error}", rival.classifier)
    else:
        comparison = compare_held_out(rival.classifier, mine, theirs, lens)
    if at_training is not None:
        comparison = replace(comparison, notes=(*comparison.notes, f"at training: {at_training.words}"))
    return stand(comparison, requires, contested=True)


def compare_held_out(rival: str, mine: pl.DataFrame, theirs: pl.DataFrame, lens: Lens) -> Comparison:
    """Both classifiers' recorded predictions (shard, id, label, prediction) of the rows that both held out, against the
    labels of the new one."""
    both = mine.join(theirs.select("shard", "id", theirs="prediction"), on=["shard", "id"], maintain_order="left")
    if both.height < LEAST_HELD_OUT:
        reason = f"only {both.height} rows were held out by both; {LEAST_HELD_OUT} are needed"
        return not_compared(reason, rival)
    labels, new, old = (both[name].to_numpy() for name in ("label", "prediction", "theirs"))
    note = "compared by what each predicted, at its own training, of the rows that both held out; no model was asked"
    return replace(compare(rival, labels, new, old, lens, RESAMPLES, SEED), notes=(note,))
