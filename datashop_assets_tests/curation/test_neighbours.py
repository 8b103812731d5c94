"""The nearest texts: exactly or by an index, each counted once, none of them its own."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from datashop_assets.curation.neighbours import Neighbourhood, VectorError, neighbourhood
from datashop_assets.curation.transition import PoolTooSmallError
from datashop_assets_tests.curation.clusters import clusters

TWIN = 0.05
EXACT, BY_INDEX = 50_000, 0


def names(count: int) -> list[str]:
    return [f"text {number}" for number in range(count)]


def groups_by_all_pairs(vectors: NDArray, texts: list[str], twin_distance: float) -> list[set[int]]:
    """The groups as their definition says, by comparing all pairs again and again."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    groups = [{row} for row in range(len(texts))]

    def one(ours: set[int], others: set[int]) -> bool:
        return any(texts[a] == texts[b] or 1 - unit[a] @ unit[b] < twin_distance for a in ours for b in others)

    while pair := next((pair for pair in combinations(groups, 2) if one(*pair)), None):
        groups = [group for group in groups if group not in pair] + [pair[0] | pair[1]]
    return sorted(groups, key=min)


def lines(found: Neighbourhood, texts: list[str]) -> dict[frozenset[str], list[frozenset[str]]]:
    """Of each group, by its texts, its neighbours by theirs: what does not depend on the rows' order."""
    members = [
        frozenset(texts[row] for row in np.flatnonzero(found.group == group)) for group in range(len(found.nearest))
    ]
    return {members[group]: [members[other] for other in line] for group, line in enumerate(found.nearest.tolist())}


@st.composite
def crowded(draw: st.DrawFn) -> tuple[NDArray, list[str]]:
    """Rows around fewer places, some of them twins, some with a text that another has too. Equal texts lie together."""
    random = np.random.default_rng(draw(st.integers(0, 9999)))
    count, places = draw(st.integers(8, 70)), draw(st.integers(5, 30))
    centres = random.normal(size=(places, draw(st.integers(3, 6))))
    text = random.integers(0, draw(st.integers(8, 80)), count)
    spread = draw(st.sampled_from([0.0, 0.02, 0.1, 0.5]))
    of_texts = centres[random.integers(0, places, 80)] + spread * random.normal(size=(80, centres.shape[1]))
    return of_texts[text].astype(np.float32), [f"text {number}" for number in text]


@pytest.mark.parametrize("exact_rows", [EXACT, BY_INDEX], ids=["exact", "by index"])
@settings(max_examples=60, deadline=None)
@given(rows=crowded(), k=st.integers(1, 3))
def test_groups_and_neighbours_are_those_that_comparing_all_pairs_gives(
    exact_rows: int, rows: tuple[NDArray, list[str]], k: int
) -> None:
    """An index finds all of so few rows, too: it looks at 64 of them."""
    vectors, texts = rows
    groups = groups_by_all_pairs(vectors, texts, TWIN)
    if len(groups) <= k:
        with pytest.raises(PoolTooSmallError, match=f"{len(groups)} independent texts have no {k} neighbours"):
            neighbourhood(vectors, texts, k, twin_distance=TWIN, exact_rows=exact_rows)
        return
    found = neighbourhood(vectors, texts, k, twin_distance=TWIN, exact_rows=exact_rows)
    assert [set(np.flatnonzero(found.group == group)) for group in range(len(groups))] == groups
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    for group, (line, distances) in enumerate(zip(found.nearest.tolist(), found.distance, strict=True)):
        assert group not in line
        assert len(set(line)) == k
        assert (np.diff(distances) >= 0).all()
        between = [1 - unit[sorted(groups[group])] @ unit[sorted(groups[other])].T for other in line]
        assert all(
            np.isclose(each, distance, atol=1e-5).any() for each, distance in zip(between, distances, strict=True)
        )
        # No group that is left out has all its rows nearer to all of ours than the last that is in.
        for other in set(range(len(groups))) - {group, *line}:
            assert (1 - unit[sorted(groups[group])] @ unit[sorted(groups[other])].T).max() >= distances[-1] - 1e-5


@pytest.mark.parametrize("exact_rows", [EXACT, BY_INDEX], ids=["exact", "by index"])
def test_without_twins_distances_are_those_of_all_pairs(exact_rows: int) -> None:
    vectors, _ = clusters(300)
    found = neighbourhood(vectors, names(300), 10, twin_distance=0.0, exact_rows=exact_rows)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    distances = 1 - unit @ unit.T
    np.fill_diagonal(distances, np.inf)
    assert (found.group == np.arange(300)).all()
    np.testing.assert_array_equal(found.nearest, np.argsort(distances, axis=1)[:, :10])
    np.testing.assert_allclose(found.distance, np.sort(distances, axis=1)[:, :10], atol=1e-5)


@pytest.mark.parametrize("exact_rows", [EXACT, BY_INDEX], ids=["exact", "by index"])
def test_copies_and_near_copies_of_a_text_are_one_neighbour(exact_rows: int) -> None:
    vectors, _ = clusters(40)
    near = vectors[:5] * 1.5 + np.float32(1e-3)
    found = neighbourhood(
        np.concatenate([vectors, vectors[:7], near]),
        [*names(40), *names(7), *names(45)[40:]],
        3,
        exact_rows=exact_rows,
    )
    assert found.group[40:47].tolist() == found.group[:7].tolist()
    assert found.group[47:].tolist() == found.group[:5].tolist()
    assert len(found.nearest) == 40
    alone = neighbourhood(vectors, names(40), 3, exact_rows=exact_rows)
    np.testing.assert_array_equal(found.nearest, alone.nearest)
    np.testing.assert_allclose(found.rareness[:40], alone.rareness, atol=1e-3)


@pytest.mark.parametrize("exact_rows", [EXACT, BY_INDEX], ids=["exact", "by index"])
def test_a_page_with_more_near_copies_than_are_looked_at_is_one_text(exact_rows: int) -> None:
    random = np.random.default_rng(0)
    page = random.normal(size=(1, 16)) + 1e-3 * random.normal(size=(300, 16))
    others, _ = clusters(60)
    vectors = np.concatenate([page, others]).astype(np.float32)
    found = neighbourhood(vectors, names(360), 5, exact_rows=exact_rows)
    assert (found.group[:300] == 0).all()
    assert len(found.nearest) == 61
    alone = neighbourhood(others, names(60), 5)
    own = (found.nearest[1:] == 0).any(axis=1)
    np.testing.assert_array_equal(found.nearest[1:][~own] - 1, alone.nearest[~own])


def test_near_copies_of_near_copies_are_one_text() -> None:
    angles = np.concatenate([np.arange(40) * 0.03, [2.0, 3.0, 4.0]])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    order = np.random.default_rng(3).permutation(43)
    group = neighbourhood(vectors[order], names(43), 2, twin_distance=0.0005).group
    assert len({group[place] for place in range(43) if order[place] < 40}) == 1
    assert len(set(group.tolist())) == 4


def test_two_crowds_that_touch_in_one_pair_are_one_text() -> None:
    """None of that pair's nearest is of the other crowd: an exact search looks up all twins of such rows."""
    angles = np.concatenate([np.linspace(0, 0.02, 60), np.linspace(0.05, 0.07, 60), [2.0, 3.0, 4.0]])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    found = neighbourhood(vectors, names(123), 2, twin_distance=1 - float(np.cos(0.0303)))
    assert found.group.tolist() == [0] * 120 + [1, 2, 3]


@pytest.mark.parametrize("exact_rows", [EXACT, BY_INDEX], ids=["exact", "by index"])
@settings(max_examples=30, deadline=None)
@given(rows=crowded(), seed=st.integers(0, 99))
def test_the_order_of_the_rows_decides_nothing(exact_rows: int, rows: tuple[NDArray, list[str]], seed: int) -> None:
    vectors, texts = rows
    if len(groups_by_all_pairs(vectors, texts, TWIN)) <= 2:
        return
    order = np.random.default_rng(seed).permutation(len(texts))
    plain = neighbourhood(vectors, texts, 2, twin_distance=TWIN, exact_rows=exact_rows)
    mixed_texts = [texts[row] for row in order]
    mixed = neighbourhood(vectors[order], mixed_texts, 2, twin_distance=TWIN, exact_rows=exact_rows)
    assert lines(plain, texts) == lines(mixed, mixed_texts)
    np.testing.assert_array_equal(mixed.rareness, plain.rareness[order])


def test_an_index_says_how_much_it_found_and_an_exact_search_has_nothing_to_say() -> None:
    vectors, _ = clusters(3000, dimension=32)
    exact = neighbourhood(vectors, names(3000), 5)
    found = neighbourhood(vectors, names(3000), 5, exact_rows=100)
    assert exact.recall is None
    assert exact.twins_missed is None
    assert found.twins_missed == 0
    share = np.mean([len(set(a) & set(b)) / 5 for a, b in zip(found.nearest, exact.nearest, strict=True)])
    assert found.recall == pytest.approx(share, abs=0.01)
    assert found.recall > 0.9


@pytest.mark.parametrize("exact_rows", [EXACT, BY_INDEX], ids=["exact", "by index"])
def test_texts_that_all_are_one_are_too_few(exact_rows: int) -> None:
    vectors = np.ones((300, 4), np.float32)
    for texts in (names(300), ["the same"] * 300):
        with pytest.raises(PoolTooSmallError, match="1 independent texts have no 3 neighbours"):
            neighbourhood(vectors, texts, 3, exact_rows=exact_rows)


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf], ids=["zero", "not a number", "infinite"])
def test_vectors_without_a_direction_are_refused_by_row(bad: float) -> None:
    vectors, _ = clusters(20)
    vectors[[3, 7]] = bad
    with pytest.raises(VectorError, match=r"2 vectors .* rows \[3, 7\]"):
        neighbourhood(vectors, names(20), 3)


@pytest.mark.parametrize(("rows", "texts"), [(3, 3), (8, 3)], ids=["few rows", "few texts in many rows"])
def test_fewer_texts_than_neighbours_are_an_error_that_says_so(rows: int, texts: int) -> None:
    vectors, _ = clusters(rows)
    with pytest.raises(PoolTooSmallError, match="3 independent texts have no 3 neighbours"):
        neighbourhood(vectors, [f"text {number % texts}" for number in range(rows)], 3)
