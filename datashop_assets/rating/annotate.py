"""Rating the sampled documents of one cell, without ever paying twice for a judgement.

What belongs here: reusing ratings that exist, keeping progress while a rater works, the counts that people see.
What does not: choosing documents (`sampling.py`), reading them (`reading.py`), asking a model (`resources/raters/`),
what it all costs (`usage.py`), storing (`resources/`).
"""

import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from typing import Any

import polars as pl

from datashop_assets.rating.judgement import SKIPPED, Document, Judgement
from datashop_assets.rating.lens import Lens
from datashop_assets.rating.usage import Spending, Usage, progress_line
from datashop_assets.records import ANNOTATIONS
from datashop_assets.seams import Progress, Rater

# An annotation before it has a cell: the shard and the cell's version are added when it is committed.
ROWS = pl.Schema({name: dtype for name, dtype in ANNOTATIONS.columns.items() if name not in ("shard", "version")})
# Judgements are kept in groups of so many, or when the last group is so old: what a killed process loses at most.
SAVE_ROWS = 64
SAVE_SECONDS = 20.0
LOG_SECONDS = 15.0
# How often judgements may vanish under a process's hands. Another one that rates the same cell takes them away once.
MOST_ROUNDS = 3

Log = Callable[[str], Any]
# Whether a row of annotations is of a document that no rater was to judge, or of one that it was to judge and did not.
LEFT_OUT = pl.col("reason").is_in(list(SKIPPED))
FAILED = pl.col("reason").is_not_null() & ~LEFT_OUT


@dataclass(frozen=True)
class Annotated:
    """The judgements of a cell, of schema ROWS, each document's once. `used` is what those of this run took.

    `left` documents of the sample were still to be rated when the budget ended.
    """

    rows: pl.DataFrame
    used: Usage
    seconds: float
    left: int


def annotate(
    sampled: pl.DataFrame,
    documents: Callable[[pl.DataFrame], Iterator[Document]],
    lens: Lens,
    rater: Rater,
    existing: Callable[[], pl.LazyFrame],
    progress: Progress,
    spending: Spending | None = None,
    log: Log = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
) -> Annotated:
    """Rate the sampled documents (`id`, `text_sha`) in their order, as far as the budget of `spending` goes.

    A judgement that stands in `existing` (gives the rows of the annotations table as it is at the call) or in
    `progress` for the same document, text, lens version and rater is taken over. Everything else is rated, judgements
    that failed included. `documents` reads the rows that it is given, in order; it is read only as far ahead as the
    rater reads. Finished rows go to `progress` in groups: a killed process loses at most one group, an error or a
    cancellation none. Should another process rate the same cell meanwhile, commit it and clear what both kept, its
    judgements are taken over, and what is then still missing is rated again.

    In memory are the sample's ids and one group, and at the end the cell's rows as one frame, answers and rationales
    included, because the table takes a cell in one commit. 100,000 judgements with 1,500 characters each, 156 MB as a
    frame, took 40 MB while they were made, 250 MB here and 570 MB at the commit (n = 1): a cell of many long answers
    is better divided into smaller shards.

    Raises ValueError where a rater breaks its contract: too few judgements, or a score that is off the scale.
    """
    spending = spending or Spending(rater.id)

    def judged() -> pl.LazyFrame:
        return _candidates(paid_for(existing, progress), sampled, lens, rater)

    known = _reusable(judged())
    # What was never tried first, then what failed longest ago: a budget that ends again and again reaches all of it.
    failed = judged().filter(FAILED).group_by("id").agg(pl.col("rated_at").max()).collect()
    todo = (
        sampled.join(known, on="id", how="anti", maintain_order="left")
        .join(failed, on="id", how="left", maintain_order="left")
        .sort("rated_at", nulls_last=False, maintain_order=True)
        .drop("rated_at")
    )
    log(f"{lens.name}: {sampled.height:,} documents sampled, {known.height:,} rated before, {todo.height:,} to rate")
    begun = clock()
    used, untried = Usage(), sampled.clear()
    for _ in range(MOST_ROUNDS):
        took = _rated(todo, documents, lens, rater, progress, spending, log, clock)
        used += took
        untried = pl.concat([untried, todo.tail(todo.height - took.documents)])
        rows = _one_each(judged())
        todo = sampled.join(pl.concat([rows.select("id"), untried.select("id")]), "id", "anti", maintain_order="left")
        if todo.is_empty():
            # Another run may have judged meanwhile what this one left.
            left = untried.join(rows.filter(~FAILED).select("id"), on="id", how="anti").height
            return Annotated(rows, used, clock() - begun, left)
        log(f"{lens.name}: {todo.height:,} judgements that were kept are gone, and are rated again")
    raise RuntimeError(
        f"{lens.name}: {todo.height:,} judgements were kept and are gone, {MOST_ROUNDS} times; something else clears "
        "the staging folder, or another run rates the same cells: run again when it is done"
    )


def _rated(
    todo: pl.DataFrame,
    documents: Callable[[pl.DataFrame], Iterator[Document]],
    lens: Lens,
    rater: Rater,
    progress: Progress,
    spending: Spending,
    log: Log,
    clock: Callable[[], float],
) -> Usage:
    """Rate the documents in their order as far as the budget goes, keep the judgements, and return what they took."""
    begun = said = clock()
    used = Usage()
    group = _Group(progress, spending, clock)
    ration = spending.within(documents(todo))
    judgements = rater.rate(lens, ration)
    try:
        for id_, text_sha in todo.select("id", "text_sha").iter_rows():
            judgement = next(judgements, None)
            if judgement is None:
                break
            used += spending.book(judgement)
            group.add(_row(id_, text_sha, judgement, lens, rater))
            if clock() - said >= LOG_SECONDS:
                said = clock()
                log(f"{lens.name}: {progress_line(used, todo.height, said - begun, spending)}")
    finally:
        group.keep()
        if isinstance(judgements, Generator):  # let go of threads and connections now, not at garbage collection
            judgements.close()
        spending.keep()  # with what was in flight
    if ration.refused:
        spending.take_back()
    if spending.in_flight or (used.documents < todo.height and not spending.reached):
        raise ValueError(f"rater {rater.id} gave {used.documents} judgements for {todo.height} documents")
    if used.documents:
        log(f"{lens.name}: {progress_line(used, todo.height, clock() - begun, spending)}")
    return used


def paid_for(existing: Callable[[], pl.LazyFrame], progress: Progress) -> pl.LazyFrame:
    """All judgements of a cell that were ever kept, committed or not, of schema ROWS; one may stand there twice.

    What is kept is looked for first: whatever another process commits and clears in between is in the table then.
    """
    kept = progress.scan()
    parts = [part for part in (existing(), kept) if part is not None]
    fitted = [part.match_to_schema(ROWS, missing_columns="insert", extra_columns="ignore") for part in parts]
    return pl.concat([part.select(list(ROWS)) for part in fitted])


def summary(annotations: pl.DataFrame, lens: Lens) -> dict[str, Any]:
    """Counts for people: judgements, failures by reason, documents by rounded score, the mean score, tokens, time."""
    scores = annotations["score"].drop_nulls()
    rounded = Counter(int(score) for score in scores.round(mode="half_to_even"))
    return {
        **failure_counts(annotations),
        "by_score": {str(score): rounded[score] for score in range(lens.low, lens.high + 1)},
        "mean_score": scores.mean(),
        "tokens": int(annotations["input_tokens"].sum()) + int(annotations["output_tokens"].sum()),
        "rater_seconds": round(float(annotations["seconds"].sum()), 1),
    }


def failure_counts(annotations: pl.DataFrame) -> dict[str, Any]:
    """Judgements, what was skipped of them, and what failed, with its share of those that were asked about."""
    failed = annotations.filter(FAILED)
    skipped = annotations.height - failed.height - annotations["reason"].null_count()
    return {
        "annotations": annotations.height,
        "skipped": skipped,
        "failed": failed.height,
        "failed_share": round(failed.height / max(1, annotations.height - skipped), 4),
        "failed_by_reason": dict(sorted(Counter(failed["reason"]).items())),
    }


class _Group:
    """Rows that are not kept yet, and when they will be."""

    def __init__(self, progress: Progress, spending: Spending, clock: Callable[[], float]) -> None:
        self.progress = progress
        self.spending = spending
        self.clock = clock
        self.rows: list[dict[str, Any]] = []
        self.kept_at = clock()

    def add(self, row: dict[str, Any]) -> None:
        self.rows.append(row)
        if len(self.rows) >= SAVE_ROWS or self.clock() - self.kept_at >= SAVE_SECONDS:
            self.keep()

    def keep(self) -> None:
        self.spending.keep()
        if self.rows:
            self.progress.append(pl.DataFrame(self.rows, schema=ROWS))
            self.rows = []
        self.kept_at = self.clock()


def _candidates(rows: pl.LazyFrame, sampled: pl.DataFrame, lens: Lens, rater: Rater) -> pl.LazyFrame:
    """All judgements of the sampled documents, as they are now, by this rater through this lens."""
    return rows.filter(pl.col("lens_version") == lens.version, pl.col("rater") == rater.id).join(
        sampled.lazy().select("id", "text_sha"), on=["id", "text_sha"], how="semi", maintain_order="left"
    )


def _reusable(candidates: pl.LazyFrame) -> pl.DataFrame:
    """The ids of the documents whose judgement stands: it succeeded, or there was nothing to judge."""
    return candidates.filter(~FAILED).select("id").unique().collect()


def _one_each(candidates: pl.LazyFrame) -> pl.DataFrame:
    """One judgement a document: one that succeeded if there is one, else the newest failure."""
    rows = candidates.collect()
    best = (
        rows.lazy()
        .select(pl.int_range(pl.len()).alias("row"), "id", pl.col("reason").is_not_null().alias("failed"), "rated_at")
        .sort(["failed", "rated_at"], descending=[False, True], maintain_order=True)
        .unique("id", keep="first")
        .collect()
    )
    return rows if best.height == rows.height else rows[best["row"].sort()]


def _row(id_: str, text_sha: str, judgement: Judgement, lens: Lens, rater: Rater) -> dict[str, Any]:
    score = judgement.score
    if score is not None and not (isfinite(score) and lens.low <= score <= lens.high):
        raise ValueError(
            f"rater {rater.id} gave document {id_} the score {score}, off the scale "
            f"[{lens.low}, {lens.high}] of lens {lens.name!r}; a rater returns a failure instead"
        )
    labels = [{"set": name, "label": label} for name, found in (judgement.labels or {}).items() for label in found]
    return {
        "rater": rater.id,
        "id": id_,
        "text_sha": text_sha,
        "score": score,
        "reason": judgement.reason,
        "rationale": judgement.rationale,
        "raw": judgement.raw,
        "input_tokens": judgement.input_tokens,
        "output_tokens": judgement.output_tokens,
        "seconds": judgement.seconds,
        "lens_version": lens.version,
        "rated_at": datetime.now(UTC),
        "criteria": [{"name": name, "score": value} for name, value in judgement.criteria.items()],
        "labels": labels,
        "confidence": judgement.confidence,
        "chunks": judgement.chunks,
        "requests": judgement.requests,
        "cached": judgement.cached,
    }
