"""Checks of the scoring stage."""

import dagster as dg
import polars as pl

from datashop_assets.asset_metadata import differing
from datashop_assets.classifier.registry import promoted
from datashop_assets.corpus.quality import incomplete_cells
from datashop_assets.graph import Graph
from datashop_assets.records import SCORES
from datashop_assets.seams import Lake


def scoring_checks(graph: Graph) -> list[dg.AssetChecksDefinition]:
    """The scoring checks of a project."""

    @dg.asset_check(
        asset="scores", description="Every document of a scored shard has one score by the classifier in force."
    )
    def every_document_is_scored(lake: dg.ResourceParam[Lake]) -> dg.AssetCheckResult:
        in_force = {lens: promotion for lens in graph.score_lenses if (promotion := promoted(lake, lens))}
        wrong = {
            lens: incomplete_cells(lake, SCORES.of(lens)).filter(pl.col("classifier") == promotion.classifier)
            for lens, promotion in in_force.items()
        }
        return dg.AssetCheckResult(
            passed=bool(wrong) and all(frame.is_empty() for frame in wrong.values()),
            metadata=differing(wrong),
        )

    return [every_document_is_scored]
