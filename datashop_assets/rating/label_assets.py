"""Assets of label lenses: a sample of each shard labelled, and the distribution of the labels.

What belongs here: the assets of lenses that have labels instead of a score; no later stage builds on them. What does
not: judging (`produce.py`, the same for both kinds of lens), the figures (`labels.py`).
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import polars as pl
from pydantic import Field

from datashop_assets.asset_metadata import (
    CPU,
    OWNERS,
    explained,
    picture,
    plain_failures,
    preview,
    table,
    table_metadata,
)
from datashop_assets.graph import Graph
from datashop_assets.partitions import (
    GRID_TO_LENS,
    label_grid_partitions,
    label_partitions,
)
from datashop_assets.plots import share_bars, share_map
from datashop_assets.rating.annotate import FAILED, LEFT_OUT
from datashop_assets.rating.assets import AnnotationConfig, CellEvent, Raters, rate_partitions, rated_asset
from datashop_assets.rating.exports import publish_csv
from datashop_assets.rating.label_agreement import label_pair_table, label_pairs
from datashop_assets.rating.labels import (
    DISTRIBUTION,
    distribution,
    failures,
    judged_documents,
    label_counts,
    largest_datasets,
    shares_by_group,
    top,
)
from datashop_assets.rating.lens import Lens
from datashop_assets.rating.rater_report import names_of
from datashop_assets.seams import Exports, Lake, Staging

LABEL_BUDGET_CHECK = "labelling_budgets_sufficed"
NOTHING_JUDGED = "Nothing was judged by this rater through this lens as it is now: materialize `document_labels` first."


class LabelReportConfig(dg.Config):
    """What one report shows."""

    top: int = Field(20, ge=1, description="labels of each set in the pictures; the tables have all")


def label_facts(rows: pl.DataFrame, lens: Lens) -> dict[str, Any]:  # noqa: ARG001 - both kinds of lens are rated alike
    """What people see of a labelled cell."""
    return dict(label_counts(rows))


def report_facts(judged: pl.DataFrame, shares: pl.DataFrame, lens: Lens, most: int) -> dict[str, Any]:
    """What people see of a distribution: pictures of each label set, tables of everything, failures by reason."""
    facts: dict[str, Any] = {
        "judged documents": int(judged["reason"].is_null().sum()),
        "failed": judged.filter(FAILED).height,
        "skipped": judged.filter(LEFT_OUT).height,
        "failures": table(failures(judged)),
        "preview": preview(judged.drop_nulls("labels"), ["dataset", "source", "id", "labels"]),
    }
    if judged.is_empty():
        facts["note"] = NOTHING_JUDGED
    datasets = largest_datasets(judged, 8)
    for name in (labels.name for labels in lens.label_sets):
        best = top(shares, name, most)
        facts[f"top {name}"] = picture(share_bars(best, f"Top {name}"), f"top {name}")
        if len(datasets) > 1:
            grid = shares_by_group(shares, name, list(best), datasets)
            facts[f"{name} by dataset"] = picture(
                share_map(grid, list(best), datasets, f"{name} by dataset"), f"{name} by dataset"
            )
    for by in ("all", "dataset", "source"):
        facts[f"shares ({by})"] = table(shares.filter(pl.col("by") == by).drop("by"))
    return facts


def label_assets(graph: Graph) -> list[dg.AssetsDefinition]:
    """The assets of a project's label lenses; none where it has no such lens."""
    if not graph.label_lenses:
        return []

    @dg.asset(
        **rated_asset(graph),
        partitions_def=label_grid_partitions(graph),
        description=explained(
            "A hash-chosen sample of each shard, labelled by an LLM with the vocabulary of a label lens. A document "
            "has any number of labels, or none; a judgement that fails has a reason. What exists is never asked again.",
            costs="the rater's time or money, `sample_per_shard` documents of each shard",
            by_hand="**always**, with a budget in the launchpad: a sensor starts it for `auto_annotate` lenses alone",
        ),
    )
    def document_labels(
        context: dg.AssetExecutionContext,
        config: AnnotationConfig,
        lake: dg.ResourceParam[Lake],
        raters: dg.ResourceParam[Raters],
        staging: dg.ResourceParam[Staging],
    ) -> Iterator[CellEvent]:
        yield from rate_partitions(context, config, graph, lake, raters, staging, label_facts, LABEL_BUDGET_CHECK)

    @dg.asset(
        deps=[dg.AssetDep("document_labels", partition_mapping=GRID_TO_LENS)],
        partitions_def=label_partitions(graph),
        group_name="rating",
        owners=OWNERS,
        kinds={"polars", "csv"},
        metadata=table_metadata(DISTRIBUTION) | {"dagster/storage_kind": "csv"},
        tags=CPU,
        description=explained(
            "How often each label of a label lens is given: over all datasets, by dataset and by source, with "
            "intervals. Labels that hardly occur show where more data is needed. With several raters, how they agree.",
            costs="seconds on the CPU",
            by_hand="when you want to read what was labelled",
        ),
    )
    @plain_failures
    def label_report(
        context: dg.AssetExecutionContext,
        config: LabelReportConfig,
        lake: dg.ResourceParam[Lake],
        raters: dg.ResourceParam[Raters],
        summaries: dg.ResourceParam[Exports],
    ) -> dg.MaterializeResult:
        lens = graph.lenses[context.partition_key]
        rater = raters(graph.settings(lens.name).rater).id
        judged = judged_documents(lake, lens, rater)
        shares = distribution(judged, lens)
        file = publish_csv(shares, summaries, lens.name, "labels.csv")
        facts = report_facts(judged, shares, lens, config.top)
        names = {raters(name).id: name for name in graph.settings(lens.name).all_raters}
        facts["raters with each other"] = table(label_pair_table(label_pairs(lake, lens, names_of(lake, lens, names))))
        return dg.MaterializeResult(metadata={"rater": rater, "csv": dg.MetadataValue.path(file), **facts})

    return [document_labels, label_report]
