"""Measures of texts that need no model."""

import string
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.attribute_settings import CompressionRatioAttribute, LengthAttribute, TextStatisticAttribute
from datashop_assets.attributes.rows import score_rows
from datashop_assets.attributes.text_measures import Measure, compression_ratio, length, text_statistic
from datashop_assets_tests.worlds import WordCounter


def score(measure: Measure, *texts: str) -> list[float | None]:
    rows = pl.DataFrame({"id": [str(number) for number in range(len(texts))], "text": texts})
    return score_rows(pl.concat([rows.select("id"), measure(rows)], how="horizontal"), None)["score"].to_list()


@pytest.mark.parametrize(
    ("unit", "text", "expected"),
    [
        pytest.param("characters", "naïve 😀", 7, id="code points"),
        pytest.param("words", "  two\n\twords ", 2, id="words between white space"),
        pytest.param("words", "", 0, id="no words are none"),
        pytest.param("tokens", "as the model counts", 4, id="the model's tokens"),
    ],
)
def test_length(unit: Any, text: str, expected: float) -> None:
    assert score(length(LengthAttribute(kind="length", unit=unit), WordCounter()), text) == [expected]


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_repetition_compresses_better_than_noise_and_an_empty_text_has_no_ratio(codec: Any) -> None:
    letters = np.random.default_rng(0).choice(list(string.ascii_letters), 5_000)
    measure = compression_ratio(CompressionRatioAttribute(kind="compression_ratio", codec=codec))
    repeated, noise, empty = score(measure, "again and again " * 300, "".join(letters), "")
    assert repeated is not None
    assert noise is not None
    assert repeated > 20 > 2 > noise
    assert empty is None


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_ratio_does_not_depend_on_the_other_documents(text: str) -> None:
    measure = compression_ratio(CompressionRatioAttribute(kind="compression_ratio"))
    assert score(measure, text, "something else", text)[0] == score(measure, text)[0]


@pytest.mark.parametrize(
    ("statistic", "text", "expected"),
    [
        pytest.param("letter_share", "ab 1é", 3 / 4, id="letters of every alphabet, white space left out"),
        pytest.param("mean_word_length", "a bcd", 2.0, id="characters a word"),
        pytest.param("duplicate_line_share", "a\nb\n a \n\na", 0.5, id="lines that stood before; empty ones left out"),
        pytest.param("duplicate_line_share", "one line", 0.0, id="one line"),
        pytest.param("mean_word_length", " \n ", None, id="no words"),
        pytest.param("letter_share", "", None, id="no characters"),
        pytest.param("duplicate_line_share", "\n\n", None, id="no lines"),
    ],
)
def test_statistics(statistic: Any, text: str, expected: float | None) -> None:
    settings = TextStatisticAttribute(kind="text_statistic", statistic=statistic)
    assert score(text_statistic(settings), text) == [expected if expected is None else pytest.approx(expected)]


def test_rows_round_and_clip_to_the_scale_and_give_every_null_a_reason() -> None:
    scores = pl.DataFrame(
        {"id": list("abcde"), "score": [2.5, 9.0, -1.0, None, float("nan")], "reason": [None, None, None, "why", None]}
    )
    rows = score_rows(scores, (0, 5))
    assert rows["int_score"].to_list() == [2, 5, 0, None, None]
    assert rows["reason"].to_list() == [None, None, None, "why", "no_number"]
    assert score_rows(scores, None)["int_score"].null_count() == 5
