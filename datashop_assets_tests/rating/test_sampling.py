"""A sample is the same for ever, and a larger one only adds to it."""

import hashlib

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.rating.sampling import sample


def documents(texts: list[str]) -> pl.DataFrame:
    shas = [hashlib.sha256(text.encode()).hexdigest()[:32] for text in texts]
    schema = {"id": pl.String, "text": pl.String, "text_sha": pl.String}
    return pl.DataFrame({"id": [f"d{n}" for n in range(len(texts))], "text": texts, "text_sha": shas}, schema=schema)


@given(st.lists(st.text(max_size=5), max_size=40), st.integers(0, 40), st.integers(0, 40), st.integers(0, 5))
def test_a_sample_is_the_beginning_of_every_larger_one(texts: list[str], size: int, more: int, seed: int) -> None:
    smaller = sample(documents(texts), size, seed)
    larger = sample(documents(texts), size + more, seed)
    assert larger.head(size).equals(smaller)
    assert smaller.height == min(size, len(set(texts)))


@given(st.lists(st.text(max_size=5), max_size=40), st.randoms())
def test_the_order_of_the_rows_does_not_matter(texts: list[str], random) -> None:
    rows = documents(texts)
    shuffled = rows[random.sample(range(rows.height), rows.height)]
    assert sample(shuffled, 10, 0).equals(sample(rows, 10, 0))


def test_a_text_that_stands_twice_is_rated_once() -> None:
    assert sample(documents(["same", "same", "other"]), 3, 0)["text"].to_list().count("same") == 1


def test_another_seed_chooses_others() -> None:
    rows = documents([f"text {n}" for n in range(200)])
    assert set(sample(rows, 20, 0)["id"]) != set(sample(rows, 20, 1)["id"])


def test_the_choice_is_the_one_of_earlier_versions() -> None:
    """Rated documents stay in the sample after an upgrade; these ids were chosen when the sampling was written."""
    rows = documents([f"text {n}" for n in range(100)])
    assert sample(rows, 4, 7)["id"].to_list() == ["d58", "d22", "d65", "d76"]


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(ValueError, match="-1"):
        sample(documents(["a"]), -1, 0)
