"""How far the raters of a label lens agree, with intervals.

What belongs here: the measures over labels, and which judgements are compared. What does not: those over scores
(`agreement.py`, `rater_report.py`), the asset.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets.estimate import Estimate
from datashop_assets.rating.agreement import RESAMPLES, over_resamples
from datashop_assets.rating.lens import LabelSet, Lens
from datashop_assets.rating.rater_report import judged_by_both
from datashop_assets.seams import Lake


@dataclass(frozen=True)
class LabelPair:
    """Two raters on the documents that both judged: `both` of them, of which the figures compare MOST_COMPARED at
    most. A figure is null where it is not defined."""

    first: str
    second: str
    set: str
    both: int
    figures: Mapping[str, Estimate | None]


def label_pairs(lake: Lake, lens: Lens, raters: Mapping[str, str]) -> list[LabelPair]:
    """Every two of the raters (id -> name to show) on every label set, where both judged the same documents."""
    found = []
    for first, second, both, compared in judged_by_both(lake, lens, raters, "labels"):
        for labels in lens.label_sets:
            a, b = (presence(compared[column].to_list(), labels) for column in ("labels", "labels_second"))
            found.append(LabelPair(first, second, labels.name, both, label_agreement(a, b)))
    return found


def presence(answers: Sequence[Sequence[Mapping[str, str]]], labels: LabelSet) -> NDArray[np.bool_]:
    """Which labels of the set each answer has, of shape [answers, labels]."""
    given = [{each["label"] for each in answer if each["set"] == labels.name} for answer in answers]
    return np.array([[label in mine for label in labels.labels] for mine in given], dtype=np.bool_)


def label_agreement(
    first: NDArray[np.bool_], second: NDArray[np.bool_], resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Estimate | None]:
    """How far two raters agree, each of shape [documents, labels], by name.

    `exact`: share of documents with the very same labels. `jaccard`: mean share of the labels of either that both
    gave, 1 where neither gave one. `kappa`: Cohen's, of a label being given or not, over all documents and labels
    (Cohen 1960, as in scikit-learn); null where all or none are given by both. With 95 % percentile intervals over
    documents drawn again.
    """
    documents = len(first)
    same = (first == second).all(axis=1)
    either, both = (first | second).sum(axis=1), (first & second).sum(axis=1)
    overlap = np.divide(both, either, out=np.ones(documents), where=either > 0)
    # Per document: how often [neither, second alone, first alone, both].
    cells = np.stack([~first & ~second, ~first & second, first & ~second, first & second]).sum(axis=2).T

    def measures(rows: NDArray[np.int64]) -> dict[str, float]:
        return {
            "exact": float(same[rows].mean()),
            "jaccard": float(overlap[rows].mean()),
            "kappa": _kappa(cells[rows].sum(axis=0)),
        }

    return over_resamples(measures, documents, resamples, seed)


def _kappa(counts: NDArray[np.int64]) -> float:
    from sklearn.metrics import cohen_kappa_score

    neither, second, first, both = counts
    if not (second or first) and not (neither and both):
        return float("nan")
    return float(cohen_kappa_score([0, 0, 1, 1], [0, 1, 0, 1], sample_weight=counts))


def label_pair_table(compared: Sequence[LabelPair]) -> pl.DataFrame:
    """One row a pair and label set, every measure with its interval as text."""
    return pl.DataFrame(
        [
            {"first": pair.first, "second": pair.second, "set": pair.set, "both judged": pair.both}
            | {name: str(figure) if figure else "not defined" for name, figure in pair.figures.items()}
            for pair in compared
        ]
    )
