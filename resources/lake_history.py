"""The lake through time: which tables there are, who wrote them last, and how they stood at a version or a moment.

What belongs here: reading Delta's log for people. What does not: committing and reading what is newest (`lake.py`),
what rows mean (the tracing stage). Nothing here is ever planned from.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import polars as pl
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from datashop_assets.records import TableSpec
from datashop_assets.seams import Commit, Lake, PermanentError, TableState
from datashop_assets.tables import TABLES
from resources.lake import DeltaLake
from resources.table_names import table_names

# Commits that a look back reads first, and by how many times more each further look.
LOOK_BACK, FURTHER = 64, 8
# Commits among which the last writer is looked for: a new column is followed by a commit of the table's settings.
NEWEST, SETTINGS = 4, "SET TBLPROPERTIES"


class PastError(LookupError):
    """A table, a version or a moment that the lake does not have, or has no more; the message says which there are."""


@dataclass(frozen=True)
class DeltaHistory:
    """`seams.LakeHistory` of a Delta lake."""

    lake: DeltaLake

    def tables(self) -> list[str]:
        """See `seams.LakeHistory`."""
        return table_names(self.lake)

    def state(self, name: str) -> TableState:
        """See `seams.LakeHistory`. Read from the log: no rows are scanned."""
        stored = self._open(name)
        files = pl.DataFrame(stored.get_add_actions(flatten=True))
        commits = stored.history(NEWEST)
        last = next((commit for commit in commits if commit.get("operation") != SETTINGS), commits[0])
        key = f"null_count.{_key_of(name)}"
        markers = int(files[key].fill_null(0).sum()) if key in files.columns else 0
        return TableState(
            name,
            stored.version(),
            int(files["num_records"].sum()) - markers if files.height else 0,
            int(files["size_bytes"].sum()) if files.height else 0,
            files.height,
            _moment(last),
            last.get("operation", "not recorded"),
            last.get("datashop.asset"),
            last.get("datashop.run_id"),
        )

    def rows(self, name: str, version: int | None = None) -> pl.LazyFrame:
        """See `seams.LakeHistory`."""
        return pl.scan_delta(self._open(name, version), storage_options=dict(self.lake.storage_options))

    def version_at(self, name: str, moment: datetime) -> int | None:
        """See `seams.LakeHistory`. By the times that the commits name: those of files change when a lake is copied."""
        stored = self._open(name)
        looked = LOOK_BACK
        while True:
            commits = stored.history(looked)
            for commit in commits:
                if _moment(commit) <= moment:
                    return int(commit["version"])
            if commits[-1]["version"] == 0:
                return None
            if len(commits) < looked:
                raise PastError(
                    f"table {name}: its log goes back to {_moment(commits[-1]):%Y-%m-%d %H:%M} (version "
                    f"{commits[-1]['version']}) and not to {moment:%Y-%m-%d %H:%M}; name a version instead"
                )
            looked *= FURTHER

    def as_of(self, versions: Mapping[str, int], moment: datetime | None) -> Lake:
        """See `seams.LakeHistory`."""
        return LakeAsOf(self.lake.uri, self.lake.storage_options, dict(versions), moment)

    def _open(self, name: str, version: int | None = None) -> DeltaTable:
        try:
            stored = self.lake.open(TableSpec(name, {}), version)
        except DeltaError as error:
            newest = self._open(name).version()
            raise PastError(
                f"table {name} has no version {version}: it is at version {newest}, and versions older than the log "
                "is kept are gone"
            ) from error
        if stored is None:
            raise PastError(f"the lake has no table {name!r}; `tables` lists those that it has")
        return stored


@dataclass(frozen=True)
class LakeAsOf(DeltaLake):
    """The lake as it stood, to read: tables at the `versions` named, the others at the `moment` (null: as they are)."""

    versions: dict[str, int] = field(default_factory=dict)
    moment: datetime | None = None

    @cached_property
    def _found(self) -> dict[str, int | None]:
        return {}

    def open(self, table: TableSpec, version: int | None = None) -> DeltaTable | None:
        """The table as it stood; None where it was not there yet. Raises PastError where that is gone."""
        if version is None:
            version = self.versions.get(table.name)
        if version is None and self.moment is not None:
            if table.name not in self._found:
                now = super().open(table)
                there = None if now is None else DeltaHistory(self._now).version_at(table.name, self.moment)
                self._found[table.name] = there
            version = self._found[table.name]
            if version is None:
                return None
        try:
            return super().open(table, version)
        except DeltaError as error:
            raise PastError(f"table {table.name} cannot be read at version {version} any more: {error}") from error

    def commit(
        self,
        table: TableSpec,
        frame: pl.DataFrame | Iterable[pl.DataFrame],  # noqa: ARG002 - the signature of `Lake`
        cells: Sequence[Mapping[str, str]] | None,  # noqa: ARG002
        lineage: Mapping[str, Any],  # noqa: ARG002
    ) -> Commit:
        """The past is not written to."""
        raise PermanentError(f"table {table.name}: a lake as of an earlier moment is only read")

    @property
    def _now(self) -> DeltaLake:
        return DeltaLake(self.uri, self.storage_options)


def _moment(commit: Mapping[str, Any]) -> datetime:
    return datetime.fromtimestamp(commit["timestamp"] / 1000, UTC)


def _key_of(name: str) -> str | None:
    """The column that is null in the marker of an empty cell."""
    return next((table.key for table in TABLES if table.name == name.split("/")[0]), None)
