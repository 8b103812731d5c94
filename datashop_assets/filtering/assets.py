"""Assets of the filtering stage: cut-off, filtered documents, release."""

from pathlib import Path

import dagster as dg

from datashop_assets.asset_metadata import (
    CPU,
    OWNERS,
    RETRY,
    lineage_of,
    picture,
    plain_failures,
    preview,
    reported,
    table,
    table_metadata,
)
from datashop_assets.cellwork import Produced, Target, refresh
from datashop_assets.classifier.registry import require_promoted
from datashop_assets.corpus.registry import shards_by_key
from datashop_assets.embedding.inputs import ready_cells
from datashop_assets.filtering.cutoff import CutoffRecord, decide
from datashop_assets.filtering.filter import apply, reason_counts
from datashop_assets.filtering.produce import produce_release, scored_corpus
from datashop_assets.filtering.state import current_cutoff, record_cutoff, require_cutoff, wanted_filtered
from datashop_assets.graph import Graph
from datashop_assets.lineage import FILTER_RECIPE
from datashop_assets.partitions import (
    EVERY_SHARD,
    GRID_TO_LENS,
    RANGES,
    cells_by_lens,
    grid_partitions,
    lens_partitions,
)
from datashop_assets.plots import histogram
from datashop_assets.records import CUTOFFS, DOCUMENTS, FILTERED, RELEASES, SCORES, Cell, TableSpec
from datashop_assets.scoring.state import scores_target
from datashop_assets.seams import Lake, Tokenizers

GROUP = "filtering"


def filtering_assets(graph: Graph) -> list[dg.AssetsDefinition]:
    """The filtering assets of a project."""

    @dg.asset(
        deps=[dg.AssetDep("scores", partition_mapping=GRID_TO_LENS)],
        partitions_def=lens_partitions(graph),
        group_name=GROUP,
        owners=OWNERS,
        kinds={"polars", "deltalake"},
        metadata=table_metadata(CUTOFFS),
        tags=CPU,
        description=(
            "Which scores are kept: an immutable record, decided over all documents that the promoted classifier has "
            "scored. A new one is made on a new promotion, a changed policy, or when the kept share has drifted."
        ),
    )
    @plain_failures
    def cutoff(context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]) -> dg.MaterializeResult:
        lens = context.partition_key
        classifier = require_promoted(lake, lens).classifier
        scored = scored_corpus(lake, lens, classifier, graph.project)
        policy = graph.settings(lens).cutoff
        decision = decide(scored, policy, lens, classifier, current_cutoff(lake, lens))
        if decision.is_new:
            record_cutoff(lake, decision.record, lineage_of(context, lake, SCORES.of(lens)))
        context.log.info("cut-off %s: %s", decision.record.cutoff, decision.why)
        record = decision.record
        bounds = {
            name: bound for name, bound in (("lower", record.lower), ("upper", record.upper)) if bound is not None
        }
        return dg.MaterializeResult(
            metadata={
                **bounds,
                "cutoff": decision.record.cutoff,
                "classifier": classifier,
                "policy": dg.MetadataValue.json(policy.model_dump(mode="json")),
                "kept share": decision.kept_share,
                "documents": decision.documents,
                "unscored": decision.unscored,
                "skipped": not decision.is_new,
                "why": decision.why,
                "scores": picture(histogram(scored["score"], lines=bounds), "scores over the whole corpus"),
            }
        )

    @dg.asset(
        deps=["scores", "cutoff"],
        partitions_def=grid_partitions(graph),
        backfill_policy=RANGES,
        group_name=GROUP,
        owners=OWNERS,
        kinds={"polars", "deltalake"},
        code_version=str(FILTER_RECIPE),
        metadata=table_metadata(FILTERED),
        tags=CPU,
        retry_policy=RETRY,
        description="Every document with the verdict of the cut-off and its reason. Narrow: no text is copied.",
    )
    @plain_failures
    def filtered_documents(context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]) -> None:
        shards = shards_by_key(lake)
        with reported(context) as take:
            for lens, cells in cells_by_lens(context).items():
                record = require_cutoff(lake, lens)
                scores = SCORES.of(lens)

                def produce(cell: Cell, record: CutoffRecord = record, scores: TableSpec = scores) -> Produced:
                    where = {"shard": [cell.shard], "classifier": [record.classifier]}
                    rows = apply(lake.scan(scores, where).collect(), record, shards[cell.shard].pool_only)
                    return Produced(rows, {"kept": int(rows["kept"].sum()), **reason_counts(rows)})

                ready, missing = ready_cells(lake, scores_target(lens, record.classifier), cells, "scores")
                wanted = wanted_filtered(lake, record, ready)
                lineage = lineage_of(context, lake, scores, CUTOFFS)
                take(refresh(lake, Target(FILTERED.of(lens)), wanted, produce, lineage, missing=missing))

    @dg.asset(
        deps=[
            dg.AssetDep("filtered_documents", partition_mapping=GRID_TO_LENS),
            dg.AssetDep("documents", partition_mapping=EVERY_SHARD),
        ],
        partitions_def=lens_partitions(graph),
        group_name=GROUP,
        owners=OWNERS,
        kinds={"parquet", "huggingface"},
        metadata=table_metadata(RELEASES),
        tags=CPU,
        description=(
            "The kept text copied out as parquet and jsonl.zst, with manifest, checksums and a dataset card; loads "
            "with datasets.load_dataset. Refuses a corpus that is only partly filtered by the cut-off in force."
        ),
    )
    @plain_failures
    def release(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        releases: dg.ResourceParam[Path],
        language_models: dg.ResourceParam[Tokenizers],
    ) -> dg.MaterializeResult:
        lens = graph.lenses[context.partition_key]
        lineage = lineage_of(context, lake, DOCUMENTS, SCORES.of(lens.name), FILTERED.of(lens.name))
        made = produce_release(lake, lens, graph.project, releases, language_models, lineage)
        if made.reused:
            context.log.info("release %s is already there: nothing to do", made.release)
        return dg.MaterializeResult(
            metadata={
                "release": made.release,
                "path": dg.MetadataValue.path(made.directory),
                "dagster/row_count": made.documents,
                "bytes": made.bytes,
                "skipped": made.reused,
                "by source": table(made.sources),
                "by licence": table(made.licenses),
                "documents without licence": made.without_license,
                "preview": preview(made.sample, ["id", "source", "license", "score", "text"]),
            }
        )

    return [cutoff, filtered_documents, release]
