"""Progress of a long cell on the local disk: Parquet files that a later process picks up.

What belongs here: keeping rows until they are committed. What does not: the lake, where committed rows live.
"""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

import polars as pl

# A file is written within milliseconds; one that is unfinished for so long is of a process that was killed.
ABANDONED_S = 3600


class FolderProgress:
    """Rows of one cell in a folder of Parquet files, one an `append`, named by number, process and a random token.

    A file appears by a rename, so a killed process leaves whole files only; what it was writing has a name that
    `scan` does not read. Several processes may keep rows in one folder: each reads what the others kept, none
    overwrites another's file, and `clear` leaves what came after the last `scan`. What one clears, another that still
    works finds no longer here, but where it was committed. The folder is made at an append.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: set[Path] = set()
        self._number: int | None = None

    def scan(self) -> pl.LazyFrame | None:
        """All kept rows, lazily, in the order of their appends, or None where there are none.

        Files that were kept with other columns (before an upgrade) come after or before the rest as a block; a column
        that they lack is null. A file that cannot be read (disk full, copied by hand) raises, naming it to be deleted.
        """
        alike: dict[tuple[tuple[str, pl.DataType], ...], list[Path]] = {}
        for file in self._files():
            with suppress(FileNotFoundError):  # cleared by another process just now
                alike.setdefault(tuple(self._schema(file).items()), []).append(file)
                self._known.add(file)
        return pl.concat([pl.scan_parquet(files) for files in alike.values()], how="diagonal") if alike else None

    def append(self, rows: pl.DataFrame) -> None:
        """Keep these rows too, wholly or not at all."""
        if self._number is None:
            files = self._files()
            self._number = int(files[-1].stem.partition("-")[0]) + 1 if files else 0
        partial = self.folder / f"{self._number:08d}-{os.getpid()}-{uuid4().hex[:12]}.partial"
        with self._new(partial) as stream:
            rows.write_parquet(stream)
            stream.flush()
            os.fsync(stream.fileno())
        self._known.add(partial.rename(partial.with_suffix(".parquet")))
        self._number += 1

    def _new(self, file: Path) -> BinaryIO:
        self.folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            return file.open("wb")
        self.folder.mkdir(parents=True, exist_ok=True)  # another process took the empty folder away in between
        return file.open("wb")

    def replace(self, rows: pl.DataFrame) -> None:
        """Keep these rows instead of all that is there. A kill in between leaves both, these ones last."""
        before = self._files()
        self.append(rows)
        for file in before:
            file.unlink(missing_ok=True)

    def clear(self) -> None:
        """Forget the kept rows that this process saw or wrote, once they are committed."""
        for file in self._known:
            file.unlink(missing_ok=True)
        for partial in self.folder.glob("*.partial"):
            with suppress(FileNotFoundError):  # finished by its process just now
                if time.time() - partial.stat().st_mtime > ABANDONED_S:
                    partial.unlink()
        with suppress(OSError):  # it is not empty, or gone
            self.folder.rmdir()
        self._known, self._number = set(), None

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.parquet"))

    @staticmethod
    def _schema(file: Path) -> pl.Schema:
        try:
            return pl.Schema(pl.read_parquet_schema(file))
        except FileNotFoundError:
            raise
        except (pl.exceptions.ComputeError, OSError) as error:
            raise OSError(
                f"{file} holds kept ratings but cannot be read ({error}); delete it to rate them again"
            ) from error
