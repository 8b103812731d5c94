"""What counts as a word, and runs of words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.deduplication.words import ngrams, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("The cat's  hat,\nthe HAT!", ["the", "cat", "s", "hat", "the", "hat"], id="case and punctuation"),
        pytest.param("--- *** ---", [], id="no word at all"),
        pytest.param("naïve Ärger x_1 3.14", ["naïve", "ärger", "x_1", "3", "14"], id="letters of any script, numbers"),
        pytest.param("我喜欢猫 and tea", ["我", "喜", "欢", "猫", "and", "tea"], id="Chinese, character by character"),
        pytest.param("コーヒー", ["コ", "ー", "ヒ", "ー"], id="Japanese"),
        pytest.param("हिन्दी में किताब।", ["हिन्दी", "में", "किताब"], id="Hindi: vowel signs are parts of words"),
        pytest.param("كِتَابٌ", ["كِتَابٌ"], id="Arabic with its vowels"),
        pytest.param("e\u0301te\u0301 là", ["été", "là"], id="accents as characters of their own"),
        pytest.param("ก็ตัด ab", ["ก็", "ตั", "ด", "ab"], id="Thai, character by character with its marks"),
        pytest.param("می\u200cخواهم", ["می\u200cخواهم"], id="Persian: a joiner is no gap"),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@given(st.text(st.characters(max_codepoint=127)))
def test_a_text_in_ascii_has_the_words_that_it_has_beside_other_letters(text: str) -> None:
    assert words_of(text + " é") == [*words_of(text), "é"]


@given(st.text(), st.text(alphabet=" \n\t.,;!-", max_size=5))
def test_punctuation_and_space_around_a_text_do_not_count(text: str, around: str) -> None:
    assert words_of(around + " " + text + " " + around) == words_of(text)


@given(st.lists(st.text("ab", min_size=1), max_size=30), st.integers(1, 8))
def test_there_is_an_ngram_at_each_word_that_has_enough_behind_it(words: list[str], n: int) -> None:
    grams = ngrams(words, n)
    assert len(grams) == (max(1, len(words) - n + 1) if words else 0)
    assert all(gram == " ".join(words[at : at + n]) for at, gram in enumerate(grams))
