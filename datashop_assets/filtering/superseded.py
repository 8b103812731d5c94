"""What of the tables of scores and of their summaries nobody reads any more.

What belongs here: which partitions these are, and why. What does not: removing them (housekeeping). Scores by the last
few classifiers of a lens stay: a roll-back needs them. So do attributes that a rater was paid for, and what stands in
tables of lenses and attributes that left the project file, which may come back.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import polars as pl

from datashop_assets.attribute_settings import AttributeSettings, RaterAttribute
from datashop_assets.attributes.state import in_force
from datashop_assets.classifier.registry import promoted, promotions
from datashop_assets.filtering.rule import Ranking, Rule
from datashop_assets.filtering.state import current_cutoff
from datashop_assets.filtering.tables import SCORE_SKETCHES
from datashop_assets.project import LensSettings, Project
from datashop_assets.records import SCORES, TableSpec
from datashop_assets.scoring.tables import ATTRIBUTE_SCORES
from datashop_assets.seams import Lake

# Classifiers of a lens, those in force last, whose scores stay: a roll-back to one of them scores nothing.
KEPT_CLASSIFIERS = 5


@dataclass(frozen=True)
class Superseded:
    """The cells of `table` whose partition column `column` has this `value`: so many shards, with so many rows."""

    table: TableSpec
    column: str
    value: str
    shards: int
    rows: int
    why: str


@dataclass(frozen=True)
class Search:
    """A table, and what finds the partitions of it that can be removed: whatever would need one makes it again from
    what stays. No rows are read."""

    table: TableSpec
    found: Callable[[], list[Superseded]]


def searches(lake: Lake, project: Project) -> Iterator[Search]:
    """A search for each table of scores and summaries: where one table cannot be read, the others still can.

    Releases read tables at versions of then, which a removal leaves as they are.
    """
    for lens, settings in project.lenses.items():
        yield Search(SCORES.of(lens), partial(_scores, lake, lens))
        yield Search(SCORE_SKETCHES.of(lens), partial(_sketches, lake, lens, settings))
    for attribute, asked in project.attributes.items():
        yield Search(ATTRIBUTE_SCORES.of(attribute), partial(_attribute, lake, project, attribute, asked))


def _scores(lake: Lake, lens: str) -> list[Superseded]:
    """Scores by classifiers that were in force long ago. The cut-off's own are kept, whatever was promoted since."""
    cutoff = current_cutoff(lake, lens)
    newest = dict.fromkeys(promotion.classifier for promotion in reversed(promotions(lake, lens)))
    kept = {*list(newest)[:KEPT_CLASSIFIERS], *([cutoff.classifier] if cutoff else [])}
    why = f"by none of the {KEPT_CLASSIFIERS} classifiers that were in force last"
    return _others(lake, SCORES.of(lens), "classifier", kept, why)


def _sketches(lake: Lake, lens: str, settings: LensSettings) -> list[Superseded]:
    """Summaries of other rankings than the cut-off in force, or the next one, is decided by."""
    promotion, cutoff = promoted(lake, lens), current_cutoff(lake, lens)
    used = {made.classifier for made in (promotion, cutoff) if made is not None}
    rankings = {Ranking(lens, classifier, Rule.of(settings)).id for classifier in used}
    why = "summaries by another classifier or filter than those in force"
    return _others(lake, SCORE_SKETCHES.of(lens), "ranking", rankings, why)


def _attribute(lake: Lake, project: Project, attribute: str, settings: AttributeSettings) -> list[Superseded]:
    """Scores by what made an attribute's before it was set as it is now, or its sources or files changed."""
    record = in_force(lake, project, attribute)
    if record is None or isinstance(settings, RaterAttribute):
        return []
    return _others(lake, ATTRIBUTE_SCORES.of(attribute), "classifier", {record.classifier}, "not by what is in force")


def _others(lake: Lake, table: TableSpec, column: str, used: set[str], why: str) -> list[Superseded]:
    """The values of the column that are not `used`; nothing where none is, since then nothing is in force yet."""
    if not used:
        return []
    cells = lake.cells(table).filter(~pl.col(column).is_in(sorted(used)))
    counts = cells.group_by(column).agg(pl.len(), pl.col("rows").sum()).sort(column)
    return [Superseded(table, column, value, shards, rows, why) for value, shards, rows in counts.iter_rows()]
