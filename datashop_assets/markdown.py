"""Tables as markdown, for metadata, cards and reports.

What belongs here: how a frame and a set of figures read. What does not: Dagster's types (`asset_metadata.py`), pictures
(`plots.py`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from datashop_assets.estimate import Estimate

CELL_CHARS = 160


def table(frame: pl.DataFrame) -> str:
    """The whole frame; long text is cut, line breaks are shown as spaces, and an empty frame says so."""
    if frame.is_empty():
        return "*no rows*"
    lines = ["| " + " | ".join(frame.columns) + " |", "|" + "---|" * frame.width]
    for row in frame.iter_rows():
        lines.append("| " + " | ".join(cell(value) for value in row) + " |")
    return "\n".join(lines)


def figures_table(figures: Mapping[str, Estimate | None], notes: Sequence[str] = ()) -> str:
    """One line a figure with its interval; `notes` stand below: what has to be known of a figure or its interval."""
    lines = ["| metric | value | 95 % interval | n |", "|---|---|---|---|"]
    for name, figure in figures.items():
        if figure is None:
            lines.append(f"| {name} | not defined on these rows | | |")
        else:
            lines.append(f"| {name} | {figure.value:.3f} | {figure.interval} | {figure.n} |")
    if notes:
        lines += ["", *(f"- {note}" for note in notes)]
    return "\n".join(lines)


def cell(value: Any) -> str:
    """A value in a table's cell, harmless whatever it holds: Markdown's signs are escaped."""
    if value is None:
        return "*null*"
    return "".join("\\" + c if c in "|`<>*_[]" else c for c in plain(value))


def plain(value: Any) -> str:
    """A value as one line of at most CELL_CHARS characters, nothing escaped."""
    text = " ".join((f"{value:.3f}" if isinstance(value, float) else str(value)).split())
    return text if len(text) <= CELL_CHARS else text[:CELL_CHARS] + "…"
