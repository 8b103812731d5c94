"""Assets of the corpus: landing files and the documents in them."""

import dagster as dg

from datashop_assets.asset_metadata import (
    CPU,
    OWNERS,
    RETRY,
    lineage_of,
    plain_failures,
    preview,
    report,
    table_metadata,
)
from datashop_assets.cellwork import Produced, Target, refresh
from datashop_assets.corpus.documents import PARSER_VERSION, ChangedFileError, documents_version, parse_shard
from datashop_assets.corpus.readers import UnreadableFileError
from datashop_assets.corpus.registry import UnknownShardError, find_shard, shards_by_key
from datashop_assets.graph import Graph
from datashop_assets.partitions import RANGES, SHARDS, cells_of
from datashop_assets.records import DOCUMENTS, QUARANTINE, Cell
from datashop_assets.seams import Lake
from resources.landing import LandingArea

GROUP = "corpus"

landing_files = dg.AssetSpec(
    "landing_files",
    group_name=GROUP,
    owners=OWNERS,
    kinds={"file"},
    description=(
        "Crawl files as they land (parquet, jsonl, jsonl.gz, jsonl.zst, arrow). The landing sensor bundles them, in "
        "crawl order, into shards; a registered shard never changes."
    ),
)


def corpus_assets(graph: Graph) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """The corpus assets of a project."""

    @dg.asset(
        deps=[landing_files],
        partitions_def=SHARDS,
        backfill_policy=RANGES,
        group_name=GROUP,
        owners=OWNERS,
        kinds={"polars", "deltalake"},
        code_version=str(PARSER_VERSION),
        metadata=table_metadata(DOCUMENTS, QUARANTINE),
        tags=CPU,
        retry_policy=RETRY,
        description=(
            "The documents of a shard: id, text, source, licence, and the file and row they came from. Rows that are "
            "no documents go to the table `quarantine` with file, row and reason; a file that cannot be read fails "
            "its shard."
        ),
    )
    @plain_failures
    def documents(
        context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], landing: dg.ResourceParam[LandingArea]
    ) -> None:
        shards = shards_by_key(lake)
        wanted = {}
        for cell in cells_of(context):
            shard = find_shard(shards, cell.shard)
            wanted[cell] = documents_version(shard, graph.project.landing(shard.dataset))
        lineage = lineage_of(context, lake)

        def produce(cell: Cell) -> Produced:
            shard = shards[cell.shard]
            parsed = parse_shard(shard, graph.project.landing(shard.dataset), landing.open_file, landing.stat)
            # Quarantine first: a crash between the two commits leaves the shard stale, and both are made again.
            list(
                refresh(lake, Target(QUARANTINE), {cell: wanted[cell]}, lambda _: Produced(parsed.quarantine), lineage)
            )
            counts = {f"quarantined: {reason}": count for reason, count in parsed.reasons.items()}
            facts = {
                "quarantined": parsed.quarantine.height,
                **counts,
                "files": len(shard.files),
                "characters": int(parsed.documents["chars"].sum()),
                "preview": preview(parsed.documents, ["id", "source", "text"]),
            }
            return Produced(parsed.documents, facts)

        bad_shard = (UnreadableFileError, ChangedFileError, UnknownShardError)
        for outcome in refresh(lake, Target(DOCUMENTS), wanted, produce, lineage, batch_cells=1, tolerate=bad_shard):
            report(context, outcome)

    return [landing_files, documents]
