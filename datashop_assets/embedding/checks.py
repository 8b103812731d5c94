"""Checks of the embedding stage."""

import dagster as dg

from datashop_assets.asset_metadata import differing
from datashop_assets.corpus.quality import incomplete_cells
from datashop_assets.graph import Graph
from datashop_assets.records import EMBEDDINGS
from datashop_assets.seams import Encoder, Lake


def embedding_checks(graph: Graph) -> list[dg.AssetChecksDefinition]:  # noqa: ARG001 - all stages are built alike
    """The embedding checks of a project."""

    @dg.asset_check(asset="embeddings", description="Every document of an embedded shard has exactly one vector.")
    def every_document_is_embedded(
        lake: dg.ResourceParam[Lake], encoder: dg.ResourceParam[Encoder]
    ) -> dg.AssetCheckResult:
        wrong = incomplete_cells(lake, EMBEDDINGS.of(encoder.id))
        return dg.AssetCheckResult(passed=wrong.is_empty(), metadata=differing({"embeddings": wrong}))

    return [every_document_is_embedded]
