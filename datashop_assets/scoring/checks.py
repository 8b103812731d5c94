"""Checks of the scoring stage."""

import dagster as dg

from datashop_assets.asset_metadata import table
from datashop_assets.classifier.registry import promoted
from datashop_assets.corpus.quality import incomplete_cells
from datashop_assets.graph import Graph
from datashop_assets.records import SCORES
from datashop_assets.seams import Lake


def scoring_checks(graph: Graph) -> list[dg.AssetChecksDefinition]:
    """The scoring checks of a project."""

    @dg.asset_check(asset="scores", description="Every document of a scored shard has exactly one score.")
    def every_document_is_scored(lake: dg.ResourceParam[Lake]) -> dg.AssetCheckResult:
        wrong = {lens: incomplete_cells(lake, SCORES.of(lens)) for lens in graph.lenses if promoted(lake, lens)}
        return dg.AssetCheckResult(
            passed=bool(wrong) and all(frame.is_empty() for frame in wrong.values()),
            metadata={f"shards that differ: {lens}": table(frame) for lens, frame in wrong.items()},
        )

    return [every_document_is_scored]
