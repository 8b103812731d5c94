"""What the filter and the releases read of this stage: rejected documents, and the parts that are cut out.

What belongs here: the answers of the tables that the project's settings ask for, as one, with their version. What does
not: making them (`produce.py`), what the filter does with them (the filtering stage). Where a setting is off, nothing
is asked of its table and nothing is rejected by it.
"""

from collections.abc import Sequence

import polars as pl

from datashop_assets.cellwork import Target, have
from datashop_assets.deduplication.tables import (
    CONTAMINATION,
    DUPLICATES,
    REPEATED_PARAGRAPHS,
    Rejection,
    Removal,
)
from datashop_assets.deduplication.versions import own_part, own_version
from datashop_assets.deduplication_settings import DeduplicationSettings
from datashop_assets.embedding.inputs import MissingUpstreamError
from datashop_assets.lineage import content_id
from datashop_assets.records import DOCUMENTS, Cell, TableSpec
from datashop_assets.seams import Lake

REJECTED_SCHEMA = {"id": pl.String, "reason": pl.String}
SPANS_SCHEMA = {"id": pl.String, "start": pl.Int64, "end": pl.Int64, "reason": pl.String}


def judging_tables(settings: DeduplicationSettings) -> tuple[TableSpec, ...]:
    """The tables whose answers count under these settings; none where all of them are off."""
    asked = (
        (DUPLICATES, settings.compares_documents),
        (CONTAMINATION, settings.contamination is not None),
        (REPEATED_PARAGRAPHS, settings.paragraphs is not None),
    )
    return tuple(table for table, on in asked if on)


def rejection_versions(lake: Lake, settings: DeduplicationSettings, shards: Sequence[str]) -> dict[str, str]:
    """The version of each shard's answers below: equal versions, equal answers; "" where all settings are off.

    Raises MissingUpstreamError naming the asset and the shards that it has no answer for (see `answered`).
    """
    there, missing = answered(lake, settings, shards)
    for table, without in missing.items():
        shown = ", ".join(without[:5]) + (f" and {len(without) - 5} more" if len(without) > 5 else "")
        raise MissingUpstreamError(
            f"materialize `{table}` first: it has nothing of the documents as they are now for {shown}"
        )
    return there


def answered(
    lake: Lake, settings: DeduplicationSettings, shards: Sequence[str]
) -> tuple[dict[str, str], dict[str, list[str]]]:
    """The version of the answers about each shard that has all of them, and the shards that lack one, by table.

    An answer about other documents, or by other settings, than there are now is none. What the documents were compared
    with may have changed since: a new run of the asset then gives another version.
    """
    tables = judging_tables(settings)
    if not tables:
        return dict.fromkeys(shards, ""), {}
    cells = [Cell(shard) for shard in shards]
    documents = have(lake, Target(DOCUMENTS), cells)
    answers: dict[str, dict[str, str]] = {shard: {} for shard in shards}
    missing: dict[str, list[str]] = {}
    for table in tables:
        known = have(lake, Target(table), cells)
        for cell in cells:
            made, version = documents.get(cell, (None, 0))[0], known.get(cell, (None, 0))[0]
            if made and version and own_part(version) == own_version(table, made, settings):
                answers[cell.shard][table.name] = version
            else:
                missing.setdefault(table.name, []).append(cell.shard)
    whole = {shard: given for shard, given in answers.items() if len(given) == len(tables)}
    return {shard: content_id("rejections", given) for shard, given in whole.items()}, missing


def rejected_documents(lake: Lake, settings: DeduplicationSettings, shard: str) -> pl.DataFrame:
    """One row [id, reason] for each rejected document of the shard; the reason is a `tables.Rejection`.

    Of several reasons the first in the order of `Rejection` is given.
    """
    return rejected_of_shards(lake, settings, [shard]).drop("shard")


def rejected_of_shards(lake: Lake, settings: DeduplicationSettings, shards: Sequence[str]) -> pl.DataFrame:
    """One row [shard, id, reason] for each rejected document of the shards, as `rejected_documents`: the tables are
    opened once for all of them."""
    tables = judging_tables(settings)
    if not tables:
        return pl.DataFrame(schema={"shard": pl.String, **REJECTED_SCHEMA})
    rows = [lake.scan(table, {"shard": shards}).select("shard", "id", "reason") for table in tables]
    order = [each.value for each in Rejection]
    return (
        pl.concat(rows)
        .filter(pl.col("reason").is_not_null())
        .sort(pl.col("reason").replace_strict(order, range(len(order))), "id")
        .unique(["shard", "id"], keep="first", maintain_order=True)
        .collect()
    )


def removed_spans(lake: Lake, settings: DeduplicationSettings, shard: str) -> pl.DataFrame:
    """The parts [id, start, end, reason] of the shard's documents that a release cuts out: characters [start, end),
    ascending and not overlapping within a document; the reason is a `tables.Removal`."""
    if settings.paragraphs is None:
        return pl.DataFrame(schema=SPANS_SCHEMA)
    return (
        lake.scan(REPEATED_PARAGRAPHS, {"shard": [shard]})
        .select("id", "spans")
        .explode("spans", empty_as_null=False, keep_nulls=False)
        .unnest("spans")
        .with_columns(reason=pl.lit(Removal.REPEATED_PARAGRAPH.value))
        .collect()
    )
