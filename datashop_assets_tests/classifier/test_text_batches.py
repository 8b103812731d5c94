"""Batches of texts: every row once, within the budget, and what happens where memory does not suffice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.classifier.text_batches import length_sorted, run_batches, token_ids


class MemoryIsFullError(Exception):
    pass


def is_full(error: Exception) -> bool:
    return isinstance(error, MemoryIsFullError)


@given(st.lists(st.integers(0, 700), max_size=60), st.integers(1, 5000))
def test_every_row_is_in_one_batch_and_a_batch_keeps_to_the_budget(lengths: list[int], budget: int) -> None:
    batches = list(length_sorted(lengths, budget))
    assert sorted(row for rows in batches for row in rows) == list(range(len(lengths)))
    for rows in batches:
        assert len(rows) == 1 or len(rows) * max(1, *(lengths[row] for row in rows)) <= budget


@given(st.lists(st.integers(1, 512), min_size=1, max_size=60), st.integers(512, 4096), st.integers(1, 100_000))
def test_too_little_memory_halves_batches_and_no_row_is_run_twice(lengths: list[int], room: int, budget: int) -> None:
    seen: list[int] = []

    def run(rows: list[int]) -> None:
        if len(rows) * max(lengths[row] for row in rows) > room:
            raise MemoryIsFullError
        seen.extend(rows)

    left = run_batches(lengths, budget, run, is_full)
    assert sorted(seen) == list(range(len(lengths)))
    assert left <= budget
    assert run_batches(lengths, left, lambda rows: None, is_full) == left


def test_a_row_that_does_not_fit_alone_and_any_other_error_are_raised() -> None:
    def full(rows: list[int]) -> None:
        raise MemoryIsFullError(len(rows))

    with pytest.raises(MemoryIsFullError, match="1"):
        run_batches([5, 5, 5], 100, full, is_full)

    def broken(rows: list[int]) -> None:
        raise ValueError("of another kind")

    with pytest.raises(ValueError, match="of another kind"):
        run_batches([5, 5, 5], 100, broken, is_full)


class Counter:
    """A tokenizer of words that knows how many characters it was shown."""

    def __init__(self) -> None:
        self.shown: list[int] = []

    def __call__(self, texts: list[str], truncation: bool, max_length: int, verbose: bool) -> dict[str, list]:
        self.shown += [len(text) for text in texts]
        return {"input_ids": [[len(word) for word in text.split()][:max_length] for text in texts]}


@pytest.mark.parametrize(
    ("text", "whole"),
    [("word " * 20_000, False), (" " * 50_000 + "word " * 3, True), ("short text", True), ("", True)],
    ids=["a long text by its start", "blanks at the start", "a short text", "an empty text"],
)
def test_tokens_are_those_of_the_whole_text_though_not_all_of_a_long_one_is_read(text: str, whole: bool) -> None:
    tokenizer = Counter()
    assert token_ids(tokenizer, [text], 16) == [[len(word) for word in text.split()][:16]]
    assert (tokenizer.shown[-1] == len(text)) == whole
