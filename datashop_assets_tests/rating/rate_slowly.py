"""A process that rates documents, a tenth of a second each, and keeps its progress in the folder that it is given.

Run by the test that interrupts it. It prints a line when it begins, and every document that it is asked about.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from datashop_assets.rating import annotate
from datashop_assets.rating.judgement import Document
from datashop_assets_tests.rating.lens_for_tests import small_lens
from resources.raters.scripted import ScriptedRater
from resources.staging import FolderProgress

COUNT = 40
SAMPLED = pl.DataFrame({"id": [f"d{n}" for n in range(COUNT)], "text_sha": [f"s{n}" for n in range(COUNT)]})


def read(rows: pl.DataFrame) -> Iterator[Document]:
    for (id_,) in rows.select("id").iter_rows():
        yield Document(id_)


def rate(folder: Path, rater: ScriptedRater) -> pl.DataFrame:
    """All documents, from where an earlier process ended."""

    def existing() -> pl.LazyFrame:
        return pl.LazyFrame(schema=annotate.ROWS)

    return annotate.annotate(SAMPLED, read, small_lens(), rater, existing, FolderProgress(folder)).rows


def slowly(text: str) -> float:
    print(text, flush=True)  # noqa: T201 - the test reads it
    time.sleep(0.1)
    return 3.0


if __name__ == "__main__":
    annotate.SAVE_ROWS = 5
    rate(Path(sys.argv[1]), ScriptedRater(slowly))
