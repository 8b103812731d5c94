"""Assets of the embedding stage: the dear step, once for all lenses with the same encoder.

`documents` and `embeddings` are made by one step. Of two steps the second is left out where the first fails, so that
one file that cannot be read would keep all shards of its run without vectors; here the good ones go the whole way, and
the run still fails at its end, with the bad ones named and red. Each asset can be materialized by itself.
"""

from collections.abc import Collection, Iterator

import dagster as dg

from datashop_assets.asset_metadata import (
    ENCODER,
    OWNERS,
    RETRY,
    explained,
    lineage_of,
    plain_failures,
    preview,
    reported,
    table_metadata,
)
from datashop_assets.corpus.assets import documents
from datashop_assets.corpus.documents import ParsedShard
from datashop_assets.corpus.produce import parse_cells
from datashop_assets.embedding.produce import embed_cells
from datashop_assets.graph import Graph
from datashop_assets.lineage import EMBEDDING_RECIPE
from datashop_assets.partitions import RANGES, SHARDS, cells_of
from datashop_assets.records import DOCUMENTS, EMBEDDINGS
from datashop_assets.seams import Encoder, Lake, Staging
from resources.landing import LandingArea


def embedding_assets(graph: Graph) -> list[dg.AssetsDefinition]:
    """The embedding assets of a project, and the documents that they are made from."""
    embeddings = dg.AssetSpec(
        "embeddings",
        deps=[documents],
        group_name="embedding",
        owners=OWNERS,
        kinds={"pytorch", "deltalake"},
        code_version=f"{EMBEDDING_RECIPE}-{graph.project.encoder.version}",
        metadata=table_metadata(EMBEDDINGS) | {"encoder": graph.project.encoder.model},
        tags=ENCODER,
        description=explained(
            "One vector a document, from the project's frozen encoder. A new head over them touches no text.",
            costs="the dearest step of a crawl: every text through the encoder, once for all lenses",
            by_hand="for a backfill of an old crawl before its turn; new shards are made by the reconcile sensor",
        ),
    )

    @dg.multi_asset(
        name="parse_and_embed",
        specs=[documents, embeddings],
        can_subset=True,
        partitions_def=SHARDS,
        backfill_policy=RANGES,
        pool="encoder",
        retry_policy=RETRY,
    )
    def parse_and_embed(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        landing: dg.ResourceParam[LandingArea],
        encoder: dg.ResourceParam[Encoder],
        staging: dg.ResourceParam[Staging],
    ) -> Iterator[dg.MaterializeResult]:
        asked = [key for key in (documents.key, embeddings.key) if key in context.selected_asset_keys]
        _make(context, [key.to_user_string() for key in asked], graph, lake, landing, encoder, staging)
        yield from (dg.MaterializeResult(asset_key=key) for key in asked)

    return [parse_and_embed]


@plain_failures
def _make(
    context: dg.AssetExecutionContext,
    asked: Collection[str],
    graph: Graph,
    lake: Lake,
    landing: LandingArea,
    encoder: Encoder,
    staging: Staging,
) -> None:
    cells = cells_of(context)
    with reported(context) as take:
        if "documents" in asked:
            lineage = lineage_of(context, lake, asset="documents")
            take(parse_cells(lake, graph.project, cells, landing, _shown, lineage), "documents")
        if "embeddings" in asked:
            lineage = lineage_of(context, lake, DOCUMENTS, asset="embeddings")
            take(embed_cells(lake, encoder, cells, staging, context.log.info, lineage), "embeddings")


def _shown(parsed: ParsedShard) -> dict[str, dg.MetadataValue]:
    return {"preview": preview(parsed.documents, ["id", "source", "text"])}
