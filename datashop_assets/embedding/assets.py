"""Assets of the embedding stage: the dear step, once for all lenses with the same encoder."""

import dagster as dg

from datashop_assets.asset_metadata import ENCODER, OWNERS, RETRY, lineage_of, plain_failures, report, table_metadata
from datashop_assets.cellwork import Produced, Target, refresh
from datashop_assets.embedding.embed import embeddings_frame
from datashop_assets.embedding.inputs import documents_of, wanted_embeddings
from datashop_assets.graph import Graph
from datashop_assets.lineage import EMBEDDING_RECIPE
from datashop_assets.partitions import RANGES, SHARDS, cells_of
from datashop_assets.records import DOCUMENTS, EMBEDDINGS, Cell
from datashop_assets.seams import Encoder, Lake


def embedding_assets(graph: Graph) -> list[dg.AssetsDefinition]:
    """The embedding assets of a project."""

    @dg.asset(
        deps=["documents"],
        partitions_def=SHARDS,
        backfill_policy=RANGES,
        group_name="embedding",
        owners=OWNERS,
        kinds={"pytorch", "deltalake"},
        code_version=f"{EMBEDDING_RECIPE}-{graph.project.encoder.version}",
        metadata=table_metadata(EMBEDDINGS) | {"encoder": graph.project.encoder.model},
        pool="encoder",
        tags=ENCODER,
        retry_policy=RETRY,
        description="One vector a document, from the project's frozen encoder. A new head over them touches no text.",
    )
    @plain_failures
    def embeddings(
        context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], encoder: dg.ResourceParam[Encoder]
    ) -> None:
        target = Target(EMBEDDINGS.of(encoder.id))
        wanted = wanted_embeddings(lake, encoder.id, cells_of(context))

        def produce(cell: Cell) -> Produced:
            context.log.info("embedding %s", cell.shard)
            texts = documents_of(lake, cell).select("id", "text").collect()
            return Produced(embeddings_frame(texts, encoder), {"encoder": encoder.id})

        for outcome in refresh(lake, target, wanted, produce, lineage_of(context, lake, DOCUMENTS), batch_cells=4):
            report(context, outcome)

    return [embeddings]
