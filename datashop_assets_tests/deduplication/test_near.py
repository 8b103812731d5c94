"""Which documents are near duplicates of earlier ones: groups, order, and what a later document can change."""

import random

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from datashop_assets.deduplication.exact import exact_duplicates
from datashop_assets.deduplication.minhash import minhashes
from datashop_assets.deduplication.near import MOST_OF_A_BAND, candidates, near_duplicates
from datashop_assets.deduplication_settings import NearDuplicateSettings
from datashop_assets_tests.deduplication.real_documents import edited, jaccard, real_texts

NEAR = NearDuplicateSettings()


def signed(texts: list[str]) -> pl.DataFrame:
    positions = pl.int_range(len(texts), dtype=pl.Int64, eager=True).alias("position")
    ids = pl.format("d{}", "position").alias("id")
    return minhashes(texts, NEAR).with_columns(positions).with_columns(ids)


def judged(texts: list[str], slices: int = 1) -> dict[int, int]:
    """Position -> position of what it is a near duplicate of."""
    rows = signed(texts)
    size = -(-len(texts) // slices)
    parts = [rows.slice(at, size) for at in range(0, len(texts), size)]
    found = near_duplicates(rows, reversed(parts), lambda at: rows.filter(pl.col("position").is_in(at.implode())), 0.75)
    assert [f"d{of}" for of in found["of"]] == found["of_id"].to_list()
    return dict(found.select("position", "of").iter_rows())


# Some texts, some of them copies with few edits: (which text, which edit).
COLLECTIONS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=14)


def collection(parts: list[tuple[int, int]]) -> list[str]:
    return [edited(real_texts(300)[text], 0.01 * edit, edit) for text, edit in parts]


@settings(max_examples=30, deadline=None)
@given(COLLECTIONS, st.integers(1, 5))
def test_verdicts_do_not_depend_on_how_documents_are_sliced(parts: list[tuple[int, int]], slices: int) -> None:
    assert judged(collection(parts), slices) == judged(collection(parts))


@settings(max_examples=30, deadline=None)
@given(COLLECTIONS, COLLECTIONS)
def test_what_comes_later_changes_no_verdict(first: list[tuple[int, int]], later: list[tuple[int, int]]) -> None:
    before = judged(collection(first))
    after = judged(collection(first + later))
    assert {position: of for position, of in after.items() if position < len(first)} == before


@settings(max_examples=30, deadline=None)
@given(COLLECTIONS)
def test_a_duplicate_is_of_an_earlier_document_and_equal_texts_always_are(parts: list[tuple[int, int]]) -> None:
    found = judged(collection(parts))
    assert all(of < position for position, of in found.items())
    seen: set[tuple[int, int]] = set()
    for position, part in enumerate(parts):
        assert position in found or part not in seen
        seen.add(part)


@settings(max_examples=20, deadline=None)
@given(COLLECTIONS, st.randoms(use_true_random=False))
def test_the_asked_documents_may_stand_in_any_order(parts: list[tuple[int, int]], chance: random.Random) -> None:
    rows = signed(collection(parts))
    mixed = rows.sample(fraction=1, shuffle=True, seed=chance.randrange(100))
    lookup = lambda at: rows.filter(pl.col("position").is_in(at.implode()))  # noqa: E731
    assert near_duplicates(mixed, [mixed], lookup, 0.75).equals(near_duplicates(rows, [rows], lookup, 0.75))


def test_of_a_chain_of_likenesses_only_the_first_is_kept() -> None:
    words = real_texts(300)[7].split()[:60] + real_texts(300)[9].split()[:60]
    # 120 words, of which each next version has seven others at its end than the one before
    versions = [" ".join(words[7 * step :] + [f"new{number}" for number in range(7 * step)]) for step in range(4)]
    assert jaccard(versions[0], versions[1], 5) > 0.75
    assert jaccard(versions[0], versions[3], 5) < 0.7
    assert sorted(judged(versions)) == [1, 2, 3]


def test_the_most_similar_earlier_document_is_named_and_the_earliest_of_several() -> None:
    text = real_texts(300)[3]
    assert judged([edited(text, 0, 1), text, text, text]) == {1: 0, 2: 1, 3: 1}


def test_of_a_band_that_many_share_the_earliest_are_looked_at() -> None:
    rows = pl.DataFrame({"position": range(100), "keys": [[7]] * 100}, schema_overrides={"position": pl.Int64})
    pairs = candidates(rows, [rows.slice(50), rows.slice(0, 50)])
    assert set(pairs["of"]) == set(range(MOST_OF_A_BAND))
    assert pairs.height == MOST_OF_A_BAND * 100 - MOST_OF_A_BAND * (MOST_OF_A_BAND + 1) // 2


def test_equal_texts_are_duplicates_of_the_first_whatever_the_slices() -> None:
    rows = pl.DataFrame(
        {"position": [0, 1, 2, 3, 4], "id": ["a", "b", "c", "d", "e"], "text_sha": ["x", "y", "x", "x", "z"]},
        schema_overrides={"position": pl.Int64},
    )
    expected = [(2, 0, "a", 1.0), (3, 0, "a", 1.0)]
    for slices in ([rows], [rows.slice(2), rows.slice(0, 2)]):
        assert exact_duplicates(rows.select("position", "text_sha"), slices).rows() == expected
