"""Documents as a tokenizer sees them: always text."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.seams import PermanentError
from datashop_assets_tests.tiny_models import make_tiny_llama
from resources.raters.chat_tokens import as_text, encodable, level_tokens, marker_pattern, token_ids, token_spans


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A byte-level tokenizer whose one special token is `<eos>`."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(make_tiny_llama(tmp_path_factory.mktemp("tiny")))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("before<eos>after", id="a marker"),
        pytest.param("<eos><eos>", id="two markers side by side"),
        pytest.param("<<eos>eos>", id="a marker inside the pieces of another"),
        pytest.param("<e<eos>os>", id="a marker that splits another"),
        pytest.param("\ud800<eos>", id="a marker behind a lone surrogate"),
    ],
)
def test_a_marker_in_a_document_is_never_the_special_token(tokenizer: Any, content: str) -> None:
    markers = marker_pattern(tokenizer)
    assert tokenizer.eos_token_id in token_ids(tokenizer, encodable(content)), "the case tests nothing otherwise"
    assert tokenizer.eos_token_id not in token_ids(tokenizer, as_text(content, markers))


def test_text_without_markers_is_left_as_it_is(tokenizer: Any) -> None:
    for content in ("plain", "a < b and <b>bold</b>", "{{ braces }} {% raw %}", "nul \0 byte", ""):
        assert as_text(content, marker_pattern(tokenizer)) == content


@given(text=st.text(alphabet=st.characters(exclude_categories=())))
def test_any_text_can_be_encoded_and_keeps_its_length(text: str) -> None:
    clean = encodable(text)
    assert len(clean) == len(text)
    assert clean.encode("utf-8").decode("utf-8") == clean


@given(text=st.text(alphabet=st.characters(exclude_categories=()), max_size=60))
def test_the_spans_go_through_the_whole_text_in_order(tokenizer: Any, text: str) -> None:
    spans = token_spans(tokenizer, text)
    ends = [0, *(end for _, end in spans)]
    for (start, end), before in zip(spans, ends, strict=False):
        assert start <= before, "no character is left out"
        assert before <= end, "in order"
    assert ends[-1] == len(text)


def test_each_way_to_say_a_level_counts(tokenizer: Any) -> None:
    """The tokenizer was trained on `Answer: A B C D`, so ` A` and `A` are both tokens."""
    found = level_tokens(tokenizer, ("A", "B"))
    spoken = {level: {tokenizer.decode([number]) for number in numbers} for level, numbers in found.items()}
    assert spoken == {"A": {"A", " A"}, "B": {"B", " B"}}


def test_a_level_of_several_tokens_is_refused_by_name(tokenizer: Any) -> None:
    with pytest.raises(PermanentError, match=r"\['excellent'\].*score_only"):
        level_tokens(tokenizer, ("A", "excellent"))
