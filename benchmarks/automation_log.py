"""Delta logs of tables with as many cells as a large crawl has, without the data files that they name.

What belongs here: one real commit by the product's own writer, and its log entry repeated for the other cells with
their partition values and versions, as many cells a commit as the assets commit. What does not: which cells with
which versions (`automation_lake.py`).

What a planner reads of a table is its log alone, so that 320,000 files of rows need not exist; statistics, removals,
checkpoints (each hundredth version, as the writer makes them) and what a commit says of its origin are those of a real
table, byte for byte as long.
"""

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl
from deltalake import DeltaTable

from datashop_assets.records import TableSpec
from resources.lake import DeltaLake

# The writer's own: after versions 99, 199, ...
CHECKPOINT_EVERY = 100
# Cells of a run: a commit says those of its whole run.
CELLS_A_RUN = 256

# Partition values, and the cell's version.
CellRow = Mapping[str, str]


def commit_cells(
    lake: DeltaLake, table: TableSpec, rows: pl.DataFrame, cells: Sequence[CellRow], *, cells_a_commit: int
) -> None:
    """Replace the cells (partition values + `version`) in the table's log, each with what `rows` are of one cell.

    The first cell is committed by the lake itself, rows and all.
    """
    columns = list(table.partition_by)
    values = {name: pl.lit(value, pl.String) for name, value in cells[0].items()}
    replaced = _paths(lake, table)
    lake.commit(table, rows.with_columns(**values).select(list(table.schema)), cells[:1], _lineage(table, cells[:256]))
    log = Path(lake.table_uri(table)) / "_delta_log"
    newest = lake.version(table) or 0
    model = [json.loads(line) for line in (log / f"{newest:020d}.json").read_text().splitlines()]
    about = next(line["commitInfo"] for line in model if "commitInfo" in line)
    added = next(line["add"] for line in model if "add" in line)
    place, version = Path(added["path"]).name, str(cells[0]["version"])
    rest = cells[1:]
    for start in range(0, len(rest), cells_a_commit):
        newest += 1
        batch = rest[start : start + cells_a_commit]
        run = rest[start // CELLS_A_RUN * CELLS_A_RUN :][:CELLS_A_RUN]
        lines: list[dict[str, Any]] = [{"commitInfo": about | dict(_told(_lineage(table, run)))}]
        for cell in batch:
            address = {name: cell[name] for name in columns}
            key = tuple(address.values())
            folder = "/".join(f"{name}={quote(value, safe='')}" for name, value in address.items())
            if key in replaced:
                lines.append({"remove": _removal(added, replaced[key], address)})
            path = f"{folder}/{place.replace(place[11:47], str(uuid.uuid4()))}"
            stats = added["stats"].replace(version, cell["version"])
            lines.append({"add": added | {"path": path, "partitionValues": address, "stats": stats}})
        (log / f"{newest:020d}.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
    checkpointed = (newest + 1) // CHECKPOINT_EVERY * CHECKPOINT_EVERY - 1
    if checkpointed > 0:
        DeltaTable(lake.table_uri(table), version=checkpointed).create_checkpoint()


def _paths(lake: DeltaLake, table: TableSpec) -> dict[tuple[str, ...], str]:
    """The file of each cell that the table has."""
    stored = lake.open(table)
    if stored is None:
        return {}
    files = pl.DataFrame(stored.get_add_actions(flatten=True))
    if files.is_empty():
        return {}
    columns = [f"partition.{name}" for name in table.partition_by]
    return {tuple(row[:-1]): row[-1] for row in files.select(*columns, "path").iter_rows()}


def _removal(added: Mapping[str, Any], path: str, address: Mapping[str, str]) -> dict[str, Any]:
    return {
        "path": path,
        "dataChange": True,
        "deletionTimestamp": added["modificationTime"],
        "extendedFileMetadata": True,
        "partitionValues": address,
        "size": added["size"],
    }


def _lineage(table: TableSpec, cells: Sequence[CellRow]) -> dict[str, Any]:
    return {
        "run_id": str(uuid.uuid4()),
        "asset": table.name.partition("/")[0],
        "cells": [cell["shard"] for cell in cells],
        "inputs": {"documents": 1},
    }


def _told(lineage: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A commit's account of its origin, as the lake writes it."""
    for key, value in lineage.items():
        yield f"datashop.{key}", value if isinstance(value, str) else json.dumps(value, sort_keys=True)
