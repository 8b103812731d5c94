"""Assets of the evaluation stage: candidate against control."""

import dagster as dg
import polars as pl

from datashop_assets.annealing.inputs import draw_documents
from datashop_assets.annealing.produce import Workshop, newest_model
from datashop_assets.asset_metadata import (
    OWNERS,
    TRAINING,
    explained,
    lineage_of,
    picture,
    plain_failures,
    table_metadata,
)
from datashop_assets.evaluation.produce import produce_report
from datashop_assets.evaluation.slices import enough_for_slices
from datashop_assets.graph import Graph
from datashop_assets.partitions import annealed_partitions
from datashop_assets.plots import comparison_chart, loss_curves
from datashop_assets.records import ANNEALED_MODELS, DOCUMENTS, EVAL_REPORTS
from datashop_assets.seams import Lake


def evaluation_assets(graph: Graph) -> list[dg.AssetsDefinition]:
    """The evaluation assets of a project; none where no lens asks to be annealed."""
    if not graph.annealed:
        return []
    settings = graph.project.evaluation

    @dg.asset(
        deps=["control_model", "candidate_model"],
        partitions_def=annealed_partitions(graph),
        group_name="evaluation",
        owners=OWNERS,
        kinds={"pytorch", "python"},
        code_version=settings.version,
        metadata=table_metadata(EVAL_REPORTS),
        pool="training",
        tags=TRAINING,
        description=explained(
            "Control and candidate on the same questions and the same held-out texts, compared sample by sample, with "
            "intervals. It says `no difference shown` when that is so.",
            costs="running the evaluation tasks on two models",
            by_hand="after the candidate was annealed",
        ),
    )
    @plain_failures
    def eval_report(
        context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], workshop: dg.ResourceParam[Workshop]
    ) -> dg.MaterializeResult:
        lens = context.partition_key
        control, candidate = newest_model(lake, "control", None), newest_model(lake, "candidate", lens)

        def enough(drawn: pl.DataFrame) -> bool:
            return enough_for_slices(drawn, settings)

        report = produce_report(
            lake,
            workshop,
            context,
            lens=lens,
            control=control,
            candidate=candidate,
            documents=draw_documents(lake, graph.project, settings.seed, enough),
            settings=settings,
            lineage=lineage_of(context, lake, ANNEALED_MODELS, DOCUMENTS),
        )
        tasks = report.comparison.tasks
        curves = {model.role: list(model.losses) for model in (control, candidate)}
        return dg.MaterializeResult(
            metadata={
                "verdict": report.comparison.verdict,
                "comparison": dg.MetadataValue.md(report.comparison.to_markdown()),
                "differences": picture(comparison_chart(report.comparison.gains), "differences with intervals"),
                "training loss": picture(loss_curves(curves), "training loss of control and candidate"),
                "skipped": report.reused,
                **{f"difference: {task.task}": task.difference for task in tasks},
            }
        )

    return [eval_report]
