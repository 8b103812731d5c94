"""A long text is tokenised from a part of it, and nobody can tell."""

from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datashop_assets_tests.resources.encoder_models import tokenizer
from resources.encoders.tokens import Tokens

LIMIT = 16
KINDS = ["wordpiece", "bytes", "unigram", "one piece"]
NASTY = {
    "blanks": " " * 20_000 + "hello",
    "blanks between": ("the" + " " * 300) * 100,
    "no white space": "x" * 5_000,
    "Chinese": "漢字" * 3_000,
    "Chinese without a boundary in reach": "the " * 5 + "ア" * 4_000,
    "control characters": "the\0red\x07 fox\x85 " * 500,
    "special tokens": "red [SEP] fox[MASK]dog [SEP" * 300,
    "minified": "function(a,b){return a.b(c)};" * 300,
    "accents": "é̂ǘ Å ﬁ ﷺ " * 500,
    "final sigma and other case rules": "ΟΔΟΣ İSTANBUL ẞ " * 400,
    "few and many": "the red fox",
    "none": "",
    "newlines": "\r\n\n \t" * 2_000 + "the end",
}
PIECES = st.sampled_from(
    ["the", "red", " ", "  ", "\n", "\t", "\0", "漢", "é", "́", "[SEP]", "[", "]", ",", "12", "'s", "ﷺ", "x" * 90, "Σ"]
)


@cache
def both(kind: str) -> tuple[Any, Tokens]:
    whole = tokenizer(kind)
    return whole, Tokens(whole, LIMIT)


def plain(whole: Any, texts: list[str]) -> list[list[int]]:
    ids: list[list[int]] = whole(texts, truncation=True, max_length=LIMIT)["input_ids"]
    return ids


@pytest.mark.parametrize("kind", KINDS)
def test_the_ids_are_those_of_the_whole_text_for_texts_that_are_hard_to_cut(kind):
    whole, tokens = both(kind)
    texts = list(NASTY.values())
    for name, ours, theirs in zip(NASTY, tokens(texts), plain(whole, texts), strict=True):
        assert ours == theirs, name


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150, deadline=None)
@given(parts=st.lists(st.one_of(PIECES, st.text(max_size=8)), max_size=60), times=st.sampled_from([1, 3, 20]))
def test_the_ids_are_those_of_the_whole_text_for_any_text(kind, parts, times):
    text = ("".join(parts) * times).encode("utf-8", "replace").decode()
    whole, tokens = both(kind)
    assert tokens([text, "the red fox"]) == plain(whole, [text, "the red fox"])


def test_ten_megabytes_are_read_no_further_than_their_beginning(monkeypatch):
    tokens, read = Tokens(tokenizer("wordpiece"), LIMIT), []
    encode = tokens._encode
    monkeypatch.setattr(tokens, "_encode", lambda texts: read.extend(texts) or encode(texts))
    assert tokens(["the red fox jumps, " * 550_000]) == tokens(["the red fox jumps, " * 100])
    assert sum(map(len, read)) < 1_000


def test_a_tokenizer_that_cuts_at_the_left_keeps_the_end():
    whole = tokenizer("wordpiece")
    whole.truncation_side = "left"
    text = "the red fox " * 500 + "dog"
    assert Tokens(whole, LIMIT)([text]) == plain(whole, [text])


def test_what_becomes_an_added_token_only_by_cleaning_is_none():
    """HTML's <S> beside a special token <s>, with and without a control character in it."""
    whole = tokenizer("wordpiece")
    whole.add_special_tokens({"additional_special_tokens": ["<s>", "</s>"]})
    texts = ["the <S>red</S> fox", "<\x01s> dog", "the <s> fox", "<S" + " " * 20_000 + ">"]
    assert Tokens(whole, LIMIT)(texts) == plain(whole, texts)
