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
from datashop_assets.classifier.registry import require_promoted
from datashop_assets.filtering.decide import decide
from datashop_assets.filtering.overview import by_source, by_verdict, cutoff_facts, drawn_bounds, shown_scores
from datashop_assets.filtering.produce import produce_release
from datashop_assets.filtering.rule import Ranking, Rule
from datashop_assets.filtering.sketches import ranked_corpus, update_sketches
from datashop_assets.filtering.state import current_cutoff, record_cutoff, require_cutoff
from datashop_assets.filtering.verdicts import filter_cells
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
from datashop_assets.records import CUTOFFS, DOCUMENTS, FILTERED, RELEASES, SCORES
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
            "scored, from summaries that a new shard leaves as they are. A new record is made on a new promotion, a "
            "changed policy, or when the kept share has drifted."
        ),
    )
    @plain_failures
    def cutoff(context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]) -> dg.MaterializeResult:
        lens, project = context.partition_key, graph.project
        rule = Rule.of(graph.settings(lens))
        ranking = Ranking(lens, require_promoted(lake, lens).classifier, rule)
        lineage = lineage_of(context, lake, SCORES.of(lens))
        made = update_sketches(lake, ranking, project, lineage)
        corpus = ranked_corpus(lake, ranking, project)
        decision = decide(corpus, rule, lens, ranking.classifier, current_cutoff(lake, lens))
        if decision.is_new:
            record_cutoff(lake, decision.record, lineage)
        context.log.info("cut-off %s: %s", decision.record.cutoff, decision.why)
        bounds = drawn_bounds(decision.record)
        return dg.MaterializeResult(
            metadata={
                **cutoff_facts(decision),
                "policy": dg.MetadataValue.json(rule.policy.model_dump(mode="json")),
                "shards summarised now": made,
                "shards that wait for what else the filter reads": len(corpus.waiting),
                "documents by verdict": table(by_verdict(corpus, decision)),
                "by source": table(by_source(corpus, decision)),
                "scores": picture(histogram(shown_scores(corpus), lines=bounds), "scores over the whole corpus"),
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
        description=(
            "Every document with the verdict of the cut-off and its reason. Narrow: no text is copied. A lens with a "
            "population needs this of that lens first, which the partitions cannot say: a run says so instead."
        ),
    )
    @plain_failures
    def filtered_documents(context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]) -> None:
        with reported(context) as take:
            for lens, cells in cells_by_lens(context).items():
                record = require_cutoff(lake, lens)
                lineage = lineage_of(context, lake, SCORES.of(lens), CUTOFFS)
                take(filter_cells(lake, record, graph.project, cells, lineage))

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
            "The kept text copied out as parquet, jsonl.zst or tokens, with manifest, checksums and a dataset card; "
            "loads with datasets.load_dataset. Refuses a corpus that is only partly filtered by the cut-off in force."
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
