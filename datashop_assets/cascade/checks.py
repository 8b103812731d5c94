"""Checks of the cascade stage."""

from dataclasses import asdict

import dagster as dg

from datashop_assets.graph import Graph
from datashop_assets.partitions import cascaded_partitions
from datashop_assets.scoring.cascades import cascades_of, keeps_promise, measured_recall
from datashop_assets.seams import Lake


def cascade_checks(graph: Graph) -> list[dg.AssetChecksDefinition]:
    """The cascade checks of a project."""
    if not graph.cascaded:
        return []

    @dg.asset_check(
        asset="cascade",
        partitions_def=cascaded_partitions(graph),
        description=(
            "The audit, documents that the cheap stage would have skipped and that were read all the same, does not "
            "show a recall below the promised one. Warns: calibrate again, or embed the shards."
        ),
    )
    def promised_recall_holds(
        context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lake]
    ) -> dg.AssetCheckResult:
        record = cascades_of(lake, context.partition_key)[-1]
        measured = measured_recall(lake, record)
        facts = {name: value for name, value in asdict(measured).items() if value is not None}
        return dg.AssetCheckResult(
            passed=keeps_promise(measured, record),
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"cascade": record.cascade, "promised recall": record.recall, **facts},
        )

    return [promised_recall_holds]
