"""Which tables a lake holds, on a local path or S3.

What belongs here: listing the lake's folders. What does not: what the tables hold (`lake.py`), their past
(`lake_history.py`) and their upkeep (`maintenance.py`).
"""

import pyarrow.fs as pafs
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError
from deltalake.fs import DeltaStorageHandler

from resources.lake import DeltaLake


def table_names(lake: DeltaLake) -> list[str]:
    """The names of all tables, those of a lens, an encoder or an attribute as `<table>/<name>`, sorted.

    One listing of the lake, one of each folder that is no table itself, and a look for each table's log: what a table
    has in it, thousands of partitions, is not listed. Raises OSError or DeltaError where the store cannot be listed.
    """
    try:
        store = pafs.PyFileSystem(DeltaStorageHandler(lake.uri, dict(lake.storage_options)))
    except TableNotFoundError:  # of a local lake that nothing was written to
        return []
    found: list[str] = []
    for name in _folders(store, ""):
        found += [name] if _is_table(lake, name) else [part for part in _folders(store, name) if _is_table(lake, part)]
    return sorted(found)


def _folders(store: pafs.FileSystem, name: str) -> list[str]:
    listed = store.get_file_info(pafs.FileSelector(name, allow_not_found=True))
    return [entry.path for entry in listed if entry.type == pafs.FileType.Directory]


def _is_table(lake: DeltaLake, name: str) -> bool:
    return DeltaTable.is_deltatable(f"{lake.uri.rstrip('/')}/{name}", dict(lake.storage_options))
