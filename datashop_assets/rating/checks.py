"""Checks of the rating stage."""

from collections.abc import Callable

import dagster as dg

from datashop_assets.asset_metadata import table
from datashop_assets.graph import Graph
from datashop_assets.rating.assets import BUDGET_CHECK
from datashop_assets.rating.quality import cut_short, rating_quality, with_limits
from datashop_assets.rating.rater_report import against_exemplars, exemplar_table
from datashop_assets.seams import Lake, Rater


def rating_checks(graph: Graph) -> list[dg.AssetChecksDefinition]:
    """The rating checks of a project."""
    score_lenses = [lens for lens in graph.lenses.values() if lens.kind == "score"]
    limits = {lens.name: graph.settings(lens.name).max_failure_share for lens in score_lenses}

    @dg.asset_check(
        asset="annotations",
        description="Of every rater's judgements through a lens, at most the lens's `max_failure_share` failed.",
    )
    def few_judgements_failed(lake: dg.ResourceParam[Lake]) -> dg.AssetCheckResult:
        quality = with_limits(rating_quality(lake, score_lenses), limits)
        passed = quality.height > 0 and not quality["exceeded"].any()
        return dg.AssetCheckResult(passed=passed, metadata={"by lens and rater": table(quality)})

    @dg.asset_check(
        asset="annotations",
        description="Every rater gives more than one score value; one that always answers alike teaches nothing.",
    )
    def judgements_differ(lake: dg.ResourceParam[Lake]) -> dg.AssetCheckResult:
        quality = rating_quality(lake, score_lenses)
        passed = quality.height > 0 and bool((quality["distinct scores"] > 1).all())
        return dg.AssetCheckResult(passed=passed, metadata={"by lens and rater": table(quality)})

    @dg.asset_check(
        asset="annotations",
        name=BUDGET_CHECK,
        description="No cell was left half rated by a run's budget. Running it again goes on where that one stopped.",
    )
    def budgets_sufficed(lake: dg.ResourceParam[Lake]) -> dg.AssetCheckResult:
        cells = cut_short(lake, score_lenses)
        return dg.AssetCheckResult(
            passed=cells.is_empty(),
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"half rated cells": cells.height, "cells": table(cells.head(20))},
        )

    @dg.asset_check(
        asset="rater_report",
        description=(
            "Every rater's scores of the check exemplars rise with the known ones: their correlation is above 0, "
            "beyond its 95 % interval. Only reported: nothing waits for it."
        ),
    )
    def raters_follow_the_exemplars(
        lake: dg.ResourceParam[Lake], raters: dg.ResourceParam[Callable[[str], Rater]]
    ) -> dg.AssetCheckResult:
        found = {}
        for lens in score_lenses:
            names = {raters(name).id: name for name in graph.settings(lens.name).all_raters}
            found[lens.name] = against_exemplars(lake, lens, names)
        correlations = [rater.figures["pearson"] for raters in found.values() for rater in raters]
        return dg.AssetCheckResult(
            passed=bool(correlations) and all(each is not None and each.low > 0 for each in correlations),
            severity=dg.AssetCheckSeverity.WARN,
            metadata={lens: table(exemplar_table(raters)) for lens, raters in found.items()},
        )

    return [few_judgements_failed, judgements_differ, budgets_sufficed, raters_follow_the_exemplars]
