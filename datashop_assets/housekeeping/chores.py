"""What housekeeping did, would do, or left alone: the lines of its reports and of its record.

What belongs here: one line, the table of them, the record. What does not: finding them, doing them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl

from datashop_assets.housekeeping.tables import HOUSEKEEPING
from datashop_assets.seams import Lake

SHOWN = 100


@dataclass(frozen=True)
class Chore:
    """One thing to do. `files` (a run is one) and `bytes` are what goes, or is rewritten; null: not known. `done` is
    false in a dry run, and where it was left alone, for which the note says why."""

    what: str
    action: str
    files: int
    bytes: int | None
    done: bool
    note: str = ""


def listed(chores: Sequence[Chore]) -> pl.DataFrame:
    """The largest chores (at most 100) for people, the largest first."""
    largest = sorted(chores, key=lambda chore: (-(chore.bytes or 0), -chore.files, chore.what))[:SHOWN]
    return pl.DataFrame(
        [
            {
                "what": chore.what,
                "action": chore.action,
                "files": chore.files,
                "MB": "not known" if chore.bytes is None else f"{chore.bytes / 1e6:.2f}",
                "done": "yes" if chore.done else "no",
                "note": chore.note,
            }
            for chore in largest
        ]
    )


def summary(chores: Sequence[Chore], dry_run: bool) -> dict[str, Any]:
    """Counts over all chores, and a sentence."""
    gone = [chore for chore in chores if chore.done]
    size = sum(chore.bytes or 0 for chore in chores)
    words = f"{len(gone)} of {len(chores)} done"
    if dry_run:
        words = f"dry run: {len(chores)} to do; run it with `dry_run: false`, or set `automation.housekeeping.dry_run`"
    return {
        "outcome": words if chores else "nothing to do",
        "dry run": dry_run,
        "chores": len(chores),
        "done": len(gone),
        "files": sum(chore.files for chore in chores),
        "megabytes": round(size / 1e6, 3),
    }


def record(lake: Lake, kind: str, chores: Sequence[Chore], lineage: Mapping[str, Any]) -> None:
    """Write down what was done; nothing where nothing was."""
    done = [chore for chore in chores if chore.done]
    if not done:
        return
    now = datetime.now(UTC)
    rows = [
        {
            "kind": kind,
            "what": chore.what,
            "action": chore.action,
            "files": chore.files,
            "bytes": chore.bytes,
            "note": chore.note,
            "run_id": str(lineage.get("run_id", "")),
            "done_at": now,
        }
        for chore in done
    ]
    lake.commit(HOUSEKEEPING, pl.DataFrame(rows, schema=HOUSEKEEPING.schema), None, lineage)
