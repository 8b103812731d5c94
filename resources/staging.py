"""Progress of a long cell on the local disk: Parquet files that a later process picks up.

What belongs here: keeping rows until they are committed. What does not: the lake, where committed rows live.
"""

import os
import shutil
from pathlib import Path

import polars as pl


class FolderProgress:
    """Rows of one cell in a folder of numbered Parquet files, one an `append`.

    A file appears by a rename, so a killed process leaves whole files only; what it was writing has a name that
    `scan` does not read. One process at a time works on a cell. The folder is made at the first append.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._number: int | None = None

    def scan(self) -> pl.LazyFrame | None:
        """All kept rows, lazily, in the order of their appends, or None where there are none.

        Files that were kept with other columns (before an upgrade) come after or before the rest as a block; a column
        that they lack is null. A file that cannot be read (disk full, copied by hand) raises, naming it to be deleted.
        """
        alike: dict[tuple[tuple[str, pl.DataType], ...], list[Path]] = {}
        for file in self._files():
            alike.setdefault(tuple(self._schema(file).items()), []).append(file)
        return pl.concat([pl.scan_parquet(files) for files in alike.values()], how="diagonal") if alike else None

    def append(self, rows: pl.DataFrame) -> None:
        if self._number is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            files = self._files()
            self._number = int(files[-1].stem) + 1 if files else 0
        partial = self.folder / f"{self._number:08d}.partial"
        with partial.open("wb") as stream:
            rows.write_parquet(stream)
            stream.flush()
            os.fsync(stream.fileno())
        partial.rename(partial.with_suffix(".parquet"))
        self._number += 1

    def clear(self) -> None:
        """Forget the kept rows, once they are committed."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._number = None

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.parquet"))

    @staticmethod
    def _schema(file: Path) -> pl.Schema:
        try:
            return pl.Schema(pl.read_parquet_schema(file))
        except (pl.exceptions.ComputeError, OSError) as error:
            raise OSError(
                f"{file} holds kept ratings but cannot be read ({error}); delete it to rate them again"
            ) from error
