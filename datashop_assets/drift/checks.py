"""Checks of a new crawl. They warn and block nothing; one evaluation a run, over all lenses: at 10,000 shards and 10
lenses one a cell would be as many events again as the cells themselves."""

from typing import Any

import dagster as dg

from datashop_assets.asset_metadata import picture, table
from datashop_assets.drift.crawl import shift_table
from datashop_assets.drift.failures import failure_drift
from datashop_assets.drift.languages import language_drift
from datashop_assets.drift.pictures import failure_shares, language_bars, score_histograms, shard_indexes
from datashop_assets.drift.report import failure_rows, language_row, score_rows
from datashop_assets.drift.scores import score_drift
from datashop_assets.graph import Graph
from datashop_assets.languages import INSTALL, can_tell
from datashop_assets.rating.estimates import share
from datashop_assets.seams import Lake

NOTHING_NEW = "no shard came since the cut-offs were decided, or there is none yet"


def drift_checks(graph: Graph) -> list[dg.AssetChecksDefinition]:
    """The checks of a new crawl."""
    settings = graph.project.drift

    @dg.asset_check(
        asset="scores",
        description="The newest shards score as those did that the cut-off was decided over: the population stability "
        "index is at most `drift.most_stability_index` of the project file, or what chance brings. It only warns.",
    )
    def new_scores_are_like_the_reference(lake: dg.ResourceParam[Lake]) -> dg.AssetCheckResult:
        known = [score_drift(lake, graph.project, lens, settings) for lens in graph.score_lenses]
        found = sorted((each for each in known if each is not None), key=lambda each: -each.shift.index)
        if not found:
            return _passed(NOTHING_NEW)
        metadata = {
            "by lens": table(shift_table(score_rows(found, settings))),
            "shard by shard": picture(shard_indexes(found, settings.most_stability_index), "index of each shard"),
            "furthest": picture(score_histograms(found[0]), f"scores of {found[0].lens}"),
        }
        return _warned(any(each.shift.exceeds(settings.most_stability_index) for each in found), metadata)

    @dg.asset_check(
        asset="documents",
        description="The newest shards are in the languages of those that cut-offs were decided over, by a sample "
        "of each shard: the population stability index is at most `drift.most_stability_index`. It warns only.",
    )
    def new_languages_are_like_the_reference(
        context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lake]
    ) -> dg.AssetCheckResult:
        if not can_tell():
            return _passed(f"languages are not told: {INSTALL}")
        lineage = {"run_id": context.run.run_id, "asset": "documents", "inputs": {}}
        found = language_drift(lake, graph, settings, lineage)
        if found is None:
            return _passed(NOTHING_NEW)
        metadata = {
            "shift": table(shift_table([language_row(found)])),
            "languages": picture(language_bars(found.mix), "languages of both sides"),
            "mix": table(found.mix),
        }
        return _warned(found.shift.exceeds(settings.most_stability_index), metadata)

    @dg.asset_check(
        asset="annotations",
        description="Ratings fail no more often than when the classifier in force was trained: the share of failures "
        "rose by at most `drift.most_failure_increase`, beyond its 95 % interval. It warns only.",
    )
    def new_ratings_fail_as_rarely(lake: dg.ResourceParam[Lake]) -> dg.AssetCheckResult:
        found = [each for lens in graph.score_lenses for each in failure_drift(lake, graph.lenses[lens])]
        if not found:
            return _passed("nothing was rated since the classifiers in force were trained")
        sides = {f"{each.lens} {each.rater}": (share(*each.before), share(*each.since)) for each in found}
        metadata = {
            "by lens and rater": table(shift_table(failure_rows(found))),
            "failed": picture(failure_shares(sides), "failed ratings before and since"),
        }
        return _warned(any(each.increase.low > settings.most_failure_increase for each in found), metadata)

    return [new_scores_are_like_the_reference, new_languages_are_like_the_reference, new_ratings_fail_as_rarely]


def _passed(why: str) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True, metadata={"why": why})


def _warned(drifted: bool, metadata: dict[str, Any]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=not drifted, severity=dg.AssetCheckSeverity.WARN, metadata=metadata)
