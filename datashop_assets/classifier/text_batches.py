"""Texts to token ids, and token ids to batches that hold little padding.

What belongs here: cutting, tokenising and batching for models that read texts. What does not: the models
(`sequence_classification.py`), the encoder's own batching (`resources/encoders`).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

# A text is tokenised from a prefix of this many characters a token, so that a 10 MB document does not cost ten
# seconds; where the prefix does not fill the model (long runs of blanks), the whole text is tokenised.
PREFIX_CHARS_PER_TOKEN = 64


def token_ids(tokenizer: Any, texts: Sequence[str], limit: int) -> list[list[int]]:
    """The ids of each text, special tokens included, `limit` at most; the same as of the whole texts."""

    def tokenise(some: list[str]) -> list[list[int]]:
        ids: list[list[int]] = tokenizer(some, truncation=True, max_length=limit, verbose=False)["input_ids"]
        return ids

    if not texts:
        return []
    prefix = limit * PREFIX_CHARS_PER_TOKEN
    tokens = tokenise([text[:prefix] for text in texts])
    for row, ids in enumerate(tokens):
        if len(ids) < limit and len(texts[row]) > prefix:
            tokens[row] = tokenise([texts[row]])[0]
    return tokens


def length_sorted(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Rows in batches of neighbours by length, longest first; rows times longest is at most `budget`, or one row."""
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    start = 0
    while start < len(order):
        size = max(1, budget // max(1, lengths[order[start]]))
        yield order[start : start + size]
        start += size


def run_batches(
    lengths: Sequence[int], budget: int, run: Callable[[list[int]], None], out_of_memory: Callable[[Exception], bool]
) -> int:
    """Run every row once, in length-sorted batches within the budget, and return the budget that sufficed.

    Where `run` has too little memory (an error that `out_of_memory` knows), the budget is halved, until what failed
    fits; the batches that were run are not run again. Raises the error where a single row is too much.
    """
    todo = list(range(len(lengths)))
    while todo:
        done: list[int] = []
        try:
            for rows in length_sorted([lengths[row] for row in todo], budget):
                failing = len(rows)
                run([todo[row] for row in rows])
                done += rows
        except Exception as error:
            if not out_of_memory(error) or failing == 1:
                raise
            budget = max(1, budget // 2)
        finished = set(done)
        todo = [row for position, row in enumerate(todo) if position not in finished]
    return budget
