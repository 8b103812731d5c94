"""Pictures for people: small PNGs of classifiers, scores and training runs, in one style.

What belongs here: drawing. What does not: computing what is drawn (the stages), attaching it (`asset_metadata.py`),
pictures of a quality report (`quality_plots.py`).
Every function returns PNG bytes of about 480 by 320 pixels (a list of many bars is higher), below 40 kB, because
metadata keeps them for ever.
"""

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

# Okabe and Ito's palette: told apart with every common colour blindness.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#8A8A8A"
CYCLE = (BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", "#56B4E9")
WIDTH, HEIGHT, DPI = 4.8, 3.2, 100
# Inches a row, and characters of a name beside it.
ROW, LONGEST_NAME = 0.2, 28
STYLE: Any = {
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#555555",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "legend.frameon": False,
    "legend.fontsize": 8.0,
}


class ReliabilityBin(Protocol):
    """Rows of neighbouring predictions."""

    @property
    def prediction(self) -> float: ...
    @property
    def label(self) -> float: ...
    @property
    def n(self) -> int: ...


class Share(Protocol):
    """A share in [0, 1] with the bounds of its interval."""

    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...


class Gain(Protocol):
    """A difference, more is better, and its interval's bounds: null where there is no interval."""

    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...


def confusion_matrix(matrix: Sequence[Sequence[int]], low: int, title: str = "Held-out rows") -> bytes:
    """Counts by rounded label (rows, from `low`) and rounded prediction (columns); shades are shares of a row."""

    def draw(axes: Any) -> None:
        shares = [[count / max(1, sum(row)) for count in row] for row in matrix]
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto", origin="lower")
        ticks = [str(low + step) for step in range(len(matrix))]
        axes.set_xticks(range(len(matrix)), ticks)
        axes.set_yticks(range(len(matrix)), ticks)
        for row, counts in enumerate(matrix):
            for column, count in enumerate(counts):
                colour = "white" if shares[row][column] > 0.5 else "#222222"
                axes.text(column, row, str(count), ha="center", va="center", color=colour if count else "#BBBBBB")
        axes.grid(False)
        axes.set(xlabel="prediction, rounded", ylabel="label, rounded", title=title)

    return rendered(draw)


def reliability(bins: Iterable[ReliabilityBin], low: float, high: float, title: str = "Calibration") -> bytes:
    """Mean label against mean prediction of bins of held-out rows; a calibrated classifier lies on the diagonal."""

    def draw(axes: Any) -> None:
        points = list(bins)
        axes.plot([low, high], [low, high], color=GREY, linestyle="--", linewidth=1, label="calibrated")
        axes.plot(
            [point.prediction for point in points],
            [point.label for point in points],
            color=BLUE,
            marker="o",
            label=f"{len(points)} bins, {sum(point.n for point in points)} rows",
        )
        axes.set(xlabel="mean prediction", ylabel="mean label", title=title)
        axes.legend(loc="upper left")

    return rendered(draw)


def predicted_vs_label(
    labels: Sequence[float], predictions: Sequence[float], low: float, high: float, title: str = "Held-out rows"
) -> bytes:
    """One dot a held-out row."""

    def draw(axes: Any) -> None:
        axes.plot([low, high], [low, high], color=GREY, linestyle="--", linewidth=1)
        axes.scatter(labels, predictions, s=14, color=BLUE, alpha=0.45, linewidths=0)
        axes.set(xlabel="label", ylabel="prediction", title=f"{title} (n={len(labels)})")

    return rendered(draw)


def histogram(
    values: Iterable[float],
    title: str = "Scores",
    xlabel: str = "score",
    lines: Mapping[str, float] | None = None,
    bins: int = 40,
) -> bytes:
    """How many documents have which value; `lines` are named marks, such as a cut-off."""
    return histograms({"": values}, title, xlabel, lines, bins)


def histograms(
    groups: Mapping[str, Iterable[float]],
    title: str = "Scores",
    xlabel: str = "score",
    lines: Mapping[str, float] | None = None,
    bins: int = 40,
) -> bytes:
    """Several groups of values over the same bins. One group is drawn as counts, more as shares of each group."""

    def draw(axes: Any) -> None:
        data = {name: list(values) for name, values in groups.items()}
        together = [value for values in data.values() for value in values]
        if not together:
            axes.text(0.5, 0.5, "nothing to show", ha="center", va="center", color=GREY, transform=axes.transAxes)
        several = len(data) > 1
        for colour, (name, values) in zip(_colours(data), data.items(), strict=True):
            axes.hist(
                values,
                bins=bins,
                range=(min(together), max(together)) if together else (0, 1),
                weights=[1 / len(values) for _ in values] if several else None,
                histtype="step" if several else "stepfilled",
                linewidth=1.5,
                color=colour,
                label=f"{name} (n={len(values):,})",
            )
        for name, value in (lines or {}).items():
            axes.axvline(value, color=ORANGE if not several else "#222222", linestyle="--", linewidth=1.5, label=name)
        axes.set(xlabel=xlabel, ylabel="share" if several else "documents", title=title)
        if not several:
            axes.set_title(f"{title} (n={len(together):,})")
        if several or lines:
            axes.legend(*_legend(axes, skip_unnamed=not several), loc="best")

    return rendered(draw)


def loss_curves(curves: Mapping[str, Sequence[tuple[float, float]]], title: str = "Training loss") -> bytes:
    """One line a model of (step, loss) points."""

    def draw(axes: Any) -> None:
        for colour, (name, points) in zip(_colours(curves), curves.items(), strict=True):
            steps, losses = [point[0] for point in points], [point[1] for point in points]
            axes.plot(steps, losses, color=colour, linewidth=1.6, marker="o", markersize=3, label=name)
        axes.set(xlabel="step", ylabel="loss (nats a token)", title=title)
        if curves:
            axes.legend(loc="best")

    return rendered(draw)


def comparison_chart(
    gains: Mapping[str, Gain],
    title: str = "Candidate against control",
    xlabel: str = "right of 0: candidate better\n(intervals hold together with 95 %)",
) -> bytes:
    """One row a label: the candidate's gain and its interval, grey where it holds 0, so that no difference is shown.

    A gain without interval is a hollow grey dot. The caller turns every difference so that more is better.
    """

    def draw(axes: Any) -> None:
        for row, gain in enumerate(gains.values()):
            if gain.low is None or gain.high is None:
                axes.plot(gain.value, row, marker="o", color=GREY, markerfacecolor="none")
                axes.annotate("no interval", (gain.value, row), (8, 0), textcoords="offset points", va="center", size=8)
                continue
            colour = BLUE if gain.low > 0 or gain.high < 0 else GREY
            axes.plot([gain.low, gain.high], [row, row], color=colour, linewidth=2, solid_capstyle="butt")
            axes.plot(gain.value, row, marker="o", color=colour)
        axes.axvline(0, color="#222222", linewidth=1)
        axes.set_yticks(range(len(gains)), list(gains), size=8)
        axes.set_ylim(max(1, len(gains)) - 0.5, -0.5)
        axes.grid(axis="y", visible=False)
        axes.locator_params(axis="x", nbins=5)
        axes.set_xlabel(xlabel, size=8)
        axes.set_title(title)

    return rendered(draw)


def share_bars(shares: Mapping[str, Share], title: str, xlabel: str = "share of documents, 95 % interval") -> bytes:
    """One horizontal bar a label, first on top, with its interval."""

    def draw(axes: Any) -> None:
        for row, bar in enumerate(shares.values()):
            axes.barh(row, bar.value, color=BLUE, height=0.7)
            axes.plot([bar.low, bar.high], [row, row], color="#222222", linewidth=1, solid_capstyle="butt")
        if not shares:
            axes.text(0.5, 0.5, "nothing to show", ha="center", va="center", color=GREY, transform=axes.transAxes)
        named_rows(axes, shares)
        axes.set_ylim(max(4, len(shares)) - 0.5, -0.5)  # a few bars stay bars
        axes.set_xlim(0, min(1.0, 1.05 * max((bar.high for bar in shares.values()), default=1.0)))
        axes.xaxis.set_major_formatter("{x:.0%}")
        axes.grid(axis="y", visible=False)
        axes.set(xlabel=xlabel, title=title)

    return rendered(draw, rows=len(shares))


def share_map(
    shares: Sequence[Sequence[float | None]], labels: Sequence[str], groups: Sequence[str], title: str
) -> bytes:
    """Shares in [0, 1] of shape [labels, groups] as a shaded table; null is a dash."""

    def draw(axes: Any) -> None:
        shades = [[value or 0.0 for value in row] for row in shares]
        darkest = max((max(row) for row in shades if row), default=0.0) or 1.0
        if labels and groups:
            axes.imshow(shades, cmap="Blues", vmin=0, vmax=darkest, aspect="auto")
        for row, values in enumerate(shares):
            for column, value in enumerate(values):
                text = "–" if value is None else f"{value:.0%}"
                colour = "white" if shades[row][column] > 0.5 * darkest else "#222222"
                axes.text(column, row, text, ha="center", va="center", size=8, color=colour)
        axes.set_xticks(range(len(groups)), [_short(group) for group in groups], size=8, rotation=20, ha="right")
        named_rows(axes, labels)
        axes.grid(False)
        axes.set_title(title)

    return rendered(draw, rows=len(labels))


def side_by_side(
    groups: Mapping[str, Sequence[float]], labels: Sequence[str], title: str, xlabel: str, ylabel: str
) -> bytes:
    """For each label a bar of each group, in the same order."""

    def draw(axes: Any) -> None:
        width = 0.8 / max(1, len(groups))
        for number, (colour, (name, values)) in enumerate(zip(_colours(groups), groups.items(), strict=True)):
            at = [place + (number - (len(groups) - 1) / 2) * width for place in range(len(values))]
            axes.bar(at, values, width=width * 0.95, color=colour, label=name)
        axes.set_xticks(range(len(labels)), labels)
        axes.margins(y=0.25)  # room for the legend
        axes.grid(axis="x", visible=False)
        axes.set(xlabel=xlabel, ylabel=ylabel, title=title)
        axes.legend(loc="best")

    return rendered(draw)


def funnel(steps: Mapping[str, int], title: str) -> bytes:
    """How many are left after each step, first on top, with the share of the step before."""

    def draw(axes: Any) -> None:
        counts, widest = list(steps.values()), max(steps.values(), default=0) or 1
        for row, count in enumerate(counts):
            axes.barh(row, count, color=BLUE if row < len(counts) - 1 else GREEN, height=0.7)
            before = counts[row - 1] if row else 0
            share = f"  ({count / before:.1%})" if before else ""
            axes.annotate(f"{count:,}{share}", (count, row), (4, 0), textcoords="offset points", va="center", size=8)
        named_rows(axes, steps)
        axes.set_ylim(max(4, len(counts)) - 0.5, -0.5)
        axes.set_xlim(0, widest * 1.35)  # room for the numbers
        axes.set_xticks([])
        axes.grid(False)
        axes.set_title(title)

    return rendered(draw, rows=len(steps))


def named_points(points: Mapping[str, tuple[float, float]], xlabel: str, ylabel: str, title: str) -> bytes:
    """A mark of its own for each name, explained beside the picture: names at near points would cover each other."""

    def draw(axes: Any) -> None:
        marks = "osD^v"  # a round of colours each
        for number, (colour, (name, (x, y))) in enumerate(zip(_colours(points), points.items(), strict=True)):
            mark = marks[number // len(CYCLE) % len(marks)]
            axes.plot([x], [y], mark, color=colour, markersize=6, linestyle="none", label=_short(name))
        axes.margins(x=0.1, y=0.1)
        axes.set(xlabel=xlabel, ylabel=ylabel, title=title)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))

    return rendered(draw)


def markdown_image(png: bytes, alt: str) -> str:
    """Markdown that holds the picture itself, so that it is shown wherever metadata is."""
    quiet = alt.replace("[", "(").replace("]", ")")
    return f"![{quiet}](data:image/png;base64,{base64.b64encode(png).decode()})"


def _colours(names: Mapping[str, Any]) -> list[str]:
    return [CYCLE[number % len(CYCLE)] for number in range(len(names))]


def _legend(axes: Any, *, skip_unnamed: bool) -> tuple[list[Any], list[str]]:
    handles, labels = axes.get_legend_handles_labels()
    kept = [(h, text) for h, text in zip(handles, labels, strict=True) if not (skip_unnamed and text.startswith(" ("))]
    return [h for h, _ in kept], [text for _, text in kept]


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def named_rows(axes: Any, names: Iterable[str]) -> None:
    """Names down the left side, the first one on top."""
    shown = [_short(name) for name in names]
    axes.set_yticks(range(len(shown)), shown, size=8)
    axes.set_ylim(max(1, len(shown)) - 0.5, -0.5)


def rendered(draw: Any, rows: int = 0, shaded: bool = False) -> bytes:
    """The PNG of what `draw` draws into axes.

    `rows` that stand one below the other make it higher where they need it; `shaded` pictures need fewer colours.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    # A Figure of its own, without pyplot: nothing global, so that parallel steps cannot draw into each other.
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, max(HEIGHT, ROW * rows + 0.8)), dpi=DPI, layout="constrained")
        draw(figure.add_subplot())
        canvas: Any = FigureCanvasAgg(figure)  # untyped in matplotlib
        canvas.draw()  # not savefig, which draws twice where a layout has to be found
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    if rows or shaded:
        picture = picture.quantize(128)  # 23 kB instead of 82 kB for a map of 21 rows and 4 columns
    buffer = io.BytesIO()
    picture.save(buffer, format="png", optimize=True)
    return buffer.getvalue()
