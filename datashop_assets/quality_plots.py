"""Pictures of a classifier's quality report: slices, learning curve, threshold curve, calibration.

What belongs here: drawing them. What does not: computing what is drawn (the classifier stage), the style and every
other picture (`plots.py`).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from datashop_assets.plots import BLUE, CYCLE, GREY, ORANGE, ReliabilityBin, Share, named_rows, rendered

KINDS = ("precision", "recall", "f1")


class Threshold(Protocol):
    """What a threshold keeps, and how well."""

    @property
    def kept(self) -> Share: ...
    @property
    def precision(self) -> Share | None: ...
    @property
    def recall(self) -> Share | None: ...
    @property
    def f1(self) -> Share | None: ...


class Learnt(Protocol):
    """Quality after so many annotations: mean over draws, and its deviation, null for a single one."""

    @property
    def annotations(self) -> int: ...
    @property
    def mae(self) -> float: ...
    @property
    def mae_deviation(self) -> float | None: ...
    @property
    def spearman(self) -> float | None: ...
    @property
    def spearman_deviation(self) -> float | None: ...


def threshold_curve(points: Sequence[Threshold], marks: Mapping[str, float], title: str = "Thresholds") -> bytes:
    """Precision, recall and F1 against the kept share, with the interval of precision; `marks` are named shares."""

    def draw(axes: Any) -> None:
        for colour, kind in zip(CYCLE, KINDS, strict=False):
            known = [(point.kept.value, figure) for point in points if (figure := getattr(point, kind)) is not None]
            shares = [share for share, _ in known]
            axes.plot(shares, [figure.value for _, figure in known], color=colour, marker=".", label=kind)
            if kind == "precision":
                bounds = [figure.low for _, figure in known], [figure.high for _, figure in known]
                axes.fill_between(shares, *bounds, color=colour, alpha=0.15, linewidth=0)
        for name, share in marks.items():
            axes.axvline(share, color="#222222", linestyle="--", linewidth=1.2, label=name)
        axes.set_ylim(0, 1.02)
        axes.set_xlim(0, 1.02)
        axes.xaxis.set_major_formatter("{x:.0%}")
        axes.set(xlabel="share of documents kept", ylabel="on held-out rows", title=title)
        axes.legend(loc="best", frameon=True, framealpha=0.8, edgecolor="none")

    return rendered(draw, shaded=True)


def learning_curve(points: Sequence[Learnt], title: str = "Learning curve") -> bytes:
    """Held-out MAE, and rank correlation on an axis of its own, against the number of annotations; bars are standard
    deviations over random subsets."""

    def draw(axes: Any) -> None:
        at = [point.annotations for point in points]
        other = axes.twinx()
        other.grid(False)
        other.spines["right"].set_visible(True)
        deviations = [point.mae_deviation or 0.0 for point in points]
        left = axes.errorbar(at, [point.mae for point in points], deviations, color=BLUE, marker="o", capsize=3)
        ranked = [point for point in points if point.spearman is not None]
        right = other.errorbar(
            [1.03 * point.annotations for point in ranked],  # beside the other's bars, not on them
            [point.spearman or 0.0 for point in ranked],
            [point.spearman_deviation or 0.0 for point in ranked],
            color=ORANGE,
            marker="s",
            capsize=3,
            linestyle="--",
        )
        axes.set_xscale("log")
        axes.set_xticks(at, [f"{count:,}" for count in at])
        axes.minorticks_off()
        axes.set_ylabel("MAE", color=BLUE)
        other.set_ylabel("Spearman", color=ORANGE)
        axes.margins(y=0.25)
        other.margins(y=0.25)
        axes.set(xlabel="annotations trained on", title=title)
        axes.legend([left, right], ["MAE (less is better)", "Spearman (more is better)"], loc="best")

    return rendered(draw, shaded=True)


def reliabilities(maps: Mapping[str, Sequence[ReliabilityBin]], title: str = "Calibration") -> bytes:
    """Mean label against mean score of bins, one line a map of the score; calibrated scores lie on the diagonal."""

    def draw(axes: Any) -> None:
        every = [value for bins in maps.values() for each in bins for value in (each.prediction, each.label)]
        ends = [min(every, default=0.0), max(every, default=1.0)]
        axes.plot(ends, ends, color=GREY, linestyle="--", linewidth=1, label="calibrated")
        for number, (name, bins) in enumerate(maps.items()):
            axes.plot(
                [each.prediction for each in bins],
                [each.label for each in bins],
                color=CYCLE[number % len(CYCLE)],
                marker="os^D"[number % 4],
                linewidth=1.8 if number == 0 else 1,
                markersize=5,
                label=name,
            )
        axes.set(xlabel="mean score", ylabel="mean label", title=title)
        axes.legend(loc="upper left")

    return rendered(draw, shaded=True)


def by_slice(
    figures: Mapping[str, Share], overall: float | None, title: str = "MAE by kind of document", xlabel: str = "MAE"
) -> bytes:
    """One row a slice with its interval, and a line where all held-out rows are."""

    def draw(axes: Any) -> None:
        if overall is not None:
            axes.axvline(overall, color=GREY, linestyle="--", linewidth=1)
        for row, figure in enumerate(figures.values()):
            axes.plot([figure.low, figure.high], [row, row], color=BLUE, linewidth=2, solid_capstyle="butt")
            axes.plot(figure.value, row, marker="o", color=BLUE)
        if not figures:
            axes.text(0.5, 0.5, "too few rows", ha="center", va="center", color=GREY, transform=axes.transAxes)
        named_rows(axes, figures)
        axes.grid(axis="y", visible=False)
        axes.set(xlabel=f"{xlabel}, 95 % interval; dashed: all held-out rows", title=title)

    return rendered(draw, rows=len(figures))
