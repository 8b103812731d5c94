"""Which documents lie nearest to which, twins counted once.

What belongs here: groups of near-duplicates, each group's nearest others, rareness. What does not: the search itself
(`index.py`), what neighbours say of a rating (`transition.py`, `correction.py`), where vectors come from
(`embedding/`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datashop_assets.curation.index import (
    EXACT_ROWS,
    Rows,
    Vectors,
    is_exact,
    nearest_exactly,
    nearest_rows,
    rows_within,
)
from datashop_assets.curation.transition import PoolTooSmallError
from datashop_assets.lineage import stable_fraction

# Texts nearer than this (cosine distance) are one text for a vote: the same page with another date, the same licence.
TWIN_DISTANCE = 0.01
# So many more neighbours than wanted are searched for at first, since twins among them are none. Of 290,162 groups of
# 300,000 real texts 2,509 have to be searched for once more with it, in a tenth of the first search's time.
RESERVE = 10
# Groups whose neighbours are compared with the exact ones: the recall's standard error is below .003.
SAMPLE = 1000
NONE = -1


class VectorError(ValueError):
    """Vectors that have no direction; the message says which rows."""


@dataclass(frozen=True)
class Neighbourhood:
    """The nearest groups of each row's own group.

    `group` is each row's group, of shape [rows], numbered from 0 in the order of their first rows. `nearest` and
    `distance` (cosine) are of shape [groups, k], nearest first. No group is its own neighbour, and none stands twice
    in a line: k neighbours are k independent texts.

    `recall`: the share of the k nearest that was found, and `twins_missed`: the share of groups whose nearest is a twin
    that should have been one with it; both of a sample of SAMPLE groups, and None where the search was exact.
    """

    group: NDArray[np.int64]
    nearest: NDArray[np.int64]
    distance: NDArray[np.float32]
    recall: float | None = None
    twins_missed: float | None = None

    @property
    def rareness(self) -> NDArray[np.float32]:
        """Of each row: the mean cosine distance to its group's k nearest. The higher, the rarer."""
        rare: NDArray[np.float32] = self.distance.mean(axis=1)[self.group]
        return rare


def neighbourhood(
    vectors: Vectors,
    texts: Sequence[str],
    k: int,
    *,
    twin_distance: float = TWIN_DISTANCE,
    exact_rows: int = EXACT_ROWS,
    seed: int = 0,
) -> Neighbourhood:
    """The k nearest groups of every group of rows, by cosine.

    Rows with the same text (`texts`: any identity of it) are one group, and so are those whose vectors are nearer than
    `twin_distance`, directly or through others. A group lies where one of its texts does. Which one, and in which
    order texts enter an index, is decided by a hash of the texts and the seed: the order of the rows decides nothing
    but the numbers of the groups.

    Up to `exact_rows` texts, groups and neighbours are exactly these. Above, an index finds them: neighbours are still
    k others of which none is a twin of its group's text, and their distances are exact, but some nearer ones may be
    missing, and some twins stand in two groups. `recall` and `twins_missed` say how many.

    In memory are the vectors at most twice over besides the caller's. Raises VectorError for rows that are zero
    or not finite, and PoolTooSmallError where there are k groups or fewer.
    """
    _refuse_without_direction(vectors)
    first, text = _distinct(texts, seed)
    unit = np.asarray(vectors[first], dtype=np.float32)
    unit /= np.sqrt(_squared_lengths(unit))[:, None]
    exact = is_exact(len(unit), len(unit), exact_rows)
    member, unit, nearest, cosine = _independent(unit, k, 1 - twin_distance, exact_rows)
    recall, twins_missed = (None, None) if exact else _compared(unit, nearest, 1 - twin_distance, seed)
    of_rows = member[text]
    group, first_row = _numbered(of_rows)
    order = of_rows[first_row]
    return Neighbourhood(
        group, np.argsort(order)[nearest[order]], np.maximum(0, 1 - cosine[order]), recall, twins_missed
    )


def _squared_lengths(vectors: Vectors) -> Vectors:
    squared: Vectors = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float32)  # norm() would copy all vectors
    return squared


def has_direction(vectors: Vectors) -> NDArray[np.bool_]:
    """Which vectors are finite and not zero: the others are near to nothing."""
    lengths = _squared_lengths(vectors)
    return np.asarray(np.isfinite(lengths) & (lengths > 0))


def _refuse_without_direction(vectors: Vectors) -> None:
    bad = np.flatnonzero(~has_direction(vectors))
    if len(bad):
        raise VectorError(f"{len(bad)} vectors are zero or not finite, e.g. of rows {bad[:5].tolist()}; leave them out")


def _distinct(texts: Sequence[str], seed: int) -> tuple[Rows, Rows]:
    """The first row of each text, texts in an order of their own, and of each row the number of its text."""
    numbers: dict[str, int] = {}
    text = np.array([numbers.setdefault(each, len(numbers)) for each in texts], np.int64)
    order = np.argsort([stable_fraction(f"{seed}/{each}") for each in numbers], kind="stable")
    first = np.unique(text, return_index=True)[1]
    return first[order], np.argsort(order)[text]


def _independent(unit: Vectors, k: int, twin: float, exact_rows: int) -> tuple[Rows, Vectors, Rows, Vectors]:
    """Of each text its group, and of each group the vector of its first text, its k nearest groups and their cosines.

    Twins are joined as the search comes upon them, and then only the groups' first texts, the heads, count. Heads that
    by this have fewer than k neighbours left are searched for again among heads, until none is.
    """
    group = np.arange(len(unit))
    asked = group
    nearest = np.full((len(unit), k), NONE, np.int64)
    cosine = np.zeros((len(unit), k), np.float32)
    while len(asked):
        if len(unit) <= k:
            raise PoolTooSmallError(f"{len(unit)} independent texts have no {k} neighbours each; rate more documents")
        found, near = nearest_rows(unit, asked, min(k + RESERVE, len(unit) - 1), exact_rows)
        joined, heads = _numbered(_joined(unit, asked, found, near, twin, exact_rows))
        number = np.full(len(unit) + 1, NONE, np.int64)  # of each head its new one; the last is that of NONE
        number[heads] = np.arange(len(heads))
        nearest, cosine = _first(number[nearest], cosine, k)
        nearest[asked], cosine[asked] = _first(number[found], near, k)
        group = joined[group]
        if len(heads) < len(unit):
            unit, nearest, cosine = unit[heads], nearest[heads], cosine[heads]
        asked = np.flatnonzero((nearest == NONE).any(axis=1))
    return group, unit, nearest, cosine


def _compared(unit: Vectors, nearest: Rows, twin: float, seed: int) -> tuple[float, float]:
    """Of a sample of the groups: the share of their k nearest that was found, and that of groups apart from a twin."""
    k = nearest.shape[1]
    sample = np.random.default_rng(seed).choice(len(unit), min(SAMPLE, len(unit)), replace=False)
    true, cosine = nearest_exactly(unit, sample, k)
    found = (nearest[sample][:, :, None] == true[:, None, :]).sum()
    return float(found) / true.size, float(np.mean(cosine[:, 0] > twin))


def _first(rows: Rows, cosine: Vectors, k: int) -> tuple[Rows, Vectors]:
    """The first k of each line that are there, in their order; NONE at its end where they are fewer."""
    there_first = np.argsort(rows == NONE, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(rows, there_first, axis=1), np.take_along_axis(cosine, there_first, axis=1)


def _joined(unit: Vectors, asked: Rows, found: Rows, near: Vectors, twin: float, exact_rows: int) -> Rows:
    """A label of each row, the same for twins and twins of twins among what the `asked` rows' search found.

    A row of whose neighbours all are twins may have more of them. They are looked up where that costs no more than an
    exact search may; else they are among the heads of the next search.
    """
    lines, places = np.nonzero(near > twin)
    labels = _components(np.arange(len(unit)), asked[lines], found[lines, places])
    full = asked[(near > twin).all(axis=1)] if found.shape[1] < len(unit) - 1 else asked[:0]
    if is_exact(len(full), len(unit), exact_rows):
        for ours, others in rows_within(unit, full, twin):
            labels = _components(labels, ours, others)
    return labels


def _components(labels: Rows, ours: Rows, others: Rows) -> Rows:
    """The labels after each of our rows is joined with the other."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    apart = labels[ours] != labels[others]
    if not apart.any():
        return labels
    pairs = labels[ours[apart]], labels[others[apart]]
    graph = coo_array((np.ones(len(pairs[0]), np.int8), pairs), shape=(len(labels), len(labels)))
    joined: Rows = connected_components(graph, directed=False)[1][labels].astype(np.int64)
    return joined


def _numbered(labels: Rows) -> tuple[Rows, Rows]:
    """The labels renumbered from 0 in the order in which they occur first, and where each does."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    order = np.argsort(first)
    return np.argsort(order)[inverse], first[order]
