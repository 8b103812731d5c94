"""The cells of this stage's tables, brought up to date: what is judged already is not judged again.

What belongs here: the order of the steps, and the shards that cannot be judged yet. What does not: judging (a module
for each kind), versions (`versions.py`), the assets (`assets.py`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from datashop_assets.cellwork import Outcome, Produced, Target, have, refresh
from datashop_assets.deduplication.contamination import build_index, contamination
from datashop_assets.deduplication.duplicates import judge, undisputed
from datashop_assets.deduplication.evaluation_sets import evaluation_items, items_id
from datashop_assets.deduplication.minhash import minhashes
from datashop_assets.deduplication.order import judging_order
from datashop_assets.deduplication.paragraphs import repeated_paragraphs
from datashop_assets.deduplication.tables import CONTAMINATION, DUPLICATES, MINHASHES, REPEATED_PARAGRAPHS
from datashop_assets.deduplication.versions import duplicates_versions, minhashes_version, own_version, with_others
from datashop_assets.deduplication_settings import DeduplicationSettings, NearDuplicateSettings
from datashop_assets.embedding.inputs import MissingUpstreamError, documents_of, ready_cells, versions
from datashop_assets.lineage import stale_cells
from datashop_assets.project import Project
from datashop_assets.records import DOCUMENTS, Cell, TableSpec
from datashop_assets.seams import Lake

# Documents whose duplicates are looked for in one pass over all earlier ones: each takes some 3 kB (measured with
# 10,000 and 100,000), so that a batch stays below 1 GB.
BATCH_DOCUMENTS = 250_000
# Shards that share a commit.
BATCH_CELLS = 16

Describe = Callable[[Cell, pl.DataFrame], Mapping[str, Any]]


class DeduplicationOffError(LookupError):
    """The project does not ask for what was to be made."""


def minhash_cells(
    lake: Lake, settings: DeduplicationSettings, cells: Sequence[Cell], lineage: Mapping[str, Any]
) -> Iterator[Outcome]:
    """The signatures of the shards' documents."""
    near = settings.near
    if near is None:
        raise DeduplicationOffError("the project file's `deduplication` has no `near`, so there are no signatures")
    ready, missing = ready_cells(lake, Target(DOCUMENTS), cells, "documents")
    documents = versions(lake, Target(DOCUMENTS), ready, "documents")
    wanted = {cell: minhashes_version(version, near) for cell, version in documents.items()}

    def produce(cell: Cell) -> Produced:
        rows = documents_of(lake, cell).select("id", "text").collect()
        numbered = rows.select("id", row=pl.int_range(pl.len(), dtype=pl.Int32))
        made = pl.concat([numbered, minhashes(rows["text"].to_list(), near)], how="horizontal")
        return Produced(made, {"without words": made["signature"].null_count()})

    yield from refresh(lake, Target(MINHASHES), wanted, produce, lineage, batch_cells=BATCH_CELLS, missing=missing)


def duplicate_cells(
    lake: Lake, project: Project, cells: Sequence[Cell], describe: Describe, lineage: Mapping[str, Any]
) -> Iterator[Outcome]:
    """Which of the shards' documents are duplicates of earlier ones. `describe` adds to a shard's facts.

    Raises MissingUpstreamError where an earlier shard has documents but not their signatures.
    """
    settings = project.deduplication
    ready, missing = ready_cells(lake, Target(DOCUMENTS), cells, "documents")
    order = [shard.shard for shard in judging_order(lake, project)]
    wanted = wanted_duplicates(lake, settings, order, ready)
    known = have(lake, Target(DUPLICATES), ready)
    stale = stale_cells(wanted, {cell: version for cell, (version, _) in known.items()})
    sizes = dict(lake.cells(DOCUMENTS).select("shard", "rows").iter_rows())
    compared = [cell.shard for cell in stale if cell.shard in order]
    if settings.near is not None and compared:
        _check_signatures(lake, settings.near, order[: max(map(order.index, compared)) + 1], sizes)
    batches = list(_batches(sorted(compared, key=order.index), sizes))
    answers: dict[str, pl.DataFrame] = {}

    def produce(cell: Cell) -> Produced:
        if cell.shard not in order:  # of documents that are never released
            rows = undisputed(documents_of(lake, cell).select("id").collect()["id"])
        else:
            if cell.shard not in answers:
                batch = next(batch for batch in batches if cell.shard in batch)
                answers.update(judge(lake, settings, order, sizes, batch))
            rows = answers.pop(cell.shard)
        return Produced(rows, {**_counts(rows), **describe(cell, rows)})

    yield from refresh(lake, Target(DUPLICATES), wanted, produce, lineage, batch_cells=BATCH_CELLS, missing=missing)


def paragraph_cells(
    lake: Lake, settings: DeduplicationSettings, cells: Sequence[Cell], describe: Describe, lineage: Mapping[str, Any]
) -> Iterator[Outcome]:
    """The repeated paragraphs of the shards' documents."""
    paragraphs = settings.paragraphs
    if paragraphs is None:
        raise DeduplicationOffError("the project file's `deduplication` has no `paragraphs`")

    def facts(rows: pl.DataFrame) -> dict[str, Any]:
        return {"documents with repeated paragraphs": int((rows["removed_share"] > 0).sum())}

    yield from _judged_alone(
        lake,
        REPEATED_PARAGRAPHS,
        cells,
        lambda documents: own_version(REPEATED_PARAGRAPHS, documents, settings),
        lambda texts: repeated_paragraphs(texts, paragraphs),
        lambda cell, rows: {**facts(rows), **describe(cell, rows)},
        lineage,
    )


def contamination_cells(
    lake: Lake, settings: DeduplicationSettings, cells: Sequence[Cell], describe: Describe, lineage: Mapping[str, Any]
) -> Iterator[Outcome]:
    """The shards' documents that hold items of the evaluation sets. Raises as `evaluation_items` does."""
    asked = settings.contamination
    if asked is None:
        raise DeduplicationOffError("the project file's `deduplication` has no `contamination`")
    items = evaluation_items(asked)
    index, identity = build_index(items, asked), items_id(items)
    facts = {"evaluation items": len(items), "evaluation n-grams": index.size}
    yield from _judged_alone(
        lake,
        CONTAMINATION,
        cells,
        lambda documents: with_others(own_version(CONTAMINATION, documents, settings), identity),
        lambda texts: contamination(texts, index),
        lambda cell, rows: {**facts, **describe(cell, rows)},
        lineage,
    )


def wanted_duplicates(
    lake: Lake, settings: DeduplicationSettings, order: Sequence[str], cells: Sequence[Cell]
) -> dict[Cell, str]:
    """The wanted version of each cell, from the documents of all shards as they are now."""
    documents = dict(lake.cells(DOCUMENTS).select("shard", "version").drop_nulls().iter_rows())
    return duplicates_versions(documents, settings, order, cells)


def _judged_alone(
    lake: Lake,
    table: TableSpec,
    cells: Sequence[Cell],
    version: Callable[[str], str],
    judged: Callable[[list[str]], pl.DataFrame],
    describe: Describe,
    lineage: Mapping[str, Any],
) -> Iterator[Outcome]:
    """Cells whose documents are judged each by itself: one row a document."""
    ready, missing = ready_cells(lake, Target(DOCUMENTS), cells, "documents")
    documents = versions(lake, Target(DOCUMENTS), ready, "documents")

    def produce(cell: Cell) -> Produced:
        rows = documents_of(lake, cell).select("id", "text").collect()
        answers = pl.concat([rows.select("id"), judged(rows["text"].to_list())], how="horizontal")
        return Produced(answers, {**_counts(answers), **describe(cell, answers)})

    wanted = {cell: version(made) for cell, made in documents.items()}
    yield from refresh(lake, Target(table), wanted, produce, lineage, batch_cells=BATCH_CELLS, missing=missing)


def _check_signatures(lake: Lake, near: NearDuplicateSettings, shards: Sequence[str], sizes: Mapping[str, int]) -> None:
    """Raises MissingUpstreamError naming the shards whose documents, as they are now, have no signatures."""
    cells = [Cell(shard) for shard in shards if shard in sizes]
    there = have(lake, Target(MINHASHES), cells)
    documents = versions(lake, Target(DOCUMENTS), cells, "documents")
    stale = [
        cell.shard
        for cell, version in documents.items()
        if there.get(cell, (None, 0))[0] != minhashes_version(version, near)
    ]
    if stale:
        shown = ", ".join(stale[:5]) + (f" and {len(stale) - 5} more" if len(stale) > 5 else "")
        raise MissingUpstreamError(f"materialize `minhashes` first: documents are compared with those of {shown}")


def _batches(shards: Sequence[str], sizes: Mapping[str, int]) -> Iterator[list[str]]:
    batch: list[str] = []
    for shard in shards:
        if batch and sum(sizes[each] for each in batch) + sizes[shard] > BATCH_DOCUMENTS:
            yield batch
            batch = []
        batch.append(shard)
    if batch:
        yield batch


def _counts(rows: pl.DataFrame) -> dict[str, Any]:
    """Documents by reason, and the share that is rejected."""
    reasons = rows["reason"].drop_nulls()
    counted = {str(reason): int(count) for reason, count in reasons.value_counts(sort=True).iter_rows()}
    return {**counted, "rejected": len(reasons), "rejected share": len(reasons) / rows.height if rows.height else None}
