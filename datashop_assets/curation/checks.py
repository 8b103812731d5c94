"""Checks of the curation stage."""

import dagster as dg

from datashop_assets.curation.produce import current_curation
from datashop_assets.graph import Graph
from datashop_assets.partitions import lens_partitions
from datashop_assets.seams import Lake


def curation_checks(graph: Graph) -> list[dg.AssetChecksDefinition]:
    """The curation checks of a project."""

    @dg.asset_check(
        asset="curated_annotations",
        partitions_def=lens_partitions(graph),
        description=(
            "The raters' errors could be estimated: there are texts enough, the fit converged, and every class is "
            "rated as itself more often than as any other. A warning: where it fails the ratings are still there."
        ),
    )
    def rater_errors_are_known(
        context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lake]
    ) -> dg.AssetCheckResult:
        report, _ = current_curation(lake, context.partition_key)
        doubts = report.doubts if report else ("nothing was curated yet",)
        return dg.AssetCheckResult(
            passed=not doubts,
            severity=dg.AssetCheckSeverity.WARN,
            description="; ".join(doubts) or None,
            metadata={"independent texts": report.texts if report else 0},
        )

    return [rater_errors_are_known]
