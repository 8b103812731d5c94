"""What people see of an asset in the UI, said once for all stages: schemas, previews, pictures, per-cell reports.

What belongs here: translation of our types into Dagster metadata. What does not: drawing (`plots.py`), computing what
is shown (the stages).
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, ParamSpec, TypeVar

import dagster as dg
import polars as pl

from datashop_assets import markdown
from datashop_assets.cellwork import CellsFailedError, Outcome
from datashop_assets.estimate import Estimate
from datashop_assets.partitions import cells_of, dimension_tags, grid_dimension, partition_key
from datashop_assets.plots import markdown_image
from datashop_assets.records import Cell, TableSpec
from datashop_assets.seams import Lake, PermanentError

P = ParamSpec("P")
T = TypeVar("T")

OWNERS = ["team:data"]
# What a step costs, for filtering in the UI and for a deployment that sends it somewhere.
COST_TAG = "datashop/cost"
CPU, ENCODER, RATER, TRAINING = ({COST_TAG: cost} for cost in ("cpu", "encoder", "rater", "training"))
# A lost connection or a passing fault is tried again; what was committed or staged is not made again.
RETRY = dg.RetryPolicy(max_retries=2, delay=10, backoff=dg.Backoff.EXPONENTIAL)
# Errors of these kinds say what a person has to change: trying again changes nothing. (ProjectError, LensError,
# TrainingError and their like are ValueErrors; what is missing upstream is a LookupError; what the world behind a seam
# refuses for good is a PermanentError.)
PERMANENT = (CellsFailedError, LookupError, PermanentError, ValueError)


def plain_failures(body: Callable[P, T]) -> Callable[P, T]:
    """For an asset's function: errors that a person must mend become the run's failure message, and are not retried."""

    @functools.wraps(body)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return body(*args, **kwargs)
        except PERMANENT as error:
            raise dg.Failure(str(error), allow_retries=False) from error

    return wrapped


def table_metadata(*tables: TableSpec) -> dict[str, Any]:
    """Definition metadata of an asset kept in the given table (the first one names its columns)."""
    table = tables[0]
    columns = [
        dg.TableColumn(
            name,
            str(dtype),
            description=table.notes.get(name),
            constraints=dg.TableColumnConstraints(nullable=name not in (*table.partition_by, table.key)),
        )
        for name, dtype in table.schema.items()
    ]
    return {
        "dagster/column_schema": dg.TableSchema(columns),
        "dagster/table_name": ", ".join(t.name for t in tables),
        "dagster/storage_kind": "deltalake",
        "partitioned by": ", ".join(table.partition_by) or "nothing (records are appended)",
    }


def explained(what: str, costs: str, by_hand: str) -> str:
    """An asset's description as Markdown: what it is, what making it costs, and when a person materializes it."""
    return f"{what}\n\n**Costs:** {costs}.\n\n**By hand:** {by_hand}."


def lineage_of(
    context: dg.AssetExecutionContext, lake: Lake, *inputs: TableSpec, asset: str | None = None
) -> dict[str, Any]:
    """What a commit says of its origin: run, asset, cells, and the input tables with the versions it read.

    `asset` is named in a step that makes several.
    """
    cells = [partition_key(cell) for cell in cells_of(context)] if context.has_partition_key_range else []
    return {
        "run_id": context.run_id,
        "asset": asset or context.asset_key.to_user_string(),
        "cells": cells,
        "inputs": {table.name: lake.version(table) for table in inputs},
    }


def preview(frame: pl.DataFrame, columns: Sequence[str], rows: int = 5) -> dg.MetadataValue:
    """The first rows as a markdown table; long text is cut, line breaks shown as spaces."""
    return table(frame.select(columns).head(rows))


def table(frame: pl.DataFrame) -> dg.MetadataValue:
    """The whole frame as a markdown table; an empty one says so."""
    return dg.MetadataValue.md(markdown.table(frame))


def in_words(rows: pl.DataFrame, most: int = 3) -> str:
    """The first rows as text, for a check: its page hides every table behind a click."""
    shown = [
        "; ".join(f"{name} {markdown.plain(value)}" for name, value in row.items())
        for row in rows.head(most).to_dicts()
    ]
    more = [f"and {rows.height - most} more"] if rows.height > most else []
    return "\n".join([*shown, *more]) or "nothing"


def differing(wrong: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    """What a check of whole cells found: how many differ, the first of them in words, and all of them as tables."""
    all_rows = [frame.select(pl.lit(name).alias("of"), pl.all()) for name, frame in wrong.items()]
    rows = pl.concat(all_rows) if all_rows else pl.DataFrame()
    tables = {f"shards that differ: {name}": table(frame) for name, frame in wrong.items() if not frame.is_empty()}
    return {"shards that differ": rows.height, "which": in_words(rows), **tables}


def picture(png: bytes, alt: str) -> dg.MetadataValue:
    return dg.MetadataValue.md(markdown_image(png, alt))


def estimates(figures: Mapping[str, Estimate | None], notes: Sequence[str]) -> dict[str, Any]:
    """Each figure as a number (so that Dagster plots it over time), and all of them with intervals as a table.

    `notes` stand below the table: what has to be known of a figure or its interval.
    """
    numbers = {name: figure.value for name, figure in figures.items() if figure is not None}
    return {**numbers, "metrics": dg.MetadataValue.md(markdown.figures_table(figures, notes))}


def outcome_metadata(outcome: Outcome) -> dict[str, Any]:
    """What a materialization says of its cell."""
    metadata: dict[str, Any] = {
        "dagster/partition_row_count": outcome.rows,
        "version": outcome.version,
        "skipped": outcome.skipped,
        **outcome.facts,
    }
    if outcome.table_version is not None:
        metadata["delta_version"] = outcome.table_version
    return metadata


def log_outcome(context: dg.AssetExecutionContext, outcome: Outcome) -> None:
    key = partition_key(outcome.cell)
    if outcome.skipped:
        context.log.info("%s is up to date at version %s: nothing to do", key, outcome.version)
    else:
        context.log.info("%s: %d rows, table version %s", key, outcome.rows, outcome.table_version)


def report(context: dg.AssetExecutionContext, outcome: Outcome, asset: str | None = None) -> None:
    """Log a cell's outcome and attach its metadata to its materialization, of `asset` in a step that makes several."""
    log_outcome(context, outcome)
    context.add_asset_metadata(outcome_metadata(outcome), asset_key=asset, partition_key=partition_key(outcome.cell))


@contextmanager
def reported(context: dg.AssetExecutionContext) -> Iterator[Callable[..., None]]:
    """For a step over several cells: a function that takes outcomes (and the asset, in a step that makes several).

    Cells that fail are held back until everything was tried: CellsFailedError at the end names them all. However the
    step fails, cells that are committed count as materialized, so that only the others are red in the UI.
    """
    done: list[tuple[dg.AssetKey, Outcome]] = []
    failures: dict[Cell, Exception] = {}

    def take(outcomes: Iterable[Outcome], asset: str | None = None) -> None:
        key = dg.AssetKey(asset) if asset else context.asset_key
        try:
            for outcome in outcomes:
                report(context, outcome, asset)
                done.append((key, outcome))
        except CellsFailedError as error:
            for cell, cause in error.failures.items():
                failures.setdefault(cell, cause)  # what failed first is the cause of what is missing later

    try:
        yield take
        if failures:
            raise CellsFailedError(failures)
    except Exception:
        # A step that fails materializes nothing by itself, although these commits stand.
        for key, outcome in done:
            partition, metadata = partition_key(outcome.cell), outcome_metadata(outcome)
            tags = dimension_tags(outcome.cell, grid_dimension(context))
            context.log_event(dg.AssetMaterialization(key, metadata=metadata, partition=partition, tags=tags))
        raise


def overdue_after(hours: float | None) -> dg.FreshnessPolicy | None:
    """The UI shows the asset as overdue once its last materialization, of any partition, is so old; null: never."""
    return None if hours is None else dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=hours))
