"""Where a document came from: crawl file, shard, parsing, and what deduplication says of it.

What belongs here: the steps up to deduplication. What does not: judgements and scores (`judgements.py`).
"""

from datashop_assets.corpus.registry import read_registry
from datashop_assets.deduplication.inputs import judging_tables
from datashop_assets.deduplication.tables import CONTAMINATION, DUPLICATES, REPEATED_PARAGRAPHS
from datashop_assets.deduplication.versions import own_part, own_version
from datashop_assets.records import DOCUMENTS, SHARDS, WITHDRAWN_SHARDS, TableSpec
from datashop_assets.tracing.steps import Step
from datashop_assets.tracing.subject import Subject

# Files of a shard that are named.
SHOWN_FILES = 3


def shard_step(of: Subject) -> Step:
    """The shard, its place in crawl order, and whether it rests."""
    registry = read_registry(of.lake)
    version = of.lake.version(SHARDS)
    shard = next((each for each in (*registry.shards, *registry.withdrawn) if each.shard == of.shard), None)
    if shard is None:
        return Step("shard", f"{of.shard} is not registered", SHARDS.name, version)
    withdrawn = of.lake.scan(WITHDRAWN_SHARDS, {"shard": [of.shard]}).collect().to_dicts()
    files = [file.path for file in shard.files]
    words = f"{shard.shard}, position {shard.sequence} of dataset {shard.dataset}: {len(files)} crawl files"
    if shard.pool_only:
        words += "; it serves training labels alone and is never released"
    if withdrawn:
        words += f"; withdrawn by {withdrawn[0]['by']}: {withdrawn[0]['reason']}"
    elif shard.dataset not in {landing.dataset for landing in of.graph.project.landings}:
        words += "; it rests: the project file has no landing of this dataset"
    facts = {"dataset": shard.dataset, "sequence": shard.sequence, "files": files[:SHOWN_FILES], "withdrawn": withdrawn}
    return Step("shard", words, SHARDS.name, version, facts)


def document_step(of: Subject) -> Step:
    """The row of the crawl file, and what was made of it."""
    row = of.document
    licence = row["license"] or "unknown"
    words = (
        f"row {row['row']} of {row['file']}; source {row['source']}, licence {licence}, {row['chars']} characters; "
        f"documents version {row['version']}\n“{' '.join(of.start.split())}…”"
    )
    return Step("document", words, DOCUMENTS.name, of.lake.version(DOCUMENTS), dict(row) | {"start": of.start})


def deduplication_steps(of: Subject) -> list[Step]:
    """What each table of the deduplication stage says that the project file asks for."""
    settings = of.graph.project.deduplication
    asked = judging_tables(settings)
    if not asked:
        return [Step("deduplication", "not asked for in the project file")]
    steps = []
    for table in asked:
        version, rows = of.lake.version(table), of.rows(table)
        if not rows:
            steps.append(Step("deduplication", f"`{table.name}` has not judged it yet", table.name, version))
            continue
        words = _deduplication_words(table, rows[0])
        if own_part(rows[0]["version"]) != own_version(table, str(of.document["version"]), settings):
            words += "; of earlier documents or settings: it does not count until the asset is materialized again"
        steps.append(Step("deduplication", words, table.name, version, rows[0]))
    return steps


def _deduplication_words(table: TableSpec, row: dict[str, object]) -> str:
    reason = row["reason"]
    if table == DUPLICATES:
        if reason is None:
            return "no duplicate of an earlier document"
        return f"{reason} of {row['of_id']} in shard {row['of_shard']}, similarity {row['similarity']:.3f}"
    if table == CONTAMINATION:
        if reason is None:
            return "shares no text with the evaluation sets"
        return f"{reason}: {row['matches']} n-grams of {row['item']}, such as “{row['detail']}”"
    if table == REPEATED_PARAGRAPHS:
        share = f"{row['removed_share']:.1%} of its characters are repeated paragraphs, which a release cuts out"
        return share if reason is None else f"{reason}: {share}"
    raise AssertionError(f"no words for {table.name}")
