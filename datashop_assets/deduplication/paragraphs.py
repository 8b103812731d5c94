"""Paragraphs that stand more than once in one document.

What belongs here: what a paragraph is, which ones go, and when too little is left. What does not: cutting them out (the
release does, where text is copied anyway), boilerplate that stands in many documents.

Repetition inside a document is a mark of poor text, and makes models repeat (Rae et al. 2021, arXiv:2112.11446, section
A.1.1, who reject such documents; here the first of the equal paragraphs stays).
"""

import re
from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from datashop_assets.deduplication.tables import REPEATED_PARAGRAPHS, Rejection
from datashop_assets.deduplication.words import words_of
from datashop_assets.deduplication_settings import RepeatedParagraphSettings

SCHEMA = pl.Schema({name: REPEATED_PARAGRAPHS.schema[name] for name in ("reason", "spans", "removed_share")})
_SEPARATORS = {"blank_line": re.compile(r"\n[^\S\n]*(?:\n[^\S\n]*)+"), "line": re.compile(r"\n\s*")}

Span = tuple[int, int]


def repeated_paragraphs(texts: Sequence[str], settings: RepeatedParagraphSettings) -> pl.DataFrame:
    """A row [reason, spans, removed_share] for each text, in order."""
    rows = []
    for text in texts:
        spans = repeated_spans(text, settings)
        share = sum(end - start for start, end in spans) / len(text) if text else 0.0
        rows.append(
            {
                "reason": Rejection.MOSTLY_REPEATED.value if share > settings.most_removed else None,
                "spans": [{"start": start, "end": end} for start, end in spans],
                "removed_share": share,
            }
        )
    return pl.DataFrame(rows, schema=SCHEMA)


def repeated_spans(text: str, settings: RepeatedParagraphSettings) -> list[Span]:
    """The characters [start, end) to cut out, ascending, not touching: every paragraph but the first of its kind.

    Paragraphs are equal where their words are, whatever case, punctuation and white space. The separator before a
    paragraph goes with it, so that what is left joins as before.
    """
    seen: set[str] = set()
    spans: list[Span] = []
    before = 0
    for start, end in _paragraphs(text, _SEPARATORS[settings.separator]):
        words = words_of(text[start:end])
        if len(words) >= settings.shortest:
            content = " ".join(words)
            if content in seen:
                first = spans.pop()[0] if spans and spans[-1][1] == before else before
                spans.append((first, end))
            seen.add(content)
        before = end
    return spans


def spans_of(stored: Sequence[Mapping[str, int]]) -> list[Span]:
    """Spans as they stand in the table."""
    return [(span["start"], span["end"]) for span in stored]


def without(text: str, spans: Sequence[Span]) -> str:
    """The text without the spans' characters."""
    kept, at = [], 0
    for start, end in spans:
        kept.append(text[at:start])
        at = end
    return "".join([*kept, text[at:]])


def _paragraphs(text: str, separator: re.Pattern[str]) -> Iterator[Span]:
    at = 0
    for match in separator.finditer(text):
        yield at, match.start()
        at = match.end()
    yield at, len(text)
