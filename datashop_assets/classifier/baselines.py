"""What a classifier is worth beyond: predictors that look at no text.

What belongs here: the baselines, fitted on the same rows as the head, and the differences to them.
What does not: what difference is enough (`verdict.py`).
"""

from collections.abc import Mapping

import numpy as np

from datashop_assets.classifier.head import Floats
from datashop_assets.classifier.metrics import Metric

MEAN, LENGTH = "mean", "length"


def predict_mean(train_scores: Floats, n: int) -> Floats:
    """The mean training score for every row."""
    return np.full(n, np.mean(train_scores, dtype=np.float64))


def predict_by_length(train_chars: Floats, train_scores: Floats, chars: Floats) -> Floats:
    """Ridge regression on the logarithm of the document's length in characters."""
    from sklearn.linear_model import Ridge

    def feature(lengths: Floats) -> Floats:
        return np.log1p(np.asarray(lengths, np.float64)).reshape(-1, 1)

    # One feature and an intercept: any small penalty does; it only keeps equal lengths from dividing by zero.
    return np.asarray(Ridge(alpha=1e-3).fit(feature(train_chars), train_scores).predict(feature(chars)), np.float64)


def mae_metrics(labels: Floats, predictions: Floats, baselines: Mapping[str, Floats]) -> dict[str, Metric]:
    """Per baseline its MAE, `mae_<name>`, and by how much the classifier is better, `mae_gain_over_<name>`."""
    error = np.abs(np.asarray(predictions, np.float64) - labels)
    functions: dict[str, Metric] = {}
    for name, predicted in baselines.items():
        baseline_error = np.abs(predicted - labels)
        functions[f"mae_{name}"] = _mean_of(baseline_error)
        functions[f"mae_gain_over_{name}"] = _mean_of(baseline_error - error)
    return functions


def _mean_of(values: Floats) -> Metric:
    return lambda rows: float(values[rows].mean())
