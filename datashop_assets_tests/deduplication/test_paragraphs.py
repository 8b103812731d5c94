"""Repeated paragraphs: which go, what is left, and what may repeat."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.deduplication.paragraphs import repeated_paragraphs, repeated_spans, without
from datashop_assets.deduplication_settings import RepeatedParagraphSettings

SETTINGS = RepeatedParagraphSettings(shortest=4)
LONG = "Ships of forty tons could lie there."
OTHER = "The herring came in May and stayed."


@pytest.mark.parametrize(
    ("text", "left"),
    [
        pytest.param(f"{LONG}\n\n{OTHER}\n\n{LONG}", f"{LONG}\n\n{OTHER}", id="the first stays"),
        pytest.param(f"{LONG}\n\n{LONG}\n\n{LONG}\n\n{OTHER}", f"{LONG}\n\n{OTHER}", id="one after the other"),
        pytest.param(f"{LONG}\n \n\n  SHIPS of forty tons\ncould lie there", LONG, id="case, signs and breaks"),
        pytest.param("Menu\n\nShip\n\nMenu\n\nShip", "Menu\n\nShip\n\nMenu\n\nShip", id="short ones may repeat"),
        pytest.param(f"{LONG}\n{OTHER}\n{LONG}", f"{LONG}\n{OTHER}\n{LONG}", id="lines are no paragraphs"),
        pytest.param("", "", id="an empty text"),
    ],
)
def test_all_but_the_first_go(text: str, left: str) -> None:
    assert without(text, repeated_spans(text, SETTINGS)) == left


def test_lines_are_compared_where_the_project_says_so() -> None:
    settings = RepeatedParagraphSettings(shortest=4, separator="line")
    text = f"{LONG}\n{OTHER}\n   {LONG}\nEnd"
    assert without(text, repeated_spans(text, settings)) == f"{LONG}\n{OTHER}\nEnd"


def test_a_document_of_which_too_little_would_be_left_is_rejected() -> None:
    texts = [f"{LONG}\n\n{OTHER}\n\n{LONG}", "\n\n".join([LONG] * 3)]
    rows = repeated_paragraphs(texts, SETTINGS)
    assert rows["reason"].to_list() == [None, "mostly_repeated"]
    assert rows["removed_share"].to_list() == pytest.approx([38 / 112, 76 / 112], abs=0.01)


PARAGRAPHS = st.lists(
    st.sampled_from([LONG, OTHER, "Short.", "", "Ein vierter Satz mit Wörtern — 魚", "  "]), max_size=9
)


@given(PARAGRAPHS, st.sampled_from(["\n\n", "\n \n", "\n\n\n", "\n"]))
def test_spans_ascend_do_not_touch_and_leave_nothing_to_remove(parts: list[str], between: str) -> None:
    text = between.join(parts)
    spans = repeated_spans(text, SETTINGS)
    edges = [edge for span in spans for edge in span]
    assert edges == sorted(set(edges))
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert repeated_spans(without(text, spans), SETTINGS) == []
