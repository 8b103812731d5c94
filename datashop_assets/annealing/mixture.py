"""Which documents the control and the candidate are annealed on: chosen by hash, counted in tokens.

What belongs here: the choice of documents, the held-out rule, the content id of a mixture. Pure.
What does not: tokenising and packing (`packing.py`), training (`train.py`), reading tables (`assets.py`).
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from datashop_assets.lineage import stable_fraction
from datashop_assets.project import AnnealSettings

Part = Literal["base", "filtered"]

MIXTURE_SCHEMA = pl.Schema(
    {
        "id": pl.String,
        "text": pl.String,
        "text_sha": pl.String,
        "part": pl.String,
        "epoch": pl.Int64,
        "tokens": pl.Int64,
    }
)


class MixtureError(ValueError):
    """A mixture that cannot be made; the message says what is missing and what to change."""


@dataclass(frozen=True)
class Mixture:
    """An ordered list of documents to train on.

    `documents` has the columns of MIXTURE_SCHEMA in training order; `tokens` of a row is how many of the document's
    tokens are used (EOS included; the last document of a part is cut). `epochs` says for each part how often its
    text is gone through: 1 where there is enough text, more where documents had to be repeated.
    """

    id: str
    documents: pl.DataFrame
    tokens: dict[Part, int]
    epochs: dict[Part, float]


def held_out(text_sha: str, share: float) -> bool:
    """Is this text reserved for evaluation? Depends on the text and the share alone, so it holds for ever.

    A larger share reserves more texts and keeps those that were reserved before. The salt makes the choice
    independent of other hash samples (a classifier's held-out rows, the rating sample).
    """
    return stable_fraction(f"evaluation:{text_sha}") < share


def training_tokens(settings: AnnealSettings) -> int:
    """The tokens that a run really trains on: `settings.tokens` rounded up to whole sequences."""
    return -(-settings.tokens // settings.sequence_length) * settings.sequence_length


def build_mixture(
    base: pl.DataFrame,
    filtered: pl.DataFrame | None,
    settings: AnnealSettings,
    held_out_share: float,
    count_tokens: Callable[[str], int],
) -> Mixture:
    """Choose the documents of one training run.

    Without `filtered` this is the control: base documents only. With it, the candidate: `filtered_share` of the
    tokens come from filtered documents and the rest from base documents. Documents are taken in the order of a
    seeded hash of their text, so the candidate's base documents are those with which the control's begin: the
    runs differ in the filtered share alone. Both frames have id, text and text_sha; equal texts count once, and
    held-out texts never enter. Where a part has too little text its documents are repeated, and `epochs` says so.

    `count_tokens` gives the tokens of a document as training will see it (`packing.DocumentEncoder.count`).
    Raises MixtureError where a part has no text left.
    """
    total = training_tokens(settings)
    wanted: dict[Part, int] = {"base": total}
    if filtered is not None:
        wanted["filtered"] = round(total * settings.filtered_share)
        wanted["base"] = total - wanted["filtered"]
    frames: dict[Part, pl.DataFrame | None] = {"base": base, "filtered": filtered}
    chosen: list[tuple[float, dict[str, Any]]] = []
    epochs: dict[Part, float] = {}
    for part, tokens in wanted.items():
        frame = frames[part]
        if tokens == 0 or frame is None:
            continue
        rows = list(_fill(_candidates(frame, part, settings.seed, held_out_share), tokens, count_tokens))
        epochs[part] = _epochs(rows)
        for row in rows:
            position = stable_fraction(f"order:{settings.seed}:{part}:{row['epoch']}:{row['text_sha']}")
            chosen.append((position, {**row, "part": part}))
    chosen.sort(key=lambda item: item[0])
    documents = pl.DataFrame([row for _, row in chosen], schema=MIXTURE_SCHEMA)
    used: dict[Part, int] = {part: tokens for part, tokens in wanted.items() if tokens}
    return Mixture(_content_id(documents), documents, used, epochs)


def _candidates(frame: pl.DataFrame, part: Part, seed: int, held_out_share: float) -> pl.DataFrame:
    """The part's distinct texts that may be trained on, in the order in which they are taken."""
    distinct = frame.select("id", "text", "text_sha").unique("text_sha", keep="first", maintain_order=True)
    shas = distinct["text_sha"].to_list()
    usable = distinct.with_columns(
        pl.Series("held_out", [held_out(sha, held_out_share) for sha in shas], dtype=pl.Boolean),
        pl.Series("order", [stable_fraction(f"take:{seed}:{sha}") for sha in shas], dtype=pl.Float64),
    ).filter(~pl.col("held_out"))
    if usable.is_empty():
        mend = (
            "materialize more documents"
            if part == "base"
            else "keep more (the lens's cutoff) or materialize more shards"
        )
        raise MixtureError(
            f"no {part} text to anneal on: {frame.height} documents, {distinct.height} distinct texts, all of them "
            f"held out for evaluation (held_out_share {held_out_share}); {mend}"
        )
    return usable.sort("order", "text_sha").drop("held_out", "order")


def _fill(usable: pl.DataFrame, tokens: int, count_tokens: Callable[[str], int]) -> Iterator[dict[str, Any]]:
    """Rows in order, again from the start when they run out, until exactly `tokens` are used."""
    counts: dict[int, int] = {}
    epoch = 0
    while tokens > 0:
        for index, (id_, text, text_sha) in enumerate(usable.iter_rows()):
            counts[index] = counts.get(index) or count_tokens(text)
            used = min(counts[index], tokens)
            yield {"id": id_, "text": text, "text_sha": text_sha, "epoch": epoch, "tokens": used}
            tokens -= used
            if tokens == 0:
                return
        epoch += 1


def _epochs(rows: list[dict[str, Any]]) -> float:
    """Tokens used over the tokens of the first pass: 1 without repetition, 2.5 where the text came up 2.5 times."""
    first = sum(row["tokens"] for row in rows if row["epoch"] == 0)
    return float(sum(row["tokens"] for row in rows) / first)


def _content_id(documents: pl.DataFrame) -> str:
    """Content id of what is trained on: equal texts, cuts and order give equal ids."""
    digest = hashlib.sha256()
    for text_sha, tokens in documents.select("text_sha", "tokens").iter_rows():
        digest.update(f"{text_sha}:{tokens}\n".encode())
    return digest.hexdigest()[:16]
