"""The picture of a status map.

What belongs here: drawing it. What does not: what it shows (`status_map.py`), other pictures (`plots.py`).
"""

from collections.abc import Mapping
from typing import Any

from datashop_assets.automation.status_map import Status, StatusMap
from datashop_assets.plots import BLUE, GREY, ORANGE, named_rows, rendered

# Told apart with every common colour blindness; what is done is the quietest, what needs somebody the loudest.
COLOURS: Mapping[Status, str] = {
    Status.FRESH: "#9CC9E3",
    Status.UNDER_WAY: BLUE,
    Status.OLDER: "#F2D88F",
    Status.MISSING: "#FFFFFF",
    Status.PAUSED: GREY,
    Status.RESTING: ORANGE,
}
# Steps of a row's height, of some 20 pixels. A share is rounded to them; one shard among very many has the least, so
# that it is seen. With six statuses all of them fit.
STEPS, LEAST = 12, 2


def status_picture(found: StatusMap) -> bytes:
    """A row for each step of each lens, the shards in crawl order from left to right. A column is a stretch of
    neighbouring shards, filled from below by the share of each status, in the order of the legend."""
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Patch

    shown = {status: found.total(status) for status in COLOURS}

    def draw(axes: Any) -> None:
        rows = found.rows
        if found.shards:
            rgb = {status: to_rgb(colour) for status, colour in COLOURS.items()}
            columns = [[_column(stretch) for stretch in row.stretches] for row in rows]
            image = [[rgb[column[step]] for column in row] for row in columns for step in reversed(range(STEPS))]
            extent = (0, len(found.shards), len(rows) - 0.5, -0.5)
            axes.imshow(image, aspect="auto", interpolation="nearest", extent=extent)
        else:
            axes.text(0.5, 0.5, "no shard yet", ha="center", va="center", color=GREY, transform=axes.transAxes)
        named_rows(axes, [row.name for row in rows])
        for edge in range(1, len(rows)):
            axes.axhline(edge - 0.5, color="#222222", linewidth=0.6)
        axes.grid(False)
        axes.locator_params(axis="x", integer=True, nbins=5)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.set(xlabel="shards, in crawl order", title="How far each lens is")
        patches = [
            Patch(facecolor=COLOURS[status], edgecolor="#555555", linewidth=0.5, label=f"{status} ({count:,})")
            for status, count in shown.items()
            if count
        ]
        if patches:
            axes.figure.legend(handles=patches, loc="outside lower center", ncols=2)

    return rendered(draw, rows=len(found.rows), shaded=True)


def _column(stretch: Mapping[Status, int]) -> list[Status]:
    """The status of each of STEPS steps, from below: in proportion, LEAST of each that there is."""
    count = sum(stretch.values())
    present = [status for status in COLOURS if stretch.get(status)]
    steps = {status: max(LEAST, round(STEPS * stretch[status] / count)) for status in present}
    while (over := sum(steps.values()) - STEPS) != 0:
        steps[max(present, key=lambda status: steps[status])] -= 1 if over > 0 else -1
    return [status for status in present for _ in range(steps[status])]
