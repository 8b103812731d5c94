"""Assets of the attributes stage: numbers of every document beside the lenses' scores, and what they share."""

from collections.abc import Callable
from typing import Any

import dagster as dg

from datashop_assets.asset_metadata import (
    CPU,
    OWNERS,
    PERMANENT,
    RATER,
    RETRY,
    explained,
    lineage_of,
    picture,
    plain_failures,
    reported,
    table,
    table_metadata,
)
from datashop_assets.attribute_settings import RaterAttribute, inputs_of
from datashop_assets.attributes.measurers import Tools, build_measurer
from datashop_assets.attributes.produce import derive_cells, measure_cells
from datashop_assets.attributes.report import AttributeReport, report_attributes
from datashop_assets.attributes.rows import facts
from datashop_assets.graph import Graph
from datashop_assets.lineage import ATTRIBUTE_RECIPE
from datashop_assets.partitions import RANGES, attribute_partitions, cells_by_lens, same_shards
from datashop_assets.plots import histogram, share_map
from datashop_assets.rating.run import RatingRun
from datashop_assets.records import DOCUMENTS, SCORES
from datashop_assets.scoring.tables import ATTRIBUTE_REPORTS, ATTRIBUTE_SCORES, ATTRIBUTES
from datashop_assets.seams import Lake, LanguageModels, ModelFiles, Rater, Staging

GROUP = "attributes"


def report_facts(made: AttributeReport) -> dict[str, Any]:
    """What people see of the report: tables, and the pairs' correlations and overlaps as maps."""
    shown: dict[str, Any] = {
        "documents compared": made.documents,
        "without scores": dict(made.left_out),
        "scores": table(made.scores),
        "pairs": table(made.pairs),
        "best tenths in common": picture(
            share_map(made.matrix("overlap"), made.names, made.names, "Best tenths in common"), "overlap of best tenths"
        ),
        "rank correlation (Spearman)": table(made.matrix_frame("spearman")),
    }
    return shown | {
        f"{name}: distribution": picture(histogram(values, name, xlabel=name), f"distribution of {name}")
        for name, values in made.samples.items()
        if len(values)
    }


def attribute_assets(graph: Graph) -> list[dg.AssetsDefinition]:
    """The attributes' assets of a project: those that it has attributes for."""
    project = graph.project
    asks = any(isinstance(settings, RaterAttribute) for settings in project.attributes.values())
    common: dict[str, Any] = {
        "group_name": GROUP,
        "owners": OWNERS,
        "retry_policy": RETRY,
        "code_version": f"{ATTRIBUTE_RECIPE}-{graph.attribute_code_version}",
    }

    @dg.asset(
        **common,
        tags=RATER if asks else CPU,  # on a cluster, the class of pod that may speak with a rater
        deps=["documents"],
        partitions_def=attribute_partitions(graph.measured_attributes),
        backfill_policy=RANGES,
        kinds={"polars", "deltalake"},
        metadata=table_metadata(ATTRIBUTE_SCORES, ATTRIBUTES),
        pool="encoder",
        description=explained(
            "Numbers measured on every document: length, compression, language, a model's score, a rater's, one made "
            "elsewhere. They stand beside the lenses' scores, to be filtered on and combined; null with a reason.",
            costs="from nothing to a model's pass over every text, by the attribute's kind",
            by_hand="for a shard that you want to look at now; the reconcile sensor makes all others",
        ),
    )
    @plain_failures
    def attributes(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        language_models: dg.ResourceParam[LanguageModels],
        model_files: dg.ResourceParam[ModelFiles],
        raters: dg.ResourceParam[Callable[[str], Rater]],
        staging: dg.ResourceParam[Staging],
    ) -> None:
        lineage = lineage_of(context, lake, DOCUMENTS)
        spendings = RatingRun(lake, staging, lineage, context.log.info)
        tools = Tools(lake, graph, language_models, model_files, raters, staging, spendings, context.log.info)
        try:
            with reported(context) as take:
                for name, cells in cells_by_lens(context).items():
                    measurer = build_measurer(name, cells, tools)
                    take(measure_cells(lake, graph, name, measurer, cells, facts, lineage))
        except PERMANENT:
            spendings.forget_spendings()  # no other attempt follows
            raise
        spendings.forget_spendings()

    @dg.asset(
        **common,
        tags=CPU,
        deps=same_shards(graph),
        partitions_def=attribute_partitions(graph.derived_attributes),
        backfill_policy=RANGES,
        kinds={"numpy", "deltalake"},
        metadata=table_metadata(ATTRIBUTE_SCORES, ATTRIBUTES),
        description=explained(
            "Numbers made of other scores: combinations by rank or value, quality levels, functions. Ranks and levels "
            "are taken from a recorded distribution, so that new shards do not move the documents of old ones.",
            costs="arithmetic on stored scores",
            by_hand="hardly ever: the reconcile sensor follows what it is made of",
        ),
    )
    @plain_failures
    def derived_attributes(context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]) -> None:
        with reported(context) as take:
            for name, cells in cells_by_lens(context).items():
                sources = [SCORES.of(each) for each in inputs_of(project.attributes[name])]
                lineage = lineage_of(context, lake, *sources)
                take(derive_cells(lake, graph, name, cells, facts, lineage))

    measured = [attributes] if graph.measured_attributes else []
    derived = [derived_attributes] if graph.derived_attributes else []

    @dg.asset(
        **common,
        tags=CPU,
        deps=[*(["scores"] if graph.score_lenses else []), *measured, *derived],
        kinds={"numpy", "matplotlib"},
        metadata=table_metadata(ATTRIBUTE_REPORTS),
        description=explained(
            "How the attributes and the lenses' scores are distributed, how they correlate by rank, what their best "
            "tenths have in common, and what has no score for which reason, over a sample of documents that all have.",
            costs="seconds on the CPU, over a sample",
            by_hand="when you want to compare attributes, or after one was added",
        ),
    )
    @plain_failures
    def attribute_report(context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]) -> dg.MaterializeResult:
        made = report_attributes(lake, project, [*graph.score_lenses, *project.attributes], lineage_of(context, lake))
        return dg.MaterializeResult(metadata=report_facts(made))

    return [*measured, *derived, attribute_report] if project.attributes else []
