"""Batches hold every text once and stay within their bounds; long texts cost what their bound costs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.selection.lm_texts import CHUNK, TokenBatches, batches, reading_order, task_examples, tokenised
from datashop_assets_tests.selection.language_model_pools import TinyModel, chosen, permuted, pool_of, some_texts


class WordTokenizer:
    """One token a word, blanks are none; remembers how long the texts were that it was given."""

    def __init__(self) -> None:
        self.lengths: list[int] = []

    def __call__(self, texts: Sequence[str], max_length: int, **_: Any) -> dict[str, list[list[int]]]:
        self.lengths += [len(text) for text in texts]
        return {"input_ids": [[hash(word) % 1000 for word in text.split()][:max_length] for text in texts]}


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> TinyModel:
    return TinyModel(tmp_path_factory.mktemp("tiny"))


@given(lengths=st.lists(st.integers(1, 50), max_size=60), most_tokens=st.integers(1, 200), most_rows=st.integers(1, 10))
def test_each_text_is_in_one_batch_within_the_bounds(lengths: list[int], most_tokens: int, most_rows: int) -> None:
    found = list(batches(lengths, most_tokens, most_rows))
    assert sorted(position for batch in found for position in batch) == list(range(len(lengths)))
    for batch in found:
        assert len(batch) <= most_rows
        assert len(batch) == 1 or len(batch) * max(lengths[position] for position in batch) <= most_tokens


def test_a_long_text_is_read_no_further_than_its_bound_needs() -> None:
    tokenizer = WordTokenizer()
    (ids,) = tokenised(tokenizer, ["word " * 1_000_000], 10)
    assert len(ids) == 10
    assert max(tokenizer.lengths) < 1000


def test_a_text_behind_a_mile_of_blanks_is_read_whole() -> None:
    blanks = " " * 5000
    (ids,) = tokenised(WordTokenizer(), [f"{blanks}the river{blanks}and the sea"], 4)
    assert len(ids) == 4


def test_batches_give_each_row_its_own_tokens_and_can_be_gone_through_again(lm: TinyModel) -> None:
    texts = ["", *some_texts(CHUNK + 20, most_words=6)]
    read = TokenBatches(
        lambda rows: [texts[n] for n in rows], np.arange(len(texts))[::-1], lm.model, lm.tokenizer, 5, 64
    )
    for _ in range(2):
        seen = {}
        for batch in read:
            assert batch.ids.numel() <= 64
            for row, ids, real in zip(batch.rows, batch.ids, batch.real, strict=True):
                seen[int(row)] = ids[real].tolist()
        assert read.left_out == {"empty_document": 1}
        assert sorted(seen) == list(range(1, len(texts)))
        assert all(seen[row] == lm.tokenizer(texts[row])["input_ids"][:5] for row in seen)


def test_the_reading_order_is_that_of_the_documents() -> None:
    pool = pool_of(some_texts(30))
    other = permuted(pool, list(range(29, -1, -1)))
    assert chosen(pool, reading_order(pool)) == chosen(other, reading_order(other))


def test_examples_keep_their_tasks() -> None:
    examples = task_examples({"a": ["one", "two"], "b": ["three"]})
    assert (examples.names, list(examples.task)) == (["a", "b"], [0, 0, 1])
    assert examples.of([2, 0]) == ["three", "one"]
