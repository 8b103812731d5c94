"""The example corpora of a target: texts out of files by URL and column, or literal ones.

What belongs here: finding and reading them. What does not: formats (`corpus/readers.py`), what is done with the texts
(`targets.py`).
"""

from collections.abc import Iterator
from typing import cast

import fsspec
from fsspec.core import url_to_fs

from datashop_assets.corpus.readers import BadRow, Wanted, format_of, read_rows
from datashop_assets.project import TargetCorpus
from datashop_assets.rating.targets import TargetError

LONGEST_BYTES = 10_000_000  # of one example; a longer one would be most of any budget


def example_texts(corpus: TargetCorpus) -> Iterator[str]:
    """The corpus's texts in order, read as they are asked for; rows without text are passed over.

    Raises TargetError where a file is missing or of an unknown format, and UnreadableFileError where it is damaged or
    lacks the column.
    """
    yield from corpus.texts
    for url in corpus.files:
        fs, pattern = url_to_fs(url)
        paths = sorted(cast(list[str], fs.glob(pattern))) if "*" in pattern else [pattern]
        if not paths or not all(fs.exists(path) for path in paths):
            raise TargetError(f"the example corpus {corpus.name!r}: there is no file at {url}")
        for path in paths:
            if format_of(path) is None:
                raise TargetError(
                    f"the example corpus {corpus.name!r}: {path} is of no known format; parquet, jsonl, jsonl.gz, "
                    "jsonl.zst and arrow are"
                )
            yield from _file_texts(fs, path, corpus.column)


def _file_texts(fs: fsspec.AbstractFileSystem, path: str, column: str) -> Iterator[str]:
    with fs.open(path, "rb") as handle:
        for _, values in read_rows(path, handle, Wanted((column,), (), LONGEST_BYTES)):
            if isinstance(values, BadRow):
                continue
            value = values.get(column)
            text = value.decode("utf-8", errors="replace") if isinstance(value, bytes) else value
            if isinstance(text, str) and text.strip():
                yield text
