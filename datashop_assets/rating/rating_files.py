"""Files of ratings made elsewhere, as rows: JSONL, JSON and Parquet, each row with its place.

What belongs here: the formats, and errors that name file and line. What does not: what a row means (`imports.py`).
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

# Where a row stands, for people, and its values by column.
Row = tuple[str, Mapping[str, Any]]
# The names and values of a JSON object as they are written.
Pairs = list[tuple[str, Any]]
BATCH_ROWS = 1024
# Python reads no more digits of an integer by default; what is longer is read as a float.
MOST_DIGITS = 4300


class RatingFileError(ValueError):
    """A file of ratings that cannot be used; the message names file and line, the fault and the mend."""


def rating_rows(file: Path, id_column: str, score_column: str) -> Iterator[Row]:
    """The rows of the file, in order, read as they are asked for.

    .jsonl or .ndjson: an object a line. .json: a list of objects, or a mapping from ids to objects or to bare scores
    (the id becomes `id_column`, a bare score `score_column`); an id that stands twice there makes two rows. .parquet:
    its rows. Raises RatingFileError; in a row no name may stand twice.
    """
    readers = {".jsonl": _json_lines, ".ndjson": _json_lines, ".parquet": _parquet}
    try:
        if file.suffix == ".json":
            yield from _json(file, id_column, score_column)
        elif file.suffix in readers:
            yield from readers[file.suffix](file)
        else:
            raise RatingFileError(f"{file} must end in .jsonl, .ndjson, .json or .parquet: the ending tells the format")
    except (OSError, pa.ArrowException) as error:
        raise RatingFileError(f"{file} cannot be read: {error}") from error


def _json_lines(file: Path) -> Iterator[Row]:
    with file.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            place = f"{file}:{number}"
            if line.strip():
                row, _ = _parsed(line, file, number, keyed=False)
                yield place, _object(row, place)


def _json(file: Path, id_column: str, score_column: str) -> Iterator[Row]:
    content, pairs = _parsed(file.read_bytes(), file, 1, keyed=True)
    if isinstance(content, list):
        for number, row in enumerate(content, 1):
            place = f"{file}, entry {number}"
            yield place, _object(row, place)
    elif isinstance(content, dict):
        for key, row in pairs:
            place = f"{file}, entry {key!r}"
            yield place, {**(row if isinstance(row, dict) else {score_column: row}), id_column: key}
    else:
        raise RatingFileError(f"{file} holds {type(content).__name__}; it must hold a list, or a mapping from ids")


def _parquet(file: Path) -> Iterator[Row]:
    number = 0
    with pq.ParquetFile(file) as content:
        for batch in content.iter_batches(batch_size=BATCH_ROWS):
            for row in batch.to_pylist():
                number += 1
                yield f"{file}, row {number}", row


def _parsed(content: bytes, file: Path, line: int, *, keyed: bool) -> tuple[Any, Pairs]:
    """The JSON value of bytes that begin at `line` of the file, and its own names and values where it is an object.

    A name stands once in every object, but for those of the outermost one where that is `keyed` by ids.
    """
    names: list[str] = []
    outermost: Pairs = []

    def made(pairs: Pairs) -> dict[str, Any]:
        # Objects come from the inside out: the last one is the outermost.
        nonlocal outermost
        names.extend(_twice(outermost))
        outermost = pairs
        return dict(pairs)

    try:
        value = json.loads(content.decode("utf-8-sig"), object_pairs_hook=made, parse_int=_integer)
        if not (keyed and isinstance(value, dict)):
            names += _twice(outermost)
        if names:
            raise RatingFileError(f"{file}:{line} has the name {names[0]!r} twice in one object; which one counts?")
        return value, outermost
    except UnicodeDecodeError as error:
        line += content[: error.start].count(b"\n")
        raise RatingFileError(f"{file}:{line} is not UTF-8; save it as UTF-8") from error
    except json.JSONDecodeError as error:
        place = f"{file}:{line + error.lineno - 1}"
        raise RatingFileError(f"{place} is not JSON: {error.msg} at column {error.colno}") from error
    except RecursionError as error:
        raise RatingFileError(f"{file}:{line} is nested too deeply to be read") from error


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= MOST_DIGITS else float(digits)


def _twice(pairs: Pairs) -> list[str]:
    if len(dict(pairs)) == len(pairs):
        return []
    return [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]


def _object(value: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise RatingFileError(f"{place} holds {type(value).__name__}; every rating is an object with named values")
    return value
