"""Checks of the annealing stage."""

import dagster as dg

from datashop_assets.annealing.produce import annealed_models, newest_model
from datashop_assets.graph import Graph
from datashop_assets.partitions import annealed_partitions
from datashop_assets.seams import Lake


def annealing_checks(graph: Graph) -> list[dg.AssetChecksDefinition]:
    """The annealing checks of a project."""
    if not graph.annealed:
        return []

    @dg.asset_check(
        asset="candidate_model",
        partitions_def=annealed_partitions(graph),
        blocking=True,
        description=(
            "The newest control is the one that the same corpus, base model and settings give today, so that the "
            "filtered share is all that differs. Where it fails, materialize control_model."
        ),
    )
    def control_is_comparable(
        context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lake]
    ) -> dg.AssetCheckResult:
        candidate = newest_model(lake, "candidate", context.partition_key)
        controls = annealed_models(lake, "control", None)
        newest, wanted = controls[-1].model if controls else "none", str(candidate.mixture.get("control"))
        return dg.AssetCheckResult(
            passed=newest == wanted, metadata={"control that is there": newest, "control to compare with": wanted}
        )

    return [control_is_comparable]
