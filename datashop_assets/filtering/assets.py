"""Assets of the filtering stage: cut-off, filtered documents, release."""

from pathlib import Path

import dagster as dg

from datashop_assets.asset_metadata import (
    CPU,
    OWNERS,
    RETRY,
    explained,
    lineage_of,
    overdue_after,
    picture,
    plain_failures,
    preview,
    reported,
    table,
    table_metadata,
)
from datashop_assets.classifier.registry import require_promoted
from datashop_assets.filtering.drift import record_look
from datashop_assets.filtering.estimates import cut_among_estimates
from datashop_assets.filtering.exact_bounds import decide_cutoff
from datashop_assets.filtering.examples import kept_and_dropped
from datashop_assets.filtering.overview import (
    by_source,
    by_verdict,
    cutoff_facts,
    drawn_bounds,
    funnel_steps,
    shown_scores,
    source_tables,
)
from datashop_assets.filtering.produce import produce_release
from datashop_assets.filtering.release import read_manifest
from datashop_assets.filtering.rule import Ranking, Rule
from datashop_assets.filtering.sketches import update_sketches
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
from datashop_assets.plots import funnel, histogram
from datashop_assets.records import CUTOFFS, DOCUMENTS, FILTERED, RELEASES, SCORES, Cell
from datashop_assets.scoring.exact_scores import Exactness
from datashop_assets.seams import Encoder, Exports, Lake, ModelStore, Staging, Tokenizers

GROUP = "filtering"


def made_of(release: Path) -> dict[str, dg.MetadataValue]:
    """The tables that a release was made of, with their versions, each a link to the asset that writes it."""
    tables = source_tables(read_manifest(release)).items()
    return {
        f"made of {name} at version {version}": dg.MetadataValue.asset(dg.AssetKey(asset))
        for name, (asset, version) in tables
    }


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
        description=explained(
            "Which scores are kept: an immutable record, decided over all documents that the promoted classifier has "
            "scored, from summaries that a new shard leaves as they are. A new record is made on a new promotion, a "
            "changed policy, or when the kept share has drifted.",
            costs="seconds: stored summaries are merged, only new shards are read. With an encoder in int8 or bfloat16 "
            "up to 10,000 documents near a bound that is a share are encoded again, in float32; more are left to "
            "`filtered_documents`, shard by shard, after which this decides again",
            by_hand="after the project file's `cutoff` changed, where you do not want to wait for the sensor",
        ),
    )
    @plain_failures
    def cutoff(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        models: dg.ResourceParam[ModelStore],
        encoder: dg.ResourceParam[Encoder],
        exact_encoder: dg.ResourceParam[Encoder],
        staging: dg.ResourceParam[Staging],
    ) -> dg.MaterializeResult:
        lens, project = context.partition_key, graph.project
        rule = Rule.of(graph.settings(lens))
        ranking = Ranking(lens, require_promoted(lake, lens).classifier, rule)
        lineage = lineage_of(context, lake, SCORES.of(lens))
        made = update_sketches(lake, ranking, project, lineage)
        exactness = Exactness(encoder, exact_encoder, models, staging, context.log.info, graph.lenses)
        decided = decide_cutoff(lake, ranking, project, current_cutoff(lake, lens), lineage, exactness)
        corpus, decision = decided.corpus, decided.decision
        # First, so that a run that is killed here leaves no record that seems to have had all its scores.
        record_look(lake, decision.record, corpus.shards, lineage, decided.lacked_at)
        if decision.is_new:
            record_cutoff(lake, decision.record, lineage)
        among = cut_among_estimates(lake, decision.record, [Cell(shard, lens) for shard in corpus.shards])
        context.log.info("cut-off %s: %s", decision.record.cutoff, decision.why)
        bounds = drawn_bounds(decision.record)
        verdicts = by_verdict(corpus, decision)
        examples = kept_and_dropped(lake, decision.record, project, corpus.shards)
        return dg.MaterializeResult(
            metadata={
                **cutoff_facts(decision),
                **decided.facts,
                "scores": picture(histogram(shown_scores(corpus), lines=bounds), "scores over the whole corpus"),
                "funnel": picture(funnel(funnel_steps(verdicts), "Documents left"), "documents left"),
                "around the cut-off": table(examples.around),
                "best and worst": table(examples.ends),
                "policy": dg.MetadataValue.json(rule.policy.model_dump(mode="json")),
                "shards summarised now": made,
                "shards that wait for what else the filter reads": len(corpus.waiting),
                "shards that wait for another cascade": len(among),
                "documents by verdict": table(verdicts),
                "by source": table(by_source(corpus, decision)),
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
        description=explained(
            "Every document with the verdict of the cut-off and its reason. Narrow: no text is copied. With an encoder "
            "in int8 or bfloat16, documents that it leaves in doubt are scored again in float32 first. A lens with a "
            "population needs this of that lens first, which the partitions cannot say: a run says so instead.",
            costs="a comparison a document on stored scores; no text is read",
            by_hand="hardly ever: the reconcile sensor follows every new cut-off",
        ),
    )
    @plain_failures
    def filtered_documents(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        models: dg.ResourceParam[ModelStore],
        encoder: dg.ResourceParam[Encoder],
        exact_encoder: dg.ResourceParam[Encoder],
        staging: dg.ResourceParam[Staging],
    ) -> None:
        exactness = Exactness(encoder, exact_encoder, models, staging, context.log.info, graph.lenses)
        with reported(context) as take:
            for lens, cells in cells_by_lens(context).items():
                record = require_cutoff(lake, lens)
                lineage = lineage_of(context, lake, SCORES.of(lens), CUTOFFS)
                take(filter_cells(lake, record, graph.project, cells, lineage, exactness))

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
        freshness_policy=overdue_after(graph.project.automation.release_max_age_h),
        description=explained(
            "The kept text copied out as parquet, jsonl.zst or tokens, with manifest, checksums and a dataset card; "
            "loads with datasets.load_dataset. Refuses a corpus that is only partly filtered by the cut-off in force.",
            costs="copying the kept text to disk",
            by_hand="**always**: a release is a person's decision. It is refused while shards are still to be filtered",
        ),
    )
    @plain_failures
    def release(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        releases: dg.ResourceParam[Exports],
        language_models: dg.ResourceParam[Tokenizers],
    ) -> dg.MaterializeResult:
        lens = graph.lenses[context.partition_key]
        lineage = lineage_of(context, lake, DOCUMENTS, SCORES.of(lens.name), FILTERED.of(lens.name))
        made = produce_release(lake, lens, graph.project, releases, language_models, lineage)
        if made.reused:
            context.log.info("release %s is already there: nothing to do", made.release)
        left = funnel_steps(made.verdicts) | {"released": made.documents}
        return dg.MaterializeResult(
            metadata={
                "release": made.release,
                "path": dg.MetadataValue.path(made.place),
                **made_of(made.directory),
                "dagster/row_count": made.documents,
                "bytes": made.bytes,
                "funnel": picture(funnel(left, "Documents left"), "documents left"),
                "skipped": made.reused,
                "documents by verdict": table(made.verdicts),
                "by source": table(made.sources),
                "by licence": table(made.licenses),
                "documents without licence": made.without_license,
                "preview": preview(made.sample, ["id", "source", "license", "score", "text"]),
            }
        )

    return [cutoff, filtered_documents, release]
