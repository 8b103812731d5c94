"""Checks of the rating stage."""

from collections.abc import Callable, Collection

import dagster as dg
import polars as pl

from datashop_assets.asset_metadata import in_words, table
from datashop_assets.graph import Graph
from datashop_assets.rating.assets import BUDGET_CHECK
from datashop_assets.rating.lens import Lens
from datashop_assets.rating.quality import cut_short, in_force, rating_quality, with_limits
from datashop_assets.rating.rater_report import against_exemplars, exemplar_table
from datashop_assets.seams import Lake, Rater

Raters = Callable[[str], Rater]


def present_quality(lake: Lake, graph: Graph, raters: Raters, lenses: Collection[Lens]) -> pl.DataFrame:
    """`rating_quality` with limits and with who of the raters is in force, for the checks of scores and of labels."""
    limits = {lens.name: graph.settings(lens.name).max_failure_share for lens in lenses}
    named = {lens.name: {raters(name).id for name in graph.settings(lens.name).all_raters} for lens in lenses}
    return in_force(with_limits(rating_quality(lake, lenses), limits), named)


def rating_checks(graph: Graph) -> list[dg.AssetChecksDefinition]:
    """The rating checks of a project."""
    score_lenses = [lens for lens in graph.lenses.values() if lens.kind == "score"]

    @dg.asset_check(
        asset="annotations",
        description="Of the judgements of every rater that a lens names, at most its `max_failure_share` failed.",
    )
    def few_judgements_failed(lake: dg.ResourceParam[Lake], raters: dg.ResourceParam[Raters]) -> dg.AssetCheckResult:
        quality = present_quality(lake, graph, raters, score_lenses)
        present = quality.filter("in force")
        passed = present.height > 0 and not present["exceeded"].any()
        why = in_words(present.filter("exceeded"))
        return dg.AssetCheckResult(passed=passed, metadata={"why": why, "by lens and rater": table(quality)})

    @dg.asset_check(
        asset="annotations",
        description=(
            "Every rater that a lens names gives more than one score value; one that always answers alike teaches "
            "nothing."
        ),
    )
    def judgements_differ(lake: dg.ResourceParam[Lake], raters: dg.ResourceParam[Raters]) -> dg.AssetCheckResult:
        quality = present_quality(lake, graph, raters, score_lenses)
        present = quality.filter("in force")
        passed = present.height > 0 and bool((present["distinct scores"] > 1).all())
        why = in_words(present.filter(pl.col("distinct scores") <= 1))
        return dg.AssetCheckResult(passed=passed, metadata={"why": why, "by lens and rater": table(quality)})

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
        lake: dg.ResourceParam[Lake], raters: dg.ResourceParam[Raters]
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
