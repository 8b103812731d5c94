"""Tokens for training: the same as annealing makes, whatever a text holds, and named by what the tokenizer does."""

from pathlib import Path

import pytest

import datashop_assets.tokens
from datashop_assets.annealing.packing import DocumentEncoder
from datashop_assets.tokens import TextTokenizer
from datashop_assets_tests.filtering.tokenizers_for_tests import save_as_model, small_tokenizer

TEXTS = ["plain", "", "</s>", "a </s> b", "line\r\n\u2028\x00 😀 é", "long " * 50]


@pytest.mark.parametrize("at_once", [1, 7, 10**6], ids=["text by text", "some at once", "all at once"])
def test_releases_and_annealing_make_the_same_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(datashop_assets.tokens, "CHARS_AT_ONCE", at_once)
    annealing = DocumentEncoder(save_as_model(tmp_path / "model"), 10_000)
    made = [ids.tolist() for ids in small_tokenizer().encode(TEXTS)]
    assert made == [annealing.encode(text) for text in TEXTS]


def test_an_id_names_what_the_tokenizer_does() -> None:
    assert small_tokenizer().id == small_tokenizer().id
    assert small_tokenizer().id != small_tokenizer(extra_words=1).id


def test_a_tokenizer_without_an_end_of_text_is_refused() -> None:
    tokenizer = small_tokenizer().tokenizer
    tokenizer.eos_token = None
    with pytest.raises(ValueError, match="names no EOS token"):
        TextTokenizer("none", tokenizer)
