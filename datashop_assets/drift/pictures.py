"""Pictures of drift: the stability index shard by shard, scores and languages of both sides.

What belongs here: drawing them. What does not: the style (`plots.py`), what is drawn.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from datashop_assets.drift.scores import ScoreDrift
from datashop_assets.plots import BLUE, CYCLE, GREY, ORANGE, histograms, named_rows, rendered

SHOWN_SCORES = 5000
# Lenses whose shards are drawn, the furthest ones: ten lenses of 96 shards were a picture of 57 kB, and no help.
SHOWN_LENSES = 3


def shard_indexes(drifts: Sequence[ScoreDrift], most: float) -> bytes:
    """The index of each shard that was looked at, oldest first, a colour a lens; full dots are new shards. Of many
    lenses the first few are drawn."""

    def draw(axes: Any) -> None:
        for number, drift in enumerate(drifts[:SHOWN_LENSES]):
            colour, rows = CYCLE[number % len(CYCLE)], drift.by_shard
            new = (rows["part"] == "new").to_list()
            places = [place - new.index(True) for place in range(rows.height)]
            faces = [colour if each else "white" for each in new]
            axes.scatter(places, rows["index"], s=14, c=faces, edgecolors=colour, label=drift.lens, zorder=3)
        axes.axhline(most, color=GREY, linestyle="--", linewidth=1)
        axes.axvline(-0.5, color="#222222", linewidth=0.8)
        axes.set_yscale("symlog", linthresh=0.1)
        axes.set_ylim(bottom=0)
        axes.set(xlabel="shards; from 0 on the new crawl", ylabel="stability index", title="Scores, shard by shard")
        axes.legend(loc="upper left", frameon=True, framealpha=0.8, edgecolor="none")

    return rendered(draw, shaded=True)


def score_histograms(drift: ScoreDrift) -> bytes:
    """The scores of both sides, as shares."""
    groups = {"reference": drift.reference.spread(SHOWN_SCORES), "new crawl": drift.new.spread(SHOWN_SCORES)}
    return histograms({name: values.tolist() for name, values in groups.items()}, f"Scores of {drift.lens}")


def language_bars(mix: pl.DataFrame) -> bytes:
    """The share of each language on both sides."""

    def draw(axes: Any) -> None:
        for offset, (side, colour) in zip((-0.2, 0.2), (("reference", BLUE), ("new", ORANGE)), strict=True):
            shares = mix[side] / mix[side].sum()
            places = [row + offset for row in range(mix.height)]
            axes.barh(places, shares, height=0.38, color=colour, label="new crawl" if side == "new" else side)
        named_rows(axes, dict.fromkeys(mix["language"].to_list()))
        axes.set_ylim(max(4, mix.height) - 0.5, -0.6)
        axes.xaxis.set_major_formatter("{x:.0%}")
        axes.grid(axis="y", visible=False)
        axes.set(xlabel="share of the sampled documents", title="Languages")
        axes.legend(loc="lower right")

    return rendered(draw, rows=2 * mix.height)


def failure_shares(shares: Mapping[str, tuple[Any, Any]]) -> bytes:
    """The share of failed ratings before and since, with intervals; one row a lens and rater."""

    def draw(axes: Any) -> None:
        for row, sides in enumerate(shares.values()):
            for offset, colour, figure in zip((-0.15, 0.15), (BLUE, ORANGE), sides, strict=True):
                axes.plot([figure.low, figure.high], [row + offset] * 2, color=colour, linewidth=2)
                axes.plot(figure.value, row + offset, marker="o", color=colour)
        named_rows(axes, shares)
        axes.xaxis.set_major_formatter("{x:.1%}")
        axes.grid(axis="y", visible=False)
        axes.set(xlabel="share that failed, 95 % interval; blue: until training", title="Failed ratings")

    return rendered(draw, rows=2 * len(shares))
