"""Assets of the corpus: landing files, and what is known of the documents in them.

The step that makes `documents` makes `embeddings` too and stands in `embedding/assets.py`, which says why.
"""

import dagster as dg

from datashop_assets.asset_metadata import CPU, OWNERS, explained, table_metadata
from datashop_assets.corpus.documents import PARSER_VERSION
from datashop_assets.graph import Graph
from datashop_assets.records import DOCUMENTS, QUARANTINE

GROUP = "corpus"

landing_files = dg.AssetSpec(
    "landing_files",
    group_name=GROUP,
    owners=OWNERS,
    kinds={"file"},
    description=explained(
        "Crawl files as they land (parquet, jsonl, jsonl.gz, jsonl.zst, arrow). The landing sensor bundles them, in "
        "crawl order, into shards; a registered shard never changes.",
        costs="nothing: files are listed, none is read",
        by_hand="never; the landing sensor finds new files (`datashop_assets.corpus.withdraw` takes one back)",
    ),
)

documents = dg.AssetSpec(
    "documents",
    deps=[landing_files],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"polars", "deltalake"},
    code_version=str(PARSER_VERSION),
    metadata=table_metadata(DOCUMENTS, QUARANTINE),
    tags=CPU,
    description=explained(
        "The documents of a shard: id, text, source, licence, and the file and row they came from. Rows that are no "
        "documents go to the table `quarantine` with file, row and reason; a file that cannot be read fails its shard, "
        "and no other.",
        costs="reading and hashing each file once, on the CPU",
        by_hand="for shards whose file was repaired; new shards are made by the reconcile sensor",
    ),
)


def corpus_assets(graph: Graph) -> list[dg.AssetSpec]:  # noqa: ARG001 - all stages are built alike
    """The corpus assets of a project, but `documents`."""
    return [landing_files]
