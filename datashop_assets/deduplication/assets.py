"""Assets of the deduplication stage: those that the project's settings ask for, none by default."""

import dagster as dg
import polars as pl

from datashop_assets.asset_metadata import (
    CPU,
    OWNERS,
    RETRY,
    explained,
    lineage_of,
    plain_failures,
    reported,
    table,
    table_metadata,
)
from datashop_assets.deduplication.examples import contaminated_documents, duplicate_pairs, removed_paragraphs
from datashop_assets.deduplication.produce import contamination_cells, duplicate_cells, minhash_cells, paragraph_cells
from datashop_assets.deduplication.tables import CONTAMINATION, DUPLICATES, MINHASHES, REPEATED_PARAGRAPHS
from datashop_assets.deduplication.versions import RECIPE
from datashop_assets.graph import Graph
from datashop_assets.partitions import RANGES, SHARDS, cells_of
from datashop_assets.records import DOCUMENTS, Cell
from datashop_assets.seams import Lake

GROUP = "deduplication"


def deduplication_assets(graph: Graph) -> list[dg.AssetsDefinition]:
    """The deduplication assets of a project."""
    build = {
        "minhashes": _minhashes,
        "duplicates": _duplicates,
        "repeated_paragraphs": _repeated_paragraphs,
        "contamination": _contamination,
    }
    return [build[name](graph) for name in graph.deduplication_assets]


def _minhashes(graph: Graph) -> dg.AssetsDefinition:
    settings = graph.project.deduplication

    @dg.asset(
        deps=["documents"],
        partitions_def=SHARDS,
        backfill_policy=RANGES,
        retry_policy=RETRY,
        group_name=GROUP,
        owners=OWNERS,
        kinds={"rust", "deltalake"},
        code_version=f"{RECIPE}-{settings.near.version if settings.near else ''}",
        metadata=table_metadata(MINHASHES),
        tags=CPU,
        description=explained(
            "The MinHash signature of every document, and the keys by which like ones are found.",
            costs="a pass over every text on the CPU, once",
            by_hand="hardly ever: the reconcile sensor makes new shards",
        ),
    )
    @plain_failures
    def minhashes(context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]) -> None:
        with reported(context) as take:
            take(minhash_cells(lake, settings, cells_of(context), lineage_of(context, lake, DOCUMENTS)))

    return minhashes


def _duplicates(graph: Graph) -> dg.AssetsDefinition:
    settings = graph.project.deduplication

    @dg.asset(
        deps=["minhashes"] if settings.near else ["documents"],
        partitions_def=SHARDS,
        backfill_policy=RANGES,
        retry_policy=RETRY,
        group_name=GROUP,
        owners=OWNERS,
        kinds={"polars", "deltalake"},
        code_version=f"{RECIPE}-{settings.version}",
        metadata=table_metadata(DUPLICATES),
        tags=CPU,
        description=explained(
            "Which documents are duplicates of earlier ones, of this shard or of one that was registered before it. "
            "A shard that is added later changes none of it.",
            costs="comparing signatures, shard after shard in crawl order; no text but that of likely pairs",
            by_hand="after the project file's `deduplication` changed, where you do not want to wait for the sensor",
        ),
    )
    @plain_failures
    def duplicates(context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]) -> None:
        def shown(cell: Cell, answers: pl.DataFrame) -> dict[str, dg.MetadataValue]:
            return {"least similar pairs": table(duplicate_pairs(lake, cell, answers))}

        with reported(context) as take:
            lineage = lineage_of(context, lake, DOCUMENTS, MINHASHES)
            take(duplicate_cells(lake, graph.project, cells_of(context), shown, lineage))

    return duplicates


def _repeated_paragraphs(graph: Graph) -> dg.AssetsDefinition:
    settings = graph.project.deduplication

    @dg.asset(
        deps=["documents"],
        partitions_def=SHARDS,
        backfill_policy=RANGES,
        retry_policy=RETRY,
        group_name=GROUP,
        owners=OWNERS,
        kinds={"python", "deltalake"},
        code_version=f"{RECIPE}-{settings.paragraphs.version if settings.paragraphs else ''}",
        metadata=table_metadata(REPEATED_PARAGRAPHS),
        tags=CPU,
        description=explained(
            "Paragraphs that stand more than once in a document. Releases leave out all but the first; a document of "
            "which too little would be left is rejected.",
            costs="a pass over every text on the CPU",
            by_hand="after the project file's `deduplication` changed, where you do not want to wait for the sensor",
        ),
    )
    @plain_failures
    def repeated_paragraphs(context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]) -> None:
        def shown(cell: Cell, answers: pl.DataFrame) -> dict[str, dg.MetadataValue]:
            return {"what goes": table(removed_paragraphs(lake, cell, answers))}

        with reported(context) as take:
            lineage = lineage_of(context, lake, DOCUMENTS)
            take(paragraph_cells(lake, settings, cells_of(context), shown, lineage))

    return repeated_paragraphs


def _contamination(graph: Graph) -> dg.AssetsDefinition:
    settings = graph.project.deduplication

    @dg.asset(
        deps=["documents"],
        partitions_def=SHARDS,
        backfill_policy=RANGES,
        retry_policy=RETRY,
        group_name=GROUP,
        owners=OWNERS,
        kinds={"python", "deltalake"},
        code_version=f"{RECIPE}-{settings.contamination.version if settings.contamination else ''}",
        metadata=table_metadata(CONTAMINATION),
        tags=CPU,
        description=explained(
            "Documents that hold items of the evaluation sets, with the item and the words that matched.",
            costs="a pass over every text on the CPU",
            by_hand="after an evaluation set was added, where you do not want to wait for the sensor",
        ),
    )
    @plain_failures
    def contamination(context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]) -> None:
        def shown(_: Cell, answers: pl.DataFrame) -> dict[str, dg.MetadataValue]:
            return {"contaminated": table(contaminated_documents(answers))}

        with reported(context) as take:
            lineage = lineage_of(context, lake, DOCUMENTS)
            take(contamination_cells(lake, settings, cells_of(context), shown, lineage))

    return contamination
