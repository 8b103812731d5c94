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
        description="Control and candidate were trained on the same number of tokens; else nothing can be compared.",
    )
    def same_tokens_as_control(
        context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lake]
    ) -> dg.AssetCheckResult:
        candidate = newest_model(lake, "candidate", context.partition_key)
        controls = annealed_models(lake, "control", None)
        tokens = controls[-1].tokens if controls else 0
        return dg.AssetCheckResult(
            passed=candidate.tokens == tokens, metadata={"candidate": candidate.tokens, "control": tokens}
        )

    return [same_tokens_as_control]
