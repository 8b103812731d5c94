"""Which parts of a long document are judged, and how their scores become one.

What belongs here: cutting a text at the rater's own tokens, and aggregating. What does not: the tokenizer (it stands
behind `seams.ChatModel`), judging a part (`prompted.py`).
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from math import ceil
from statistics import fmean

from datashop_assets.rating.lens import Chunking

Spans = Sequence[tuple[int, int]]


def chunks(text: str, chunking: Chunking, token_spans: Callable[[str], Spans]) -> list[str]:
    """The parts of the text that are judged, in order; none where it holds nothing but white space.

    `head` is its first `tokens` tokens. `windows`: a text of at most `windows * tokens` tokens is divided into as few
    windows of even length as hold it, and nothing is left out. Of a longer one, `windows` windows of `tokens` tokens
    each stand with gaps of even length before, between and behind them; they do not overlap.

    A part is cut where no token is, so that a character that takes several tokens stays whole. Where that leaves a
    little more than fits, one window more is made: no part has more tokens than asked for, counted in the whole text.
    """
    if not text.strip():
        return []
    if chunking.strategy == "whole":
        return [text]
    spans = [(start, end) for start, end in token_spans(text) if end > start]
    if len(spans) <= chunking.tokens:
        return [text]
    cuts = _cuts(spans)
    if chunking.strategy == "head":
        bounds = [(0, _before(cuts, chunking.tokens))]
    elif len(spans) <= chunking.windows * chunking.tokens:
        bounds = _covering(cuts, chunking.tokens)
    else:
        bounds = _spaced(cuts, chunking.tokens, chunking.windows)

    def place(token: int) -> int:
        return 0 if token == 0 else len(text) if token == len(spans) else spans[token][0]

    return [text[place(first) : place(last)] for first, last in bounds if first < last]


def aggregate(values: Sequence[float], chunking: Chunking) -> float:
    """One score of the parts' scores, of which there is at least one."""
    if chunking.aggregate == "mean":
        return fmean(values)
    return min(values) if chunking.aggregate == "min" else max(values)


def _cuts(spans: Spans) -> list[int]:
    """The numbers of the tokens before which the text can be cut, rising from 0 to the number of tokens."""
    cuts, reached = [0], spans[0][1]
    for number, (start, end) in enumerate(spans[1:], start=1):
        if start >= reached:
            cuts.append(number)
        reached = max(reached, end)
    return [*cuts, len(spans)]


def _before(cuts: Sequence[int], token: int) -> int:
    """The last cut at or before a token; the first cut behind the text's beginning where there is none."""
    return cuts[max(1, bisect_right(cuts, token) - 1)]


def _covering(cuts: Sequence[int], most: int) -> list[tuple[int, int]]:
    """As few windows of even length as hold the whole text, each of at most `most` tokens where it can be cut so."""
    tokens, count = cuts[-1], ceil(cuts[-1] / most)
    while True:
        ends = sorted({_before(cuts, round(tokens * number / count)) for number in range(1, count + 1)})
        bounds = list(zip([0, *ends[:-1]], ends, strict=True))
        if count >= tokens or all(last - first <= most for first, last in bounds):
            return bounds
        count += 1


def _spaced(cuts: Sequence[int], size: int, count: int) -> list[tuple[int, int]]:
    """Windows of `size` tokens, each cut to where the text can be cut, with even gaps around them."""
    left = cuts[-1] - size * count
    starts = [size * number + left * (number + 1) // (count + 1) for number in range(count)]
    return [(cuts[bisect_right(cuts, start - 1)], cuts[bisect_right(cuts, start + size) - 1]) for start in starts]
