"""Checks of the attributes stage."""

import dagster as dg
import polars as pl

from datashop_assets.asset_metadata import differing
from datashop_assets.attributes.state import in_force
from datashop_assets.corpus.quality import incomplete_cells
from datashop_assets.graph import Graph
from datashop_assets.scoring.tables import ATTRIBUTE_SCORES
from datashop_assets.seams import Lake


def attribute_checks(graph: Graph) -> list[dg.AssetChecksDefinition]:
    """The attributes' checks of a project: of those assets that it has."""
    asked = {"attributes": graph.measured_attributes, "derived_attributes": graph.derived_attributes}
    return [_every_document_has_a_row(graph, asset, names) for asset, names in asked.items() if names]


def _every_document_has_a_row(graph: Graph, asset: str, names: list[str]) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=asset,
        name="every_document_has_a_row",
        description="Every document of a shard that was worked on has one row: a score or a reason.",
    )
    def check(lake: dg.ResourceParam[Lake]) -> dg.AssetCheckResult:
        records = {name: made for name in names if (made := in_force(lake, graph.project, name))}
        wrong = {
            name: incomplete_cells(lake, ATTRIBUTE_SCORES.of(name)).filter(pl.col("classifier") == made.classifier)
            for name, made in records.items()
        }
        return dg.AssetCheckResult(
            passed=bool(wrong) and all(frame.is_empty() for frame in wrong.values()),
            metadata=differing(wrong),
        )

    return check
