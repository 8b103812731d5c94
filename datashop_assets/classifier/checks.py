"""Checks of the classifier stage. The blocking ones stand between training and promotion."""

import dagster as dg

from datashop_assets import markdown
from datashop_assets.classifier.comparison import better_by
from datashop_assets.classifier.gate import WHICH_ROWS, standing
from datashop_assets.classifier.registry import find_classifier
from datashop_assets.classifier.report import Report
from datashop_assets.graph import Graph
from datashop_assets.partitions import lens_partitions
from datashop_assets.seams import Lake, ModelStore


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
            description=record.verdict,
            metadata={
                "classifier": record.classifier,
                "verdict": record.verdict,
                **{name: str(figure) for name, figure in figures.items() if name.startswith("mae") and figure},
            },
        )

    @dg.asset_check(
        asset="classifier",
        partitions_def=lens_partitions(graph),
        blocking=True,
        description=(
            "The newest classifier is not worse than the one in force: on the same held-out rows, neither its mean "
            "absolute error nor its rank correlation is worse beyond the 95 % interval of the paired difference. Too "
            "few rows to tell do not stop it, unless the project file asks for proof (`promotion.requires: better`)."
        ),
    )
    def not_worse_than_the_promoted(
        context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lake], models: dg.ResourceParam[ModelStore]
    ) -> dg.AssetCheckResult:
        lens, requires = context.partition_key, graph.settings(context.partition_key).promotion.requires
        found = standing(lake, models.fetch, find_classifier(lake, lens), graph.lenses[lens], requires)
        return dg.AssetCheckResult(
            passed=found.allowed,
            description=found.words,
            metadata={
                "in force": found.comparison.promoted or "none",
                "held-out rows of both": found.comparison.n,
                "which rows": WHICH_ROWS,
                "asked for": requires,
                "paired differences": dg.MetadataValue.md(
                    markdown.figures_table(better_by(found.comparison), found.comparison.notes)
                ),
            },
        )

    return [beats_the_mean_predictor, not_worse_than_the_promoted]
