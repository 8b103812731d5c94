"""The versions of this stage's cells: what each should be made from.

What belongs here: wanted versions. What does not: bringing cells to them (`produce.py`).

A version is `own.others`: `own` follows from the shard's documents and the settings, so that a reader can tell whether
an answer is about the documents as they are; `others` from what they were compared with, the earlier shards or the
evaluation sets.
"""

from collections.abc import Collection, Mapping, Sequence

from datashop_assets.deduplication.tables import CONTAMINATION, DUPLICATES, REPEATED_PARAGRAPHS
from datashop_assets.deduplication_settings import DeduplicationSettings, NearDuplicateSettings
from datashop_assets.lineage import content_id
from datashop_assets.records import Cell, TableSpec

# Raise them when the same documents and settings would be judged otherwise: the second where words are compared.
RECIPE = 1
WORDS_RECIPE = 2  # 2: marks are parts of words, and scripts without spaces are cut into characters


def minhashes_version(documents: str, near: NearDuplicateSettings) -> str:
    """The threshold is no part of it: another one needs no new signatures."""
    # What cuts texts into words comes with it: 0.02 s of every process that filters, where nothing is compared.
    from datashop_assets.deduplication.minhash import algorithm

    return content_id("minhashes", WORDS_RECIPE, documents, near.words, near.bands, near.rows, algorithm())


def own_version(table: TableSpec, documents: str, settings: DeduplicationSettings) -> str:
    """The part of a version that follows from the shard itself, of the tables whose answers count.

    Raises LookupError for a table that the settings do not ask for.
    """
    if table == DUPLICATES and settings.compares_documents:
        near = settings.near and (settings.near.threshold, minhashes_version(documents, settings.near))
        return content_id("duplicates", RECIPE, documents, settings.exact, near)
    if table == REPEATED_PARAGRAPHS and settings.paragraphs:
        return content_id("repeated_paragraphs", WORDS_RECIPE, documents, settings.paragraphs.version)
    if table == CONTAMINATION and settings.contamination:
        return content_id("contamination", WORDS_RECIPE, documents, settings.contamination.what)
    raise LookupError(f"the project's `deduplication` does not ask for {table.name}")


def with_others(own: str, others: str) -> str:
    """The whole version of a cell that was compared with `others`."""
    return f"{own}.{others}"


def own_part(version: str) -> str:
    """What `own_version` was of a cell at this version."""
    return version.partition(".")[0]


def duplicates_versions(
    documents: Mapping[str, str],
    settings: DeduplicationSettings,
    order: Sequence[str],
    cells: Collection[Cell],
) -> dict[Cell, str]:
    """The wanted version of each cell, from the documents' version of every shard that has documents.

    `order` are the shards that are judged, the earliest first; those without documents have nothing that another
    could be a duplicate of, and change the versions behind them when they get some. A shard outside of the order is
    compared with none.
    """
    wanted: dict[Cell, str] = {}
    chain = ""
    for shard in order:
        if shard not in documents:
            continue
        own = own_version(DUPLICATES, documents[shard], settings)
        wanted[Cell(shard)] = with_others(own, chain)
        chain = content_id("earlier", chain, own)
    return {
        cell: wanted.get(cell) or with_others(own_version(DUPLICATES, documents[cell.shard], settings), "")
        for cell in cells
    }
