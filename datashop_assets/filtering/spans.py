"""Parts cut out of texts, as deduplication names them.

What belongs here: cutting. What does not: which parts go (`deduplication/`), reading texts (`texts.py`).
"""

from collections.abc import Callable, Iterable, Iterator

import polars as pl


def without_spans(frames: Iterable[pl.DataFrame], spans_of: Callable[[str], pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The frames [shard, id, text, ...] with the spans of their documents cut out, and a column `characters_removed`.

    `spans_of` gives a shard's spans [id, start, end]: characters [start, end) of the text as it stands in `documents`,
    ascending and without overlap; it is asked once for each shard of a run of frames. Ids and order stay.
    Raises ValueError, naming the document, where a span lies outside its text or overlaps the one before.
    """
    shard, spans = None, pl.DataFrame()
    for frame in frames:
        parts = []
        for part in frame.partition_by("shard", maintain_order=True):
            if part["shard"][0] != shard:
                shard = part["shard"][0]
                spans = spans_of(shard)
            parts.append(_cut(part, spans))
        yield pl.concat(parts)


def _cut(rows: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    mine = spans.filter(pl.col("id").is_in(rows["id"].implode())).sort("id", "start")
    by_id = mine.group_by("id").agg("start", "end")
    ranges = {id_: list(zip(starts, ends, strict=True)) for id_, starts, ends in by_id.iter_rows()}
    texts, removed = rows["text"].to_list(), [0] * rows.height
    for number, id_ in enumerate(rows["id"].to_list()):
        if id_ in ranges:
            kept = _without(texts[number], ranges[id_], f"document {id_} of shard {rows['shard'][number]}")
            removed[number] = len(texts[number]) - len(kept)
            texts[number] = kept
    return rows.with_columns(
        text=pl.Series(texts, dtype=pl.String), characters_removed=pl.Series(removed, dtype=pl.Int64)
    )


def _without(text: str, ranges: list[tuple[int, int]], place: str) -> str:
    kept, done = [], 0
    for start, end in ranges:
        if not done <= start <= end <= len(text):
            raise ValueError(
                f"{place}: the span {start} to {end} does not fit its text of {len(text)} characters; "
                "materialize `repeated_paragraphs` again"
            )
        kept.append(text[done:start])
        done = end
    return "".join([*kept, text[done:]])
