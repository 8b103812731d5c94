"""What of this stage can be brought up to date now, for those who ask for runs.

What belongs here: shards that can be signed and judged, what they should have and what they have. What does not: runs
(`automation/`), making anything (`produce.py`).
"""

from collections.abc import Collection, Mapping, Sequence

from datashop_assets.cellwork import Target, have
from datashop_assets.corpus.quality import unreadable_shards
from datashop_assets.deduplication.inputs import judging_tables
from datashop_assets.deduplication.order import judging_order
from datashop_assets.deduplication.produce import wanted_duplicates
from datashop_assets.deduplication.tables import DUPLICATES, MINHASHES
from datashop_assets.deduplication.versions import minhashes_version, own_part, own_version
from datashop_assets.deduplication_settings import DeduplicationSettings
from datashop_assets.project import Project
from datashop_assets.records import Cell
from datashop_assets.seams import Lake


def wanted_signatures(settings: DeduplicationSettings, documents: Mapping[Cell, str]) -> dict[Cell, str]:
    """The version of each shard's signatures, from that of its documents; none where none are asked for."""
    near = settings.near
    return {} if near is None else {cell: minhashes_version(version, near) for cell, version in documents.items()}


def judgeable(lake: Lake, project: Project, documents: Mapping[Cell, str]) -> list[Cell]:
    """Of the shards whose documents are as they should be, those that can be judged for good.

    Where documents are compared, a shard waits for all earlier ones, but for those whose files cannot be read: else it
    would be judged again with each that comes. Who does not want to wait materializes `duplicates` by hand.
    """
    settings = project.deduplication
    if not settings.compares_documents:
        return list(documents) if judging_tables(settings) else []
    signatures = wanted_signatures(settings, documents)
    known = have(lake, Target(MINHASHES), list(signatures))
    unsigned = {cell for cell, version in signatures.items() if known.get(cell, (None, 0))[0] != version}
    order = [Cell(shard.shard) for shard in judging_order(lake, project)]
    never_released = documents.keys() - set(order)
    there = _unbroken(order, documents.keys() - unsigned, unreadable_shards(lake))
    return [cell for cell in documents if cell in never_released or cell in there]


def _unbroken(order: Sequence[Cell], there: Collection[Cell], left_out: Collection[str]) -> set[Cell]:
    """The cells that are there up to the first that is not; those left out do not break the row."""
    unbroken: set[Cell] = set()
    for cell in order:
        if cell in there:
            unbroken.add(cell)
        elif cell.shard not in left_out:
            break
    return unbroken


def wanted_answers(lake: Lake, project: Project, documents: Mapping[Cell, str]) -> dict[Cell, str]:
    """What the answers about each shard should be made from, all tables as one.

    Files of evaluation sets are not read for it: that one changed is seen when `contamination` is materialized.
    """
    settings = project.deduplication
    wanted = dict.fromkeys(documents, "")
    for table in judging_tables(settings):
        if table == DUPLICATES:
            order = [shard.shard for shard in judging_order(lake, project)]
            made = wanted_duplicates(lake, settings, order, list(documents))
        else:
            made = {cell: own_version(table, version, settings) for cell, version in documents.items()}
        wanted = {cell: f"{version} {made[cell]}" for cell, version in wanted.items()}
    return wanted


def present_answers(lake: Lake, settings: DeduplicationSettings, cells: Sequence[Cell]) -> dict[Cell, str | None]:
    """What the answers about each shard are made from, as `wanted_answers` writes it."""
    there: dict[Cell, str | None] = dict.fromkeys(cells, "")
    for table in judging_tables(settings):
        known = have(lake, Target(table), cells)
        for cell in cells:
            version = str(known[cell][0]) if cell in known else "nothing"
            there[cell] = f"{there[cell]} {version if table == DUPLICATES else own_part(version)}"
    return there
