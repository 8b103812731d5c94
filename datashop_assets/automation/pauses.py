"""What is paused: by the project file, or by a person's record, which needs no edit and no reload.

What belongs here: reading and appending the table `pauses`. What does not: leaving out what is paused (`reconcile.py`),
how a person says so (`assets.py`, `plan_command.py`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl

from datashop_assets.automation.tables import PAUSES
from datashop_assets.automation_settings import AutomationSettings
from datashop_assets.seams import Lake

EVERYTHING = "*"


@dataclass(frozen=True)
class Paused:
    """Lenses and attributes of which nothing is asked for; where `everything`, of all, and of what has no lens."""

    names: frozenset[str]
    everything: bool

    @classmethod
    def now(cls, lake: Lake, settings: AutomationSettings) -> "Paused":
        """What the project file pauses, and what the newest record of each name does."""
        recorded = {name for name, row in newest_records(lake).items() if row["paused"]}
        names = frozenset(recorded | set(settings.paused_lenses))
        return cls(names - {EVERYTHING}, settings.paused or EVERYTHING in names)

    def __contains__(self, lens: str | None) -> bool:
        return self.everything or lens in self.names


def newest_records(lake: Lake) -> dict[str, dict[str, Any]]:
    """The newest record of each name that was ever paused or resumed."""
    rows = lake.scan(PAUSES).sort("changed_at", maintain_order=True).collect()
    return {row["lens"]: row for row in rows.to_dicts()}


def record_pauses(
    lake: Lake,
    known: Iterable[str],
    pause: Iterable[str],
    resume: Iterable[str],
    by: str,
    note: str | None,
    lineage: Mapping[str, Any],
) -> None:
    """Append a record a name. Names are of `known` lenses and attributes, or EVERYTHING. Raises ValueError naming those
    that are not, or that are both paused and resumed, or where nobody says who they are."""
    pause, resume, names = sorted(set(pause)), sorted(set(resume)), sorted({*known, EVERYTHING})
    if unknown := sorted({*pause, *resume} - set(names)):
        raise ValueError(f"{unknown} cannot be paused or resumed; known: {names} ({EVERYTHING!r} is everything)")
    if both := sorted(set(pause) & set(resume)):
        raise ValueError(f"{both} cannot be paused and resumed at once")
    if not by.strip():
        raise ValueError("a pause needs the name of who asks for it, for those who wonder later why nothing runs")
    now = datetime.now(UTC)
    rows = [
        {"lens": name, "paused": name in pause, "by": by, "note": note, "changed_at": now} for name in (*pause, *resume)
    ]
    if rows:
        lake.commit(PAUSES, pl.DataFrame(rows, schema=PAUSES.schema), None, lineage)
