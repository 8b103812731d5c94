"""Ratings made elsewhere, as annotations like any other: matched to documents by id or by text, brought to the lens's
scale, committed shard by shard.

What belongs here: what becomes of each row of a file. What does not: file formats (`rating_files.py`), reading a single
row's answer (`imported_answers.py`), the command (`interchange.py`).
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import polars as pl

from datashop_assets.lineage import content_id
from datashop_assets.rating.annotate import ROWS
from datashop_assets.rating.imported_answers import AnswerColumns, ImportedAnswer, read_answer
from datashop_assets.rating.lens import Lens
from datashop_assets.rating.rating_files import RatingFileError, Row, rating_rows
from datashop_assets.records import ANNOTATIONS, DOCUMENTS
from datashop_assets.seams import Lake

PREFIX = "imported-"
NAME = re.compile(r"\w[\w.+@-]{0,99}")
# What a rating says. An import that changes none of it changes nothing; `rated_at` alone is no change.
CONTENT = ("text_sha", "score", "reason", "rationale", "raw", "criteria", "labels", "confidence")
NO_DOCUMENT = "no document has it"
SEVERAL_TEXTS = "documents with different texts have this id; give their `shard` too, or match by text"
OTHER_TEXT = "the document has another text than the one that was rated"


@dataclass(frozen=True)
class Origin:
    """Who made the ratings of a file, and how its rows are read.

    `rater` names them all, or `rater_column` holds each row's. `scale` is theirs, worst to best (5, 1 where 1 is best),
    and is mapped onto the lens's linearly; null: they are on the lens's. Rows match documents by `id_column`, or by the
    exact text in `text_column`. A row may also hold `shard` and `text_sha` of its document, `criteria` (scores by name,
    on the criteria's own ranges), `labels`, `confidence`, `reason` (of a failure) and `rated_at`, as exported ones do.
    """

    rater: str | None = None
    rater_column: str | None = None
    scale: tuple[float, float] | None = None
    by: Literal["id", "text"] = "id"
    id_column: str = "id"
    text_column: str = "text"
    columns: AnswerColumns = field(default_factory=AnswerColumns)

    def __post_init__(self) -> None:
        if (self.rater is None) == (self.rater_column is None):
            raise ValueError("either all ratings are of one rater, or a column names each one's: give one of the two")
        if self.rater is not None:
            imported_rater(self.rater)
        if self.scale is not None and self.scale[0] == self.scale[1]:
            raise ValueError(f"a scale from {self.scale[0]} to {self.scale[1]} tells nothing apart")


@dataclass(frozen=True)
class ImportReport:
    """What became of the rows. `unmatched` (place, key, why) are those that no one document could be found for.

    `repeats` are rows that say of a document what an earlier row says; `documents` got a rating, failed ones included,
    of which `changed` are new or other than before. `failures` are counted by reason. `shards` were committed.
    """

    rows: int
    unmatched: pl.DataFrame
    repeats: int
    documents: int
    changed: int
    failures: Mapping[str, int]
    raters: tuple[str, ...]
    shards: tuple[str, ...]

    def __str__(self) -> str:
        failed = ", ".join(f"{count} {reason}" for reason, count in self.failures.items()) or "none"
        return (
            f"{self.rows} rows, {self.unmatched.height} of them without a document, {self.repeats} repeated; "
            f"{self.documents} documents rated by {', '.join(self.raters) or 'nobody'} (failed: {failed}); "
            f"{self.changed} ratings are new or changed, in {len(self.shards)} shards"
        )


@dataclass(frozen=True, slots=True)
class _Given:
    """One row of a file before its document is known."""

    place: str
    key: str
    rater: str
    shard: str | None
    text_sha: str | None
    answer: ImportedAnswer


@dataclass
class _Matched:
    """What the rows say, by (rater, shard) and document id, each with the text that was rated, and the rows that no one
    document was found for."""

    ratings: dict[tuple[str, str], dict[str, list[tuple[str, ImportedAnswer]]]] = field(default_factory=dict)
    unmatched: list[tuple[str, str, str]] = field(default_factory=list)
    repeats: int = 0


def imported_rater(name: str) -> str:
    """The id under which ratings made elsewhere stand. Raises ValueError for a name that cannot be part of one."""
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot name a rater: letters, digits and . _ + @ - only, at most 100 of them")
    return f"{PREFIX}{name}"


def import_ratings(
    lake: Lake, lens: Lens, files: Sequence[Path], origin: Origin, lineage: Mapping[str, Any]
) -> ImportReport:
    """Import the ratings of the files. The same files again change nothing.

    A row counts for every document that it matches: equal texts may stand in several shards. Of a document that the
    files rate more than once, failed rows do not count where others succeeded; scores that differ are no score, with
    reason `conflicting_ratings`. A rating replaces an earlier import's of the same rater and lens version; the shard's
    others stay. Nothing is committed before all files are read; then each shard and rater in one commit. Raises
    RatingFileError naming file and line.
    """
    given = [
        _given(row, lens, origin) for file in files for row in rating_rows(file, origin.id_column, origin.columns.score)
    ]
    matched = _match(lake, given, origin)
    committed: set[str] = set()
    failures: Counter[str] = Counter()
    changed = documents = 0
    for (rater, shard), by_document in sorted(matched.ratings.items()):
        rows = [_annotation(id_, ratings, rater, lens) for id_, ratings in by_document.items()]
        documents += len(rows)
        failures.update(row["reason"] for row in rows if row["reason"])
        if new := _commit(lake, lens, rater, shard, rows, lineage):
            changed += new
            committed.add(shard)
    unmatched = dict.fromkeys(("place", "key", "why"), pl.String)
    return ImportReport(
        rows=len(given),
        unmatched=pl.DataFrame(matched.unmatched, schema=unmatched, orient="row"),
        repeats=matched.repeats,
        documents=documents,
        changed=changed,
        failures=dict(failures.most_common()),
        raters=tuple(sorted({row.rater for row in given})),
        shards=tuple(sorted(committed)),
    )


def _given(row: Row, lens: Lens, origin: Origin) -> _Given:
    place, values = row

    def needed(name: str, mend: str) -> Any:
        if name not in values:
            raise RatingFileError(f"{place} has no {name!r}, it has {sorted(values)}; {mend}")
        return values[name]

    text_sha: str | None
    if origin.by == "text":
        text = needed(origin.text_column, "name its column with --text-column, or match by id")
        key = text_sha = hashlib.sha256(str(text).encode("utf-8", "surrogatepass")).hexdigest()[:32]
    else:
        key = str(needed(origin.id_column, "name its column with --id-column, or match with --by text"))
        text_sha = values.get("text_sha")
    if lens.kind == "score":
        needed(origin.columns.score, "name its column with --score-column")
    else:
        needed("labels", f"{lens.name} is a label lens, and reads labels from there")
    named = origin.rater or needed(str(origin.rater_column), "name its column with --rater-column")
    try:
        rater = imported_rater(str(named).removeprefix(PREFIX))
    except ValueError as error:
        raise RatingFileError(f"{place}: {error}") from error
    shard = values.get("shard")
    answer = read_answer(values, lens, origin.columns, origin.scale)
    return _Given(place, key, rater, None if shard is None else str(shard), text_sha, answer)


def _match(lake: Lake, given: Sequence[_Given], origin: Origin) -> _Matched:
    column = "text_sha" if origin.by == "text" else "id"
    keys = pl.LazyFrame({column: list({row.key for row in given})}, schema={column: pl.String})
    found = lake.scan(DOCUMENTS).select("shard", "id", "text_sha").join(keys, on=column, how="semi")
    known: dict[str, list[dict[str, str]]] = {}
    for document in found.sort("shard", "id").collect(engine="streaming").iter_rows(named=True):
        known.setdefault(document[column], []).append(document)
    matched = _Matched()
    for row in given:
        documents = [d for d in known.get(row.key, []) if row.shard in (None, d["shard"])]
        rated = [d for d in documents if row.text_sha in (None, d["text_sha"])]
        if why := _unusable(row, documents, rated):
            matched.unmatched.append((row.place, row.key, why))
            continue
        for number, document in enumerate(rated):
            ratings = matched.ratings.setdefault((row.rater, document["shard"]), {}).setdefault(document["id"], [])
            matched.repeats += number == 0 and bool(ratings)
            ratings.append((document["text_sha"], row.answer))
    return matched


def _unusable(row: _Given, documents: Sequence[Mapping[str, str]], rated: Sequence[Mapping[str, str]]) -> str | None:
    if not documents:
        return NO_DOCUMENT if row.shard is None else f"{NO_DOCUMENT} in shard {row.shard}"
    if not rated:
        return OTHER_TEXT
    return SEVERAL_TEXTS if len({document["text_sha"] for document in rated}) > 1 else None


def _together(answers: Sequence[ImportedAnswer]) -> ImportedAnswer:
    """What the rows of an import say of one document."""
    succeeded = [answer for answer in answers if answer.reason is None]
    if not succeeded:
        return answers[0]
    if len({(answer.score, answer.criteria, answer.labels) for answer in succeeded}) == 1:
        return succeeded[0]
    said = " | ".join(sorted({str(answer.raw) for answer in succeeded}))
    return ImportedAnswer(reason="conflicting_ratings", raw=said)


def _annotation(id_: str, ratings: Sequence[tuple[str, ImportedAnswer]], rater: str, lens: Lens) -> dict[str, Any]:
    answer = _together([answer for _, answer in ratings])
    return {
        "rater": rater,
        "id": id_,
        "text_sha": ratings[0][0],
        "lens_version": lens.version,
        "input_tokens": 0,
        "output_tokens": 0,
        "seconds": 0.0,
        "chunks": 1,
        "requests": 0,
        "cached": 0,
        **answer.content(),
        "rated_at": answer.rated_at or datetime.now(UTC),
    }


def _commit(
    lake: Lake, lens: Lens, rater: str, shard: str, rows: Iterable[Mapping[str, Any]], lineage: Mapping[str, Any]
) -> int:
    """Bring these rows into the shard's ratings of the rater; returns how many of them are new or changed."""
    table = ANNOTATIONS.of(lens.name)
    there = lake.scan(table, {"shard": [shard], "rater": [rater]}).select(list(ROWS)).collect().to_dicts()
    ratings: dict[tuple[str, str], Mapping[str, Any]] = {(row["id"], row["lens_version"]): row for row in there}
    changed = {}
    for row in rows:
        key = (row["id"], row["lens_version"])
        if key not in ratings or _content(ratings[key]) != _content(row):
            changed[key] = row
    if not changed:
        return 0
    every = [dict(row) for _, row in sorted((ratings | changed).items())]
    version = content_id("imported", [[row["id"], row["lens_version"], _content(row)] for row in every])
    cell = {"shard": shard, "rater": rater, "version": version}
    frame = pl.DataFrame(every, schema=ROWS).with_columns(**{name: pl.lit(value) for name, value in cell.items()})
    lake.commit(table, frame.select(list(table.schema)), [cell], lineage)
    return len(changed)


def _content(row: Mapping[str, Any]) -> list[Any]:
    return [row[name] for name in CONTENT]
