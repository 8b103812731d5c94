"""The second half of a classifier's report in words and tables, for its card and its metadata.

What belongs here: how it reads. What does not: what is measured (`quality.py`), pictures (`report_pictures.py`).
"""

from collections.abc import Iterable, Mapping

import polars as pl

from datashop_assets import markdown
from datashop_assets.classifier.ceiling import Ceiling
from datashop_assets.classifier.comparison import Comparison, better_by
from datashop_assets.classifier.learning_curve import LearningCurve
from datashop_assets.classifier.recalibration import CALIBRATION_FILE, Reliability
from datashop_assets.classifier.report import Quality
from datashop_assets.classifier.slices import LEAST_ROWS
from datashop_assets.classifier.thresholds import ThresholdPoint
from datashop_assets.estimate import Estimate

KINDS, LABELS, THRESHOLDS = "kinds of document", "would more labels pay", "thresholds"
CALIBRATION, COMPARISON, CEILING = "calibration", "against the classifier in force", "agreement between raters"


def sections(quality: Quality) -> dict[str, str]:
    """Title to markdown, in the order in which a person asks."""
    return {
        KINDS: _kinds(quality),
        LABELS: _labels(quality.learning_curve),
        THRESHOLDS: _thresholds(quality.thresholds),
        CALIBRATION: _calibration(quality.calibration),
        COMPARISON: _comparison(quality.comparison),
        CEILING: _ceiling(quality.ceiling),
    }


def _kinds(quality: Quality) -> str:
    rows = [
        {"by": each.by, "kind": each.name, "rows": each.n, **_all_shown(each.figures, ("mae", "bias", "spearman"))}
        for each in quality.slices
    ]
    words = [
        f"Kinds of fewer than {LEAST_ROWS} held-out rows are merged, or have no figures. `bias` is the mean of "
        "(prediction - label).",
        quality.cost_of_cutting.words,
        *quality.notes,
    ]
    return _paragraphs(_table(rows), _points(words))


def _labels(curve: LearningCurve | None) -> str:
    if curve is None:
        return "No learning curve was asked for (`report.learning_curve_points` in the recipe)."
    rows = [
        {
            "annotations": str(point.annotations),
            "MAE": _with_deviation(point.mae, point.mae_deviation),
            "Spearman": _with_deviation(point.spearman, point.spearman_deviation),
            "random subsets": str(point.draws),
        }
        for point in curve.points
    ]
    return _paragraphs(curve.words, _table(rows), "± is the standard deviation over the subsets.")


def _thresholds(curve: Iterable[ThresholdPoint]) -> str:
    rows = [
        {
            "score at least": f"{point.threshold:.3f}",
            "kept": f"{point.kept.value:.0%}",
            "precision": shown(point.precision),
            "recall": shown(point.recall),
            "F1": shown(point.f1),
        }
        for point in curve
    ]
    return _table(rows)


def _calibration(maps: tuple[Reliability, ...]) -> str:
    if not maps:
        return "No calibration was asked for (`report.calibration_folds` in the recipe)."
    rows = [
        {
            "score": "as it is" if each.method == "none" else f"after the {each.method} map",
            "calibration error": f"{each.error:.3f}",
            "of a calibrated one by chance": f"{each.by_chance:.3f}, 95 of 100 below {each.chance_high:.3f}",
            "RMSE lower by": "" if each.rmse_gain is None else shown(each.rmse_gain),
        }
        for each in maps
    ]
    off = "is off by more than chance" if maps[0].is_off else "is not shown to be off"
    words = (
        f"The score as it is {off}. It is not recalibrated anywhere by itself: the maps stand in "
        f"`{CALIBRATION_FILE}`, for `recalibration.load_calibration(folder).recalibrate(scores)`."
    )
    return _paragraphs(words, _table(rows))


def _comparison(comparison: Comparison) -> str:
    words = comparison.words
    return _paragraphs(
        words[0].upper() + words[1:] + ".",
        markdown.figures_table(better_by(comparison)) if comparison.gains else "",
        _points(comparison.notes),
    )


def _ceiling(ceiling: Ceiling) -> str:
    rows = [{"who agrees with the rater": "the classifier, on held-out rows", **_all_shown(ceiling.classifier)}]
    rows += [
        {"who agrees with the rater": f"rater {pair.other}", **_all_shown(pair.figures)} for pair in ceiling.raters
    ]
    words = "" if ceiling.reason is None else f"How high one can come is not known: {ceiling.reason}."
    return _paragraphs(_table(rows), words)


def _all_shown(figures: Mapping[str, Estimate | None], names: Iterable[str] | None = None) -> dict[str, str]:
    return {name.replace("_", " "): shown(figures.get(name)) for name in names or figures}


def shown(figure: Estimate | None) -> str:
    """A figure with its interval in a table's cell."""
    if figure is None:
        return "–"
    bounds = "interval not known" if figure.low == figure.high else f"{figure.low:.2f} to {figure.high:.2f}"
    return f"{figure.value:.2f} ({bounds})"


def _with_deviation(value: float | None, deviation: float | None) -> str:
    if value is None:
        return "not defined"
    return f"{value:.3f}" if deviation is None else f"{value:.3f} ± {deviation:.3f}"


def _table(rows: list[dict[str, object]] | list[dict[str, str]]) -> str:
    return markdown.table(pl.DataFrame(rows))


def _points(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _paragraphs(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)
