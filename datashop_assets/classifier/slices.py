"""Quality by kind of document: by length, source, language, and by whether the encoder saw the whole of it.

What belongs here: dividing the held-out rows, and the figures of each part. What does not: finding out a document's
language or whether it was cut (`documents_seen.py`), metrics (`metrics.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from datashop_assets.classifier.head import Floats
from datashop_assets.classifier.metrics import UNDEFINED, Metric, bootstrap, metrics
from datashop_assets.estimate import Estimate
from datashop_assets.rating.lens import Lens

# Below this a part has no figures: with normal errors the interval of an MAE over 20 rows is 0.66 times as wide as it.
LEAST_ROWS = 20
MOST_LENGTHS = 4
LENGTH, SOURCE, LANGUAGE, READ = "length", "source", "language", "read"
IN_PART, WHOLE = "in part", "whole"
SHOWN = ("mae", "spearman", "f1_at_positive")

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Slice:
    """Held-out rows of one kind: `by` what they were divided, their `name` there, how many, and their figures.

    Figures: `mae`, `spearman`, `f1_at_positive`, and `bias`, the mean of (prediction - label); empty below LEAST_ROWS,
    null where not defined on these rows.
    """

    by: str
    name: str
    n: int
    figures: dict[str, Estimate | None]


@dataclass(frozen=True)
class CostOfCutting:
    """What documents that the encoder did not see to their end lose against those that it saw whole.

    `mae` is (MAE of cut - MAE of whole), `spearman` (Spearman of whole - Spearman of cut): above 0 cut documents are
    judged worse. Null, with the `reason`, where either kind has fewer than LEAST_ROWS rows. Not all of it need be the
    cutting: cut documents are longer, and may differ in other ways.
    """

    cut: int
    whole: int
    mae: Estimate | None
    spearman: Estimate | None
    reason: str | None

    @property
    def words(self) -> str:
        """What it means, in a sentence."""
        if self.mae is None:
            return f"What cutting costs is not known: {self.reason}."
        shown = "judged worse" if self.mae.low > 0 else "judged better" if self.mae.high < 0 else "not shown to differ"
        return f"Documents that the encoder did not see to their end are {shown}: their MAE is higher by {self.mae}."


def by_length(chars: NDArray[np.int64]) -> dict[str, Rows]:
    """Rows in at most MOST_LENGTHS bins of about equal size by length in characters; equal lengths stay together."""
    parts = min(MOST_LENGTHS, len(chars) // LEAST_ROWS)
    if parts < 2:
        return {"all lengths": np.arange(len(chars))}
    edges = np.unique(np.quantile(chars, np.arange(1, parts) / parts, method="lower"))
    place = np.searchsorted(edges, chars, side="left")
    names = [f"≤ {edges[0]:,} characters"]
    names += [f"{low + 1:,} to {high:,}" for low, high in pairwise(edges)]
    names += [f"> {edges[-1]:,}"]
    return {name: rows for number, name in enumerate(names) if len(rows := np.flatnonzero(place == number))}


def by_kind(kinds: Sequence[str]) -> dict[str, Rows]:
    """Rows of each kind, the largest first; kinds with fewer than LEAST_ROWS rows are merged."""
    values = np.asarray(kinds, dtype=str)
    names, counts = np.unique(values, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    large = [str(names[at]) for at in order if counts[at] >= LEAST_ROWS]
    found = {name: np.flatnonzero(values == name) for name in large}
    small = [str(name) for name in names if name not in large]
    if small:
        name = small[0] if len(small) == 1 else f"{'other' if large else 'all'} ({len(small)} kinds)"
        found[name] = np.flatnonzero(np.isin(values, small))
    return found


def sliced(
    by: str,
    parts: Mapping[str, Rows],
    labels: Floats,
    predictions: Floats,
    lens: Lens,
    resamples: int,
    seed: int,
) -> tuple[Slice, ...]:
    """A slice of each part (its rows are positions in `labels`)."""
    found = []
    for name, rows in parts.items():
        figures: dict[str, Estimate | None] = {}
        if len(rows) >= LEAST_ROWS:
            label, prediction = np.asarray(labels)[rows], np.asarray(predictions, np.float64)[rows]
            every = metrics(label, prediction, lens)
            functions: dict[str, Metric] = {metric: every[metric] for metric in SHOWN}
            functions["bias"] = _mean_of(prediction - label)
            figures, _ = bootstrap(functions, len(rows), resamples, seed)
        found.append(Slice(by, name, len(rows), figures))
    return tuple(found)


def cost_of_cutting(
    labels: Floats, predictions: Floats, cut: NDArray[np.bool_], lens: Lens, resamples: int, seed: int
) -> CostOfCutting:
    """Cut against whole documents, resampled together: each resample is of all rows, and then divided."""
    count = int(cut.sum())
    rest = len(cut) - count
    if min(count, rest) < LEAST_ROWS:
        reason = f"{count} held-out documents were cut and {rest} seen whole; at least {LEAST_ROWS} of each are needed"
        return CostOfCutting(count, rest, None, None, reason)
    every = metrics(labels, predictions, lens)

    def difference(metric: Metric, sign: int) -> Metric:
        def of(rows: Rows) -> float:
            first, second = rows[cut[rows]], rows[~cut[rows]]
            return sign * (metric(first) - metric(second)) if len(first) and len(second) else UNDEFINED

        return of

    functions = {"mae": difference(every["mae"], 1), "spearman": difference(every["spearman"], -1)}
    figures, _ = bootstrap(functions, len(cut), resamples, seed)
    return CostOfCutting(count, rest, figures["mae"], figures["spearman"], None)


def _mean_of(values: Floats) -> Metric:
    return lambda rows: float(values[rows].mean())
