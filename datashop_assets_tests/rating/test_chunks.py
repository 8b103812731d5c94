"""Long documents: what is judged of them, and that nothing gets lost on the way."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.rating.chunks import aggregate, chunks
from datashop_assets.rating.lens import Chunking


def words(text: str) -> list[tuple[int, int]]:
    return [found.span() for found in re.finditer(r"\S+", text)]


def several_tokens_a_character(text: str) -> list[tuple[int, int]]:
    """As byte-level tokenizers do: as many tokens as a character has bytes, all at its place; none for a space."""
    return [(n, n + 1) for n, char in enumerate(text) if char != " " for _ in char.encode()]


TEXT = " ".join(f"w{number}" for number in range(100))


@pytest.mark.parametrize(
    ("chunking", "expected"),
    [
        pytest.param(Chunking("whole", tokens=1), [TEXT], id="whole, however long"),
        pytest.param(Chunking("head", tokens=2), ["w0 w1 "], id="head"),
        pytest.param(Chunking("head", tokens=100), [TEXT], id="head of a short text"),
        pytest.param(Chunking("windows", tokens=100), [TEXT], id="one window is enough"),
        pytest.param(Chunking("windows", tokens=1, windows=1), ["w49 "], id="one window of a long text: its middle"),
        pytest.param(Chunking("windows", tokens=2, windows=2), ["w32 w33 ", "w66 w67 "], id="gaps of even length"),
    ],
)
def test_a_text_is_cut_at_tokens(chunking: Chunking, expected: list[str]) -> None:
    assert chunks(TEXT, chunking, words) == expected


def test_windows_of_a_text_that_fits_are_of_even_length() -> None:
    lengths = [len(words(part)) for part in chunks(TEXT, Chunking("windows", tokens=60, windows=3), words)]
    assert lengths == [50, 50]


@pytest.mark.parametrize("strategy", ["whole", "head", "windows"])
@pytest.mark.parametrize("text", ["", " \n\t\u2003"], ids=["empty", "white space"])
def test_nothing_of_an_empty_text_is_judged(text: str, strategy: str) -> None:
    assert chunks(text, Chunking(strategy), words) == []  # type: ignore[arg-type]


TEXTS = st.text(alphabet="ab é漢🙂 ", min_size=1, max_size=60).filter(lambda text: bool(text.strip()))
# From four on, the tokens of one character always fit into a window.
TOKENS, WINDOWS = st.integers(4, 12), st.integers(1, 5)


@given(TEXTS, TOKENS, WINDOWS)
def test_a_text_that_fits_into_the_windows_is_covered_whole(text: str, tokens: int, windows: int) -> None:
    parts = chunks(text, Chunking("windows", tokens, windows), several_tokens_a_character)
    count = len(several_tokens_a_character(text))
    if count <= tokens * windows:
        assert "".join(parts) == text
        # A window more than asked for only where characters of several tokens stand at the cuts.
        assert len(parts) <= windows or not text.isascii()


# No character stands twice, so that a part says where it comes from.
UNIQUE = st.lists(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60, unique=True).map("".join)


@given(UNIQUE, TOKENS, WINDOWS)
def test_windows_stand_in_order_do_not_overlap_and_are_not_too_long(text: str, tokens: int, windows: int) -> None:
    parts = chunks(text, Chunking("windows", tokens, windows), several_tokens_a_character)
    assert all(len(several_tokens_a_character(part)) <= tokens for part in parts)
    places = [text.index(part) for part in parts]
    assert all(start + len(part) <= after for start, part, after in zip(places, parts, places[1:], strict=False))


@given(st.integers(1, 200), st.integers(1, 20), st.integers(1, 6))
def test_a_long_text_gives_as_many_full_windows_as_asked_for_with_even_gaps(
    length: int, tokens: int, windows: int
) -> None:
    text = " ".join(f"w{number}" for number in range(length))
    parts = chunks(text, Chunking("windows", tokens, windows), words)
    if length <= tokens * windows:
        return
    assert [len(part.split()) for part in parts] == [tokens] * windows
    numbers = [[int(word[1:]) for word in part.split()] for part in parts]
    bounds = [-1, *(number for part in numbers for number in (part[0], part[-1])), length]
    gaps = [after - before - 1 for before, after in pairwise(bounds)][::2]
    assert max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize(("how", "expected"), [("mean", 2.0), ("min", 1.0), ("max", 4.0)])
def test_parts_become_one_score_as_the_lens_says(how: str, expected: float) -> None:
    assert aggregate([1, 1, 4], Chunking("windows", aggregate=how)) == expected  # type: ignore[arg-type]
