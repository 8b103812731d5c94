"""Checks of the deduplication stage: was every document judged, and is what is rejected a plausible share?"""

import dagster as dg

from datashop_assets.asset_metadata import table
from datashop_assets.corpus.quality import incomplete_cells
from datashop_assets.deduplication.inputs import judging_tables
from datashop_assets.deduplication.shares import rejected_shares
from datashop_assets.graph import Graph
from datashop_assets.records import TableSpec
from datashop_assets.seams import Lake

# Of the documents of a dataset. More than half says that a setting is wrong, or that a crawl was landed twice; a corpus
# of many crawls can have that many near duplicates by right, so it is a warning.
MOST_REJECTED = 0.5


def deduplication_checks(graph: Graph) -> list[dg.AssetChecksDefinition]:
    """The deduplication checks of a project."""
    tables = judging_tables(graph.project.deduplication)
    return [check for spec in tables for check in (_every_document_is_judged(spec), _few_are_rejected(spec))]


def _every_document_is_judged(spec: TableSpec) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=spec.name,
        name="every_document_is_judged",
        description="A judged shard has an answer for each of its documents.",
    )
    def every_document_is_judged(lake: dg.ResourceParam[Lake]) -> dg.AssetCheckResult:
        wrong = incomplete_cells(lake, spec)
        passed = wrong.is_empty() and lake.cells(spec).height > 0
        return dg.AssetCheckResult(passed=passed, metadata={"shards that differ": table(wrong)})

    return every_document_is_judged


def _few_are_rejected(spec: TableSpec) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=spec.name,
        name="few_are_rejected",
        description=f"At most {MOST_REJECTED:.0%} of the documents of any dataset are rejected here.",
    )
    def few_are_rejected(lake: dg.ResourceParam[Lake]) -> dg.AssetCheckResult:
        shares = rejected_shares(lake, spec)
        return dg.AssetCheckResult(
            passed=bool((shares["rejected share"] <= MOST_REJECTED).all()),
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"by dataset": table(shares)},
        )

    return few_are_rejected
