"""Checks of the corpus: is what landed what became documents?"""

import dagster as dg
import polars as pl

from datashop_assets.asset_metadata import in_words, table
from datashop_assets.corpus.quality import corpus_quality, unreadable_shards
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
            metadata={
                "largest quarantined share": max(shares, default=0.0),
                "why": in_words(quality.filter(shares > MOST_QUARANTINED)),
                "by dataset and reason": table(quality),
            },
        )

    @dg.asset_check(
        asset="documents",
        description="No registered shard has a file that cannot be read, or that is not what was registered.",
    )
    def every_shard_is_readable(lake: dg.ResourceParam[Lake]) -> dg.AssetCheckResult:
        faults = unreadable_shards(lake)
        shown = pl.DataFrame(list(faults.items()), schema={"shard": pl.String, "fault": pl.String}, orient="row")
        return dg.AssetCheckResult(
            passed=not faults, metadata={"unreadable shards": shown.height, "why": in_words(shown)}
        )

    return [few_rows_are_quarantined, every_shard_is_readable]
