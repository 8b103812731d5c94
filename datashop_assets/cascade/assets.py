"""Assets of the cascade stage: a calibrated cascade for each lens that asks for one."""

import dagster as dg

from datashop_assets.asset_metadata import CPU, OWNERS, explained, lineage_of, plain_failures, table_metadata
from datashop_assets.cascade.produce import produce_cascade
from datashop_assets.corpus.registry import active_shards
from datashop_assets.graph import Graph
from datashop_assets.partitions import cascaded_partitions, lens_to_cascaded
from datashop_assets.records import CUTOFFS, SCORES
from datashop_assets.scoring.tables import CASCADES
from datashop_assets.seams import Encoder, Lake, ModelStore


def cascade_assets(graph: Graph) -> list[dg.AssetsDefinition]:
    """The cascade assets of a project; none where no lens asks for a cascade."""
    if not graph.cascaded:
        return []

    @dg.asset(
        deps=[dg.AssetDep("cutoff", partition_mapping=lens_to_cascaded(graph))],
        partitions_def=cascaded_partitions(graph),
        group_name="scoring",
        owners=OWNERS,
        kinds={"scikitlearn", "deltalake"},
        metadata=table_metadata(CASCADES),
        tags=CPU,
        description=explained(
            "A cheap stage that spares the encoder documents surely below the cut-off: learnt from the classifier's "
            "own scores and calibrated to a promised recall. `scores` uses it for shards without embeddings.",
            costs="training a cheap model on the CPU, on a sample",
            by_hand="after a promotion, before a crawl that is to be spared the encoder",
        ),
    )
    @plain_failures
    def cascade(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        encoder: dg.ResourceParam[Encoder],
        models: dg.ResourceParam[ModelStore],
    ) -> dg.MaterializeResult:
        lens = context.partition_key
        settings = graph.cascade_settings(lens)
        active = [shard.shard for shard in active_shards(lake, graph.project)]
        lineage = lineage_of(context, lake, SCORES.of(lens), CUTOFFS)
        made = produce_cascade(lake, models, lens, encoder.id, settings, active, lineage)
        record = made.record
        return dg.MaterializeResult(
            metadata={
                "cascade": record.cascade,
                "classifier": record.classifier,
                "cutoff": record.cutoff,
                "promised recall": record.recall,
                "at confidence": record.confidence,
                "documents above the cut-off": record.kept,
                "of them missed": record.missed,
                "learnt from": record.learnt,
                "calibrated on": record.calibrated,
                "share that the encoder reads": record.passed,
                "path": dg.MetadataValue.path(models.place(record.uri)),
                "skipped": made.reused,
            }
        )

    return [cascade]
