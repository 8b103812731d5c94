"""The classifiers that a lens has, for a person who promotes one or rolls back.

What belongs here: the table of versions. What does not: promoting (`registry.py`), whether one may be (`gate.py`).
"""

import polars as pl

from datashop_assets.classifier.registry import ClassifierRecord, promotions, trained
from datashop_assets.classifier.report import Report
from datashop_assets.records import SCORES
from datashop_assets.seams import Lake

MOST = 20


def known_versions(lake: Lake, lens: str) -> pl.DataFrame:
    """The lens's newest classifiers (at most 20), newest first, each once: its figures, whether and by whom it was
    promoted last, and of how many shards its scores still exist, which a roll-back uses again."""
    history = promotions(lake, lens)
    last = {each.classifier: each for each in history}
    in_force = history[-1].classifier if history else None
    cells = lake.cells(SCORES.of(lens))
    scored = dict(cells.group_by("classifier").len().iter_rows()) if cells.height else {}
    newest_first: dict[str, ClassifierRecord] = {}
    for record in reversed(trained(lake, lens)):
        newest_first.setdefault(record.classifier, record)
    rows = []
    for record in list(newest_first.values())[:MOST]:
        promotion, figures = last.get(record.classifier), Report.from_json(record.metrics).figures
        rows.append(
            {
                "classifier": record.classifier,
                "in force": "in force" if record.classifier == in_force else "",
                "trained at": f"{record.trained_at:%Y-%m-%d %H:%M} UTC",
                **{name: str(figures.get(name) or "not defined") for name in ("mae", "spearman")},
                "own checks": "passed" if record.passed else "failed",
                "promoted last": f"{promotion.promoted_at:%Y-%m-%d %H:%M} UTC" if promotion else "never",
                "by": promotion.by if promotion else "",
                "why": (promotion.note or "") if promotion else "",
                "shards scored": scored.get(record.classifier, 0),
            }
        )
    return pl.DataFrame(rows)
