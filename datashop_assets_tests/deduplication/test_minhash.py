"""Signatures: what they show of two texts' similarity, and that nothing but the words matters."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.deduplication.minhash import CHUNK_TEXTS, minhashes, similarities
from datashop_assets.deduplication_settings import NearDuplicateSettings
from datashop_assets_tests.deduplication.real_documents import edited, jaccard, real_texts

SETTINGS = NearDuplicateSettings()
WORDS = st.lists(st.sampled_from(["stone", "sea", "ship", "tide", "quay", "town", "7", "海"]), min_size=1, max_size=60)


def shown(left: str, right: str) -> float:
    made = minhashes([left, right], SETTINGS)
    return float(similarities(made["signature"][:1], made["signature"][1:])[0])


@given(WORDS, st.sampled_from([" ", "\n", ", ", " -- "]))
def test_a_text_is_wholly_similar_to_itself_in_other_dress(words: list[str], between: str) -> None:
    assert shown(" ".join(words), between.join(word.upper() for word in words)) == 1


def test_texts_without_words_have_no_signature_and_no_keys() -> None:
    made = minhashes(["--", "one", ""], SETTINGS)
    assert made["signature"].is_null().to_list() == made["keys"].is_null().to_list() == [True, False, True]


def test_a_signature_does_not_depend_on_what_is_signed_with_it() -> None:
    texts = [f"text number {number} of many, each of them a little different" for number in range(CHUNK_TEXTS + 3)]
    alone = pl.concat([minhashes([text], SETTINGS) for text in texts[-5:]])
    assert minhashes(texts, SETTINGS).tail(5).equals(alone)


def test_signatures_show_the_similarity_of_real_texts_without_bias() -> None:
    texts = real_texts(300)
    pairs = [(text, edited(text, 0.01 * (number % 8), number)) for number, text in enumerate(texts)]
    made = [minhashes([pair[side] for pair in pairs], SETTINGS)["signature"] for side in (0, 1)]
    truth = np.array([jaccard(*pair, SETTINGS.words) for pair in pairs])
    error = similarities(*made) - truth
    # independent texts: the mean's own standard error is at most 0.047 / sqrt(300) = 0.003
    assert abs(error.mean()) < 0.01
    assert error.std() < 0.05


@pytest.mark.parametrize(("bands", "rows"), [(14, 8), (20, 13), (4, 1)])
def test_a_signature_has_bands_times_rows_values_and_a_key_a_band(bands: int, rows: int) -> None:
    made = minhashes(["a text"], NearDuplicateSettings(bands=bands, rows=rows))
    assert len(made["signature"][0]) == 2 * bands * rows
    assert len(made["keys"][0]) == bands == made["keys"][0].n_unique()


def test_keys_agree_as_often_as_banding_says() -> None:
    texts = real_texts(300)
    pairs = [(text, edited(text, 0.03, number)) for number, text in enumerate(texts)]
    made = [minhashes([pair[side] for pair in pairs], SETTINGS)["keys"] for side in (0, 1)]
    agreed = np.mean([bool(set(left) & set(right)) for left, right in zip(*made, strict=True)])
    truth = np.array([jaccard(*pair, SETTINGS.words) for pair in pairs])
    expected = float(np.mean(1 - (1 - truth**SETTINGS.rows) ** SETTINGS.bands))
    assert agreed == pytest.approx(expected, abs=0.08)  # 2.9 standard errors at most
