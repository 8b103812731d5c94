"""Checks of the corpus: is what landed what became documents?"""

import dagster as dg

from datashop_assets.asset_metadata import table
from datashop_assets.corpus.quality import corpus_quality
from datashop_assets.graph import Graph
from datashop_assets.seams import Lake

# Above this share of quarantined rows a landing's settings, or its files, are probably wrong.
MOST_QUARANTINED = 0.05


def corpus_checks(graph: Graph) -> list[dg.AssetChecksDefinition]:  # noqa: ARG001 - all stages are built alike
    """The corpus checks of a project."""

    @dg.asset_check(
        asset="documents",
        description=f"At most {MOST_QUARANTINED:.0%} of the rows of any dataset are quarantined.",
    )
    def few_rows_are_quarantined(lake: dg.ResourceParam[Lake]) -> dg.AssetCheckResult:
        quality = corpus_quality(lake)
        shares = quality["quarantined share"]
        return dg.AssetCheckResult(
            passed=quality.height > 0 and bool((shares <= MOST_QUARANTINED).all()),
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"by dataset and reason": table(quality)},
        )

    return [few_rows_are_quarantined]
