"""Checks of label lenses.

What belongs here: checks of `document_labels`. What does not: those of score lenses (`checks.py`).
"""

import dagster as dg

from datashop_assets.asset_metadata import table
from datashop_assets.graph import Graph
from datashop_assets.rating.checks import Raters, present_quality
from datashop_assets.rating.quality import cut_short
from datashop_assets.seams import Lake


def label_checks(graph: Graph) -> list[dg.AssetChecksDefinition]:
    """The checks of a project's label lenses; none where it has no such lens."""
    if not graph.label_lenses:
        return []
    lenses = [graph.lenses[name] for name in graph.label_lenses]

    @dg.asset_check(
        asset="document_labels",
        description="Of the judgements of every rater that a label lens names, at most its `max_failure_share` failed.",
    )
    def few_labellings_failed(lake: dg.ResourceParam[Lake], raters: dg.ResourceParam[Raters]) -> dg.AssetCheckResult:
        quality = present_quality(lake, graph, raters, lenses)
        present = quality.filter("in force")
        passed = present.height > 0 and not present["exceeded"].any()
        shown = quality.drop("mean score", "distinct scores")
        return dg.AssetCheckResult(passed=passed, metadata={"by lens and rater": table(shown)})

    @dg.asset_check(
        asset="document_labels",
        description="No cell was left half labelled by a run's budget; running it again goes on where that stopped.",
    )
    def labelling_budgets_sufficed(lake: dg.ResourceParam[Lake]) -> dg.AssetCheckResult:
        cells = cut_short(lake, lenses)
        return dg.AssetCheckResult(
            passed=cells.is_empty(),
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"half labelled cells": cells.height, "cells": table(cells.head(20))},
        )

    return [few_labellings_failed, labelling_budgets_sufficed]
