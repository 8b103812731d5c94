"""A classifier's report for people: its sections with their pictures.

What belongs here: which figures are drawn, and what is marked in them. What does not: drawing (`plots.py`,
`quality_plots.py`), the sections' words and tables (`report_sections.py`).
"""

import polars as pl

from datashop_assets.classifier.dataset import Counts
from datashop_assets.classifier.report import Quality, Report
from datashop_assets.classifier.report_sections import CALIBRATION, KINDS, LABELS, THRESHOLDS, sections, shown
from datashop_assets.classifier.thresholds import at_threshold, keeping
from datashop_assets.filter_settings import CutoffPolicy, KeepFraction, Threshold
from datashop_assets.plots import confusion_matrix, markdown_image, predicted_vs_label, reliability
from datashop_assets.quality_plots import by_slice, learning_curve, reliabilities, threshold_curve


def illustrated(report: Report, held_out: pl.DataFrame, cutoff: CutoffPolicy) -> dict[str, str]:
    """Title to markdown with pictures of about 10 kB each. `held_out` has `label` and `prediction`; `cutoff` is the
    lens's policy, whose share is marked in the threshold curve."""
    parts = {title: [markdown_image(png, title)] for title, png in pictures(report, held_out, cutoff).items()}
    if report.quality is not None:
        parts[THRESHOLDS] += marked(report.quality, cutoff)
        for title, text in sections(report.quality).items():
            parts.setdefault(title, []).append(text)
    return {title: "\n\n".join(part) for title, part in parts.items()}


def pictures(report: Report, held_out: pl.DataFrame, cutoff: CutoffPolicy) -> dict[str, bytes]:
    """Title to PNG."""
    dots = predicted_vs_label(held_out["label"].to_list(), held_out["prediction"].to_list(), report.low, report.high)
    drawn = {
        "confusion matrix": confusion_matrix(report.confusion, report.low),
        "predictions": dots,
        CALIBRATION: reliability(report.reliability, report.low, report.high),
    }
    return drawn if report.quality is None else drawn | _of_quality(report, report.quality, cutoff)


def label_funnel(counts: Counts, documents: int) -> dict[str, int]:
    """From the documents of the corpus to the rows that a classifier was fitted on; the others measure it."""
    valid = counts.given - counts.without_score
    return {
        "documents": documents,
        "sampled and rated": counts.given,
        "with a valid score": valid,
        "distinct texts": valid - counts.repeats,
        "trained on": counts.train,
    }


def marks(quality: Quality, cutoff: CutoffPolicy) -> dict[str, float]:
    """What a cut-off policy keeps of the held-out rows, by name: shares. Policies by source have none."""
    if isinstance(cutoff, KeepFraction):
        return {f"keep_fraction {cutoff.keep_fraction:g}": cutoff.keep_fraction}
    if isinstance(cutoff, Threshold) and cutoff.lower is not None and cutoff.upper is None and not cutoff.reverse:
        return {f"score >= {cutoff.lower:g}": at_threshold(quality.thresholds, cutoff.lower).kept.value}
    return {}


def marked(quality: Quality, cutoff: CutoffPolicy) -> list[str]:
    """What the marked policy would do, in a sentence."""
    found = []
    for name, share in marks(quality, cutoff).items():
        point = keeping(quality.thresholds, share)
        found.append(
            f"The policy `{name}`, on these rows about `score >= {point.threshold:.3f}`: precision "
            f"{shown(point.precision)}, recall {shown(point.recall)}."
        )
    return found


def _of_quality(report: Report, quality: Quality, cutoff: CutoffPolicy) -> dict[str, bytes]:
    overall = report.figures["mae"]
    kinds = {f"{each.by}: {each.name}": mae for each in quality.slices if (mae := each.figures.get("mae")) is not None}
    drawn = {
        THRESHOLDS: threshold_curve(quality.thresholds, marks(quality, cutoff)),
        KINDS: by_slice(kinds, overall.value if overall is not None else None),
    }
    if quality.learning_curve is not None:
        drawn[LABELS] = learning_curve(quality.learning_curve.points)
    if quality.calibration:
        names = {"none": "score as it is", "linear": "after the linear map", "isotonic": "after the isotonic map"}
        drawn[CALIBRATION] = reliabilities({names[each.method]: each.bins for each in quality.calibration})
    return drawn
