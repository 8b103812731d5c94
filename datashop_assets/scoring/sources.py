"""Where scores of a name stand: those of a lens's promoted classifier, or those of an attribute.

What belongs here: from a name in the project file to a table and the classifier in it, for whoever filters on scores,
combines or compares them. What does not: making scores.
"""

from dataclasses import dataclass

import polars as pl

from datashop_assets.attribute_settings import inputs_of
from datashop_assets.cellwork import Target
from datashop_assets.classifier.registry import require_promoted
from datashop_assets.project import Project
from datashop_assets.records import SCORES, TableSpec
from datashop_assets.scoring.tables import ATTRIBUTE_SCORES, ATTRIBUTES
from datashop_assets.seams import Lake


@dataclass(frozen=True)
class ScoreSource:
    """Scores of one name: the rows of `table` whose `classifier` is this one. Scores may be null."""

    name: str
    table: TableSpec
    classifier: str

    @property
    def target(self) -> Target:
        """The table and how its cells are addressed."""
        return Target(self.table, lambda cell: {"shard": cell.shard, "classifier": self.classifier})


def score_source(lake: Lake, project: Project, name: str) -> ScoreSource:
    """The scores in force of a lens or an attribute.

    Raises LookupError where the project has nothing of that name, naming what it has, and where there are no such
    scores yet, saying what to materialize.
    """
    if name in project.lenses:
        return ScoreSource(name, SCORES.of(name), require_promoted(lake, name).classifier)
    if name not in project.attributes:
        raise LookupError(
            f"nothing is scored under the name {name!r}; lenses of the project: {sorted(project.lenses)}, "
            f"attributes: {sorted(project.attributes)}"
        )
    settings = project.attributes[name].version
    rows = lake.scan(ATTRIBUTES).filter(pl.col("attribute") == name, pl.col("settings") == settings)
    made = rows.select("classifier", "recorded_at").sort("recorded_at").collect()
    if made.is_empty():
        asset = "derived_attributes" if inputs_of(project.attributes[name]) else "attributes"
        raise LookupError(f"attribute {name!r} has no scores as it is set now; materialize `{asset}` for it first")
    return ScoreSource(name, ATTRIBUTE_SCORES.of(name), made["classifier"][-1])
