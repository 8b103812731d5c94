"""Any table of the lake, as it is or as it was.

What belongs here: the list of tables, and rows of one of them at a version or a time. What does not: what they mean.
"""

from datetime import datetime

import polars as pl

from datashop_assets.seams import LakeHistory
from datashop_assets.tracing.views import TraceError, gone, readable


def table_list(history: LakeHistory) -> pl.DataFrame:
    """One row [table, version, rows, bytes, files, written at, by, run] for each table; `by` is the asset, or the
    operation where the lake's housekeeping wrote last. Read from the logs: no rows are scanned."""
    states = [history.state(name) for name in history.tables()]
    return pl.DataFrame(
        {
            "table": [state.name for state in states],
            "version": [state.version for state in states],
            "rows": [state.rows for state in states],
            "bytes": [state.bytes for state in states],
            "files": [state.files for state in states],
            "written at": [state.written_at for state in states],
            "by": [state.asset or state.operation.lower() for state in states],
            "run": [state.run_id for state in states],
        }
    )


def open_table(
    history: LakeHistory, name: str, version: int | None = None, at: datetime | None = None, where: str | None = None
) -> pl.LazyFrame:
    """A table's rows as they are stored, newest, at a version or at a time; `where` is a condition in SQL.

    Partition columns in `where` choose files, other columns row groups. Raises TraceError where the condition cannot be
    read or the table was not there yet; LookupError where table or version are unknown.
    """
    if at is not None:
        version = history.version_at(name, at)
        if version is None:
            raise TraceError(f"table {name} was not there yet at {at:%Y-%m-%d %H:%M:%S} UTC")
    rows = history.rows(name, version)
    if where is None:
        return rows
    try:
        condition = pl.sql_expr(where)
    except pl.exceptions.PolarsError as error:
        raise TraceError(f"the condition {where!r} is no SQL condition: {error}") from error
    columns = rows.collect_schema().names()
    if unknown := sorted(set(condition.meta.root_names()) - set(columns)):
        raise TraceError(f"table {name} has no column {', '.join(unknown)}; it has {', '.join(columns)}")
    return rows.filter(condition)


def read_head(rows: pl.LazyFrame, head: int, words: str) -> pl.DataFrame:
    """The first rows. Raises TraceError where files of that version are gone, or the condition fits no column."""
    with readable(words):
        try:
            return rows.head(head).collect(engine="streaming")
        except pl.exceptions.PolarsError as error:
            if gone(error):
                raise
            why = str(error).splitlines()[0]
            raise TraceError(f"{words}: the condition does not fit the columns' types: {why}") from error
