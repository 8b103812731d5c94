"""One look at the lake: every table is opened at most once, however many questions are asked of it.

What belongs here: remembering, for as long as a look lasts, what was read. What does not: reading (the lake), the
questions (the stages, `automation/reconcile.py`). Nothing outlives the look, so that the next one sees what other
processes committed, and a table that was deleted. At 10,000 shards x 10 lenses the tables were opened 166 times a look.
"""

import functools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast

import polars as pl

from datashop_assets.records import TableSpec
from datashop_assets.seams import Commit, Lake

T = TypeVar("T")


class OneLook:
    """A lake to read, each table as it was when it was first asked for. Rows of cells are not kept, only records."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self._known: dict[Any, Any] = {}

    def scan(
        self, table: TableSpec, where: Mapping[str, Collection[str]] | None = None, version: int | None = None
    ) -> pl.LazyFrame:
        """See `seams.Lake`."""
        if where or version is not None or table.version_column is not None:
            return self.lake.scan(table, where, version)
        records: pl.DataFrame = self._once(("records", table.name), lambda: self.lake.scan(table).collect())
        return records.lazy()

    def cells(self, table: TableSpec) -> pl.DataFrame:
        """See `seams.Lake`."""
        return cast(pl.DataFrame, self._once(("cells", table.name), lambda: self.lake.cells(table)))

    def version(self, table: TableSpec) -> int | None:
        """See `seams.Lake`."""
        return cast(int | None, self._once(("version", table.name), lambda: self.lake.version(table)))

    def commit(
        self,
        table: TableSpec,
        frame: pl.DataFrame | Iterable[pl.DataFrame],  # noqa: ARG002 - the signature of Lake
        cells: Sequence[Mapping[str, str]] | None,  # noqa: ARG002
        lineage: Mapping[str, Any],  # noqa: ARG002
    ) -> Commit:
        """Raises TypeError: what is looked at is not written."""
        raise TypeError(f"table {table.name}: a look at the lake does not write")

    def remember(self, read: Callable[[Lake], T]) -> T:
        """What the function says of the lake, asked once."""
        return cast(T, self._once(read, lambda: read(self)))

    def _once(self, key: Any, read: Callable[[], Any]) -> Any:
        if key not in self._known:
            self._known[key] = read()
        return self._known[key]


def once_a_look(read: Callable[[Lake], T]) -> Callable[[Lake], T]:
    """For a function of the lake alone that is dear: within one look it is asked once."""

    @functools.wraps(read)
    def asked(lake: Lake) -> T:
        return lake.remember(read) if isinstance(lake, OneLook) else read(lake)

    return asked
