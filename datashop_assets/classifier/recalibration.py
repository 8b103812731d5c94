"""Scores that mean what they say: from a classifier's score to the label to expect, and to the chance of a positive.

What belongs here: fitting the maps, their file, how far scores are off before and after. What does not: which rows they
are fitted on (`quality.py`; never held-out ones). The score itself stays as the classifier gives it: whoever wants
another asks `recalibrate`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from datashop_assets.classifier.head import Floats, int_scores
from datashop_assets.classifier.metrics import Bin, Metric, bootstrap, reliability_bins
from datashop_assets.estimate import Estimate
from datashop_assets.rating.lens import Lens

CALIBRATION_FILE = "calibration.json"
Method = Literal["linear", "isotonic"]
# A step function has as many free values as the data asks for: on fewer rows it fits their noise.
LEAST_ISOTONIC = 100
# Label shuffles that tell how large the calibration error of a calibrated classifier is by chance.
SHUFFLES = 200


@dataclass(frozen=True)
class Line:
    slope: float
    intercept: float


@dataclass(frozen=True)
class Calibration:
    """Maps of one classifier's score, fitted on `n` rows that it was not trained on when it scored them.

    `linear` and `isotonic` give the label to expect (isotonic: at the scores `isotonic_from` the labels `isotonic_to`,
    linear between, constant outside; empty below LEAST_ISOTONIC rows). `positive` is the logistic curve of the chance
    that the rounded label reaches the lens's `positive_at` (Platt 1999); null where the rows hold one class only.
    """

    classifier: str
    n: int
    linear: Line
    isotonic_from: tuple[float, ...]
    isotonic_to: tuple[float, ...]
    positive: Line | None

    def recalibrate(self, scores: Floats, method: Method = "linear") -> NDArray[np.float64]:
        """The label to expect for each score, in the same shape; not clipped to the scale.

        Raises ValueError where `isotonic` was not fitted.
        """
        given = np.asarray(scores, np.float64)
        if method == "linear":
            return given * self.linear.slope + self.linear.intercept
        if not self.isotonic_from:
            raise ValueError(
                f"classifier {self.classifier} has no isotonic calibration: {self.n} rows are fewer than "
                f"{LEAST_ISOTONIC}; use linear"
            )
        return np.interp(given, self.isotonic_from, self.isotonic_to)

    def chance_of_positive(self, scores: Floats) -> NDArray[np.float64]:
        """The probability that a document of each score is positive. Raises ValueError where it was not fitted."""
        if self.positive is None:
            raise ValueError(f"classifier {self.classifier} was calibrated on rows of one class only")
        logits = np.asarray(scores, np.float64) * self.positive.slope + self.positive.intercept
        return np.asarray(1 / (1 + np.exp(-logits)))

    def save(self, directory: Path) -> None:
        (directory / CALIBRATION_FILE).write_text(_adapter().dump_json(self, indent=1).decode(), encoding="utf-8")


def load_calibration(directory: Path) -> Calibration:
    """The calibration beside a classifier. Raises FileNotFoundError for one that was trained without."""
    return _adapter().validate_json((directory / CALIBRATION_FILE).read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Reliability:
    """How far scores are off on the held-out rows: as they are (`method` none), or sent through a map.

    `error` is the expected calibration error: |mean label - mean score| over bins of neighbouring scores, weighted by
    rows (Naeini et al. 2015, of real-valued labels). It is never 0 on finite rows: `by_chance` is what a calibrated
    classifier with errors of this size shows on as many, and `chance_high` what 95 of 100 such stay below.
    `rmse_gain` is (RMSE as it is - RMSE after the map), paired by row; null for the score as it is.
    """

    method: str
    error: float
    by_chance: float
    chance_high: float
    rmse_gain: Estimate | None
    bins: tuple[Bin, ...]

    @property
    def is_off(self) -> bool:
        """Is it off by more than chance?"""
        return self.error > self.chance_high


def fit_calibration(classifier: str, labels: Floats, scores: Floats, lens: Lens) -> Calibration:
    """Fit the maps on rows whose scores come from a classifier that did not learn from them; labels as rated."""
    from sklearn.isotonic import IsotonicRegression
    from sklearn.linear_model import LinearRegression, LogisticRegression

    label, score = np.asarray(labels, np.float64), np.asarray(scores, np.float64)
    line = LinearRegression().fit(score.reshape(-1, 1), label)
    steps: tuple[NDArray[np.float64], NDArray[np.float64]] = (np.empty(0), np.empty(0))
    if len(label) >= LEAST_ISOTONIC:
        isotonic = IsotonicRegression(out_of_bounds="clip").fit(score, label)
        steps = isotonic.X_thresholds_, isotonic.y_thresholds_
    positive = int_scores(label, lens) >= lens.positive_at
    logistic: Line | None = None
    if 0 < positive.sum() < len(positive):
        curve = LogisticRegression(C=np.inf).fit(score.reshape(-1, 1), positive)
        logistic = Line(float(curve.coef_[0, 0]), float(curve.intercept_[0]))
    return Calibration(
        classifier,
        len(label),
        Line(float(line.coef_[0]), float(line.intercept_)),
        tuple(map(float, steps[0])),
        tuple(map(float, steps[1])),
        logistic,
    )


def reliability(
    calibration: Calibration, labels: Floats, scores: Floats, resamples: int, seed: int
) -> tuple[Reliability, ...]:
    """The score as it is, and after each map, measured on held-out rows."""
    label, raw = np.asarray(labels, np.float64), np.asarray(scores, np.float64)
    maps = {"none": raw, "linear": calibration.recalibrate(raw, "linear")}
    if calibration.isotonic_from:
        maps["isotonic"] = calibration.recalibrate(raw, "isotonic")
    gains = {name: _rmse_gain(label, raw, mapped) for name, mapped in maps.items() if name != "none"}
    figures, _ = bootstrap(gains, len(label), resamples, seed)
    found = []
    for name, mapped in maps.items():
        bins = reliability_bins(label, mapped)
        by_chance = _errors_by_chance(label, mapped, seed)
        error = expected_error(bins)
        high = float(np.percentile(by_chance, 95))
        found.append(Reliability(name, error, float(by_chance.mean()), high, figures.get(name), bins))
    return tuple(found)


def expected_error(bins: Sequence[Bin]) -> float:
    """The expected calibration error over bins, in units of the scale."""
    rows = sum(each.n for each in bins)
    return float(sum(each.n * abs(each.label - each.prediction) for each in bins) / rows)


def _errors_by_chance(labels: NDArray[np.float64], scores: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Expected errors of labels that are the score plus a shuffled residual, hence calibrated but for chance."""
    random = np.random.default_rng(seed)
    residuals = labels - scores - (labels - scores).mean()
    draws = (scores + random.permutation(residuals) for _ in range(SHUFFLES))
    return np.array([expected_error(reliability_bins(drawn, scores)) for drawn in draws])


def _rmse_gain(labels: NDArray[np.float64], raw: NDArray[np.float64], mapped: NDArray[np.float64]) -> Metric:
    before, after = (raw - labels) ** 2, (mapped - labels) ** 2
    return lambda rows: float(np.sqrt(before[rows].mean()) - np.sqrt(after[rows].mean()))


@cache
def _adapter() -> TypeAdapter[Calibration]:
    return TypeAdapter(Calibration)
