"""Checks of the classifier stage. The blocking one stands between training and promotion."""

import dagster as dg

from datashop_assets.classifier.registry import find_classifier
from datashop_assets.classifier.report import Report
from datashop_assets.graph import Graph
from datashop_assets.partitions import lens_partitions
from datashop_assets.seams import Lake


def classifier_checks(graph: Graph) -> list[dg.AssetChecksDefinition]:
    """The classifier checks of a project."""

    @dg.asset_check(
        asset="classifier",
        partitions_def=lens_partitions(graph),
        blocking=True,
        description=(
            "On held-out rows, the newest classifier's mean absolute error is lower than that of predicting the mean, "
            "beyond the 95 % interval of the paired difference. The verdict was written at training."
        ),
    )
    def beats_the_mean_predictor(
        context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lake]
    ) -> dg.AssetCheckResult:
        record = find_classifier(lake, context.partition_key)
        figures = Report.from_json(record.metrics).figures
        return dg.AssetCheckResult(
            passed=record.passed,
            metadata={
                "classifier": record.classifier,
                "verdict": record.verdict,
                **{name: str(figure) for name, figure in figures.items() if name.startswith("mae") and figure},
            },
        )

    return [beats_the_mean_predictor]
