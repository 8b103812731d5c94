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
    `load` does not read. One process at a time works on a cell. The folder is made at the first append.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self) -> pl.DataFrame | None:
        """All kept rows in the order of their appends, or None where there are none.

        A file that cannot be read (disk full, copied by hand) raises, naming the file to delete.
        """
        files = self._files()
        return pl.concat([self._read(file) for file in files]) if files else None

    def append(self, rows: pl.DataFrame) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        files = self._files()
        number = int(files[-1].stem) + 1 if files else 0
        partial = self.folder / f"{number:08d}.partial"
        with partial.open("wb") as stream:
            rows.write_parquet(stream)
            stream.flush()
            os.fsync(stream.fileno())
        partial.rename(self.folder / f"{number:08d}.parquet")

    def clear(self) -> None:
        """Forget the kept rows, once they are committed."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.parquet"))

    @staticmethod
    def _read(file: Path) -> pl.DataFrame:
        try:
            return pl.read_parquet(file)
        except (pl.exceptions.ComputeError, OSError) as error:
            raise OSError(
                f"{file} holds kept ratings but cannot be read ({error}); delete it to rate them again"
            ) from error
