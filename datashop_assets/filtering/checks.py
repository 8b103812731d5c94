"""Checks of the filtering stage."""

import dagster as dg
import polars as pl

from datashop_assets.asset_metadata import differing
from datashop_assets.corpus.quality import incomplete_cells
from datashop_assets.filtering.overview import cutoff_problems
from datashop_assets.filtering.release import verify_release
from datashop_assets.filtering.state import require_cutoff
from datashop_assets.graph import Graph
from datashop_assets.partitions import lens_partitions
from datashop_assets.records import FILTERED, RELEASES
from datashop_assets.seams import Exports, Lake


def filtering_checks(graph: Graph) -> list[dg.AssetChecksDefinition]:
    """The filtering checks of a project."""

    @dg.asset_check(
        asset="filtered_documents", description="Every document of a filtered shard is there, kept or with its reason."
    )
    def every_document_has_a_verdict(lake: dg.ResourceParam[Lake]) -> dg.AssetCheckResult:
        wrong = {lens: incomplete_cells(lake, FILTERED.of(lens)) for lens in graph.score_lenses}
        return dg.AssetCheckResult(
            passed=all(frame.is_empty() for frame in wrong.values()),
            metadata=differing(wrong),
        )

    @dg.asset_check(
        asset="cutoff",
        partitions_def=lens_partitions(graph),
        description="The cut-off divides the corpus, its share is known well enough, and its sources are there.",
    )
    def cutoff_divides_the_corpus(
        context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lake]
    ) -> dg.AssetCheckResult:
        record = require_cutoff(lake, context.partition_key)
        problems = cutoff_problems(record)
        return dg.AssetCheckResult(
            passed=not problems,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"cutoff": record.cutoff, "problems": "; ".join(problems) or "none"},
        )

    @dg.asset_check(
        asset="release",
        partitions_def=lens_partitions(graph),
        description="Every file of the newest release has the checksum that its manifest names.",
    )
    def checksums_hold(
        context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lake], releases: dg.ResourceParam[Exports]
    ) -> dg.AssetCheckResult:
        rows = lake.scan(RELEASES).filter(pl.col("lens") == context.partition_key).sort("created_at").collect()
        if rows.is_empty():
            return dg.AssetCheckResult(passed=False, metadata={"problems": "there is no release yet"})
        name = rows["uri"][-1]
        problems = releases.faults(name) or verify_release(releases.folder(name))
        place = dg.MetadataValue.path(releases.place(name))
        return dg.AssetCheckResult(
            passed=not problems, metadata={"release": place, "problems": "; ".join(problems) or "none"}
        )

    return [cutoff_divides_the_corpus, every_document_has_a_verdict, checksums_hold]
