"""Rating the sampled documents of one cell, without ever paying twice for a judgement.

What belongs here: reusing ratings that exist, keeping progress while a rater works, the counts that people see.
What does not: choosing documents (`sampling.py`), asking a model (`resources/raters/`), storing (`resources/`).
"""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from math import isfinite
from typing import Any, Protocol

import polars as pl

from datashop_assets.rating.judgement import Document, Judgement
from datashop_assets.rating.lens import Lens
from datashop_assets.records import ANNOTATIONS
from datashop_assets.seams import Rater

# An annotation before it has a cell: the shard and the cell's version are added when it is committed.
ROWS = pl.Schema({name: dtype for name, dtype in ANNOTATIONS.columns.items() if name not in ("shard", "version")})
SAVE_EVERY = 8


class Progress(Protocol):
    """Keeps the finished rows of a cell that is still being rated, so that a killed process pays for little again."""

    def load(self) -> pl.DataFrame | None:
        """What was kept, or None where nothing was."""
        ...

    def append(self, rows: pl.DataFrame) -> None:
        """Keep these rows too, wholly or not at all."""
        ...

    def clear(self) -> None:
        """Forget them, once they are committed."""
        ...


def annotate(
    sampled: pl.DataFrame,
    lens: Lens,
    rater: Rater,
    existing: pl.DataFrame,
    progress: Progress,
    log: Callable[[str], Any] = lambda _: None,
) -> pl.DataFrame:
    """One row of schema ROWS for every sampled document (`id`, `text`, `text_sha`), in their order.

    A score that stands in `existing` (rows of the annotations table) or in `progress` for the same document, text,
    lens version and rater is taken over. Everything else is rated, judgements that failed included. Finished rows
    go to `progress` in groups of SAVE_EVERY; a killed process loses at most one group, an error none.

    Raises ValueError where a rater breaks its contract: too few judgements, or a score that is off the scale.
    """
    staged = progress.load()
    known = _reusable(existing if staged is None else _rows(existing).vstack(_rows(staged)), sampled, lens, rater)
    todo = sampled.join(known, on=["id", "text_sha"], how="anti", maintain_order="left")
    log(f"{lens.name}: {sampled.height} documents sampled, {known.height} rated before, {todo.height} to rate")
    fresh: list[dict[str, Any]] = []
    kept = 0

    def keep() -> None:
        nonlocal kept
        if len(fresh) > kept:
            progress.append(pl.DataFrame(fresh[kept:], schema=ROWS))
            kept = len(fresh)

    try:
        judgements = rater.rate(lens, (Document(text) for text in todo["text"]))
        for document, judgement in zip(todo.select("id", "text_sha").to_dicts(), judgements, strict=True):
            fresh.append(_row(document, judgement, lens, rater))
            if len(fresh) - kept >= SAVE_EVERY:
                keep()
                log(f"{lens.name}: {len(fresh)} of {todo.height} rated")
    finally:
        keep()
    rated = known.vstack(pl.DataFrame(fresh, schema=ROWS))
    return sampled.select("id").join(rated, on="id", how="left", maintain_order="left").select(list(ROWS))


def summary(annotations: pl.DataFrame, lens: Lens) -> dict[str, Any]:
    """Counts for people: judgements, failures by reason, documents by rounded score, the mean score, tokens, time."""
    scores = annotations["score"].drop_nulls()
    rounded = Counter(int(score) for score in scores.round(mode="half_to_even"))
    return {
        "annotations": annotations.height,
        "failed": int(annotations["reason"].is_not_null().sum()),
        "failed_by_reason": dict(sorted(Counter(annotations["reason"].drop_nulls()).items())),
        "by_score": {str(score): rounded[score] for score in range(lens.low, lens.high + 1)},
        "mean_score": scores.mean(),
        "tokens": int(annotations["input_tokens"].sum()) + int(annotations["output_tokens"].sum()),
        "rater_seconds": round(float(annotations["seconds"].sum()), 1),
    }


def _rows(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.match_to_schema(ROWS, missing_columns="insert", extra_columns="ignore").select(list(ROWS))


def _reusable(known: pl.DataFrame, sampled: pl.DataFrame, lens: Lens, rater: Rater) -> pl.DataFrame:
    return (
        _rows(known)
        .filter(
            pl.col("lens_version") == lens.version,
            pl.col("rater") == rater.id,
            pl.col("reason").is_null(),
        )
        .join(sampled.select("id", "text_sha"), on=["id", "text_sha"], how="semi")
        .unique("id", keep="first", maintain_order=True)
    )


def _row(document: dict[str, Any], judgement: Judgement, lens: Lens, rater: Rater) -> dict[str, Any]:
    score = judgement.score
    if score is not None and not (isfinite(score) and lens.low <= score <= lens.high):
        raise ValueError(
            f"rater {rater.id} gave document {document['id']} the score {score}, off the scale "
            f"[{lens.low}, {lens.high}] of lens {lens.name!r}; a rater returns a failure instead"
        )
    labels = [{"set": name, "label": label} for name, found in (judgement.labels or {}).items() for label in found]
    return {
        "rater": rater.id,
        "id": document["id"],
        "text_sha": document["text_sha"],
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
