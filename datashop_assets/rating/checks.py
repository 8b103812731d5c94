"""Checks of the rating stage."""

import dagster as dg

from datashop_assets.asset_metadata import table
from datashop_assets.graph import Graph
from datashop_assets.rating.quality import rating_quality
from datashop_assets.seams import Lake

# Failures are often of one kind (too long, refused), so above this share the labels are a biased sample.
MOST_FAILURES = 0.10


def rating_checks(graph: Graph) -> list[dg.AssetChecksDefinition]:
    """The rating checks of a project."""

    @dg.asset_check(
        asset="annotations", description=f"At most {MOST_FAILURES:.0%} of any rater's judgements through a lens failed."
    )
    def few_judgements_failed(lake: dg.ResourceParam[Lake]) -> dg.AssetCheckResult:
        quality = rating_quality(lake, graph.lenses.values())
        passed = quality.height > 0 and bool((quality["failed share"] <= MOST_FAILURES).all())
        return dg.AssetCheckResult(passed=passed, metadata={"by lens and rater": table(quality)})

    @dg.asset_check(
        asset="annotations",
        description="Every rater gives more than one score value; one that always answers alike teaches nothing.",
    )
    def judgements_differ(lake: dg.ResourceParam[Lake]) -> dg.AssetCheckResult:
        quality = rating_quality(lake, graph.lenses.values())
        passed = quality.height > 0 and bool((quality["distinct scores"] > 1).all())
        return dg.AssetCheckResult(passed=passed, metadata={"by lens and rater": table(quality)})

    return [few_judgements_failed, judgements_differ]
