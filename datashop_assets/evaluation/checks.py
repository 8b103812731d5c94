"""Checks of the evaluation stage."""

import dagster as dg

from datashop_assets.evaluation.produce import reports
from datashop_assets.graph import Graph
from datashop_assets.partitions import annealed_partitions
from datashop_assets.seams import Lake


def evaluation_checks(graph: Graph) -> list[dg.AssetChecksDefinition]:
    """The evaluation checks of a project."""
    if not graph.annealed:
        return []

    @dg.asset_check(
        asset="eval_report",
        partitions_def=annealed_partitions(graph),
        description="The candidate is not shown to be worse than the control on any task. (A warning: you decide.)",
    )
    def candidate_not_worse(
        context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lake]
    ) -> dg.AssetCheckResult:
        comparison = reports(lake, context.partition_key)[-1].comparison
        worse = [task.task for task in comparison.tasks if task.outcome == "worse"]
        return dg.AssetCheckResult(
            passed=not worse,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"verdict": comparison.verdict, "worse on": ", ".join(worse) or "nothing"},
        )

    return [candidate_not_worse]
