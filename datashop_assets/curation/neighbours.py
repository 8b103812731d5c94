"""Which documents lie nearest to which, twins counted once.

What belongs here: the search over vectors, groups of near-duplicates, rareness. What does not: what neighbours say of
a rating (`transition.py`, `correction.py`), where vectors come from (`embedding/`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
# Rows of one block of the search: 256 x 300,000 similarities in float32 are 0.3 GB, their order another 0.6.
BLOCK = 256
# Texts nearer than this (cosine distance) are one text for a vote: the same page with another date, the same licence.
TWIN_DISTANCE = 0.01


class VectorError(ValueError):
    """Vectors that have no direction; the message says which rows."""


@dataclass(frozen=True)
class Neighbourhood:
    """The nearest groups of each row's own group.

    `group` is each row's group, of shape [rows], numbered from 0 in the order of their first rows. `nearest` and
    `distance` (cosine) are of shape [groups, k], nearest first, ties by number. No group is its own neighbour, and none
    stands twice in a line: k neighbours are k independent texts.
    """

    group: NDArray[np.int64]
    nearest: NDArray[np.int64]
    distance: NDArray[np.float32]

    @property
    def rareness(self) -> NDArray[np.float32]:
        """Of each row: the mean cosine distance to its group's k nearest. The higher, the rarer."""
        rare: NDArray[np.float32] = self.distance.mean(axis=1)[self.group]
        return rare


def neighbourhood(
    vectors: Vectors, texts: Sequence[str], k: int, *, twin_distance: float = TWIN_DISTANCE, block: int = BLOCK
) -> Neighbourhood:
    """The k nearest groups of every group of rows, exactly, by cosine.

    Rows with the same text (`texts`: any identity of it) are one group, and so are those whose vectors are nearer than
    `twin_distance`, directly or through others. A group lies where its first row does. The order of the rows decides
    nothing but the numbers of the groups. In memory are the vectors twice, and `block` lines of similarities.

    Raises VectorError for rows that are zero or not finite, and ValueError where there are k groups or fewer.
    """
    unit = _unit(vectors)
    _, first, text = np.unique(np.asarray(texts), return_index=True, return_inverse=True)
    order = np.argsort(first)  # by first row instead of by text
    number = np.empty_like(order)
    number[order] = np.arange(len(order))
    members = _joined(unit[first[order]], twin_distance, block)
    group = members[number[text]]
    heads = np.unique(group, return_index=True)[1]
    if len(heads) <= k:
        raise ValueError(f"{len(heads)} independent texts have no {k} neighbours each; rate more documents")
    nearest, similarity = _search(unit[heads], k, block)
    return Neighbourhood(group, nearest, np.maximum(0, 1 - similarity))


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors.astype(np.float32), axis=1, keepdims=True)
    bad = np.flatnonzero(~np.isfinite(lengths[:, 0]) | (lengths[:, 0] == 0))
    if len(bad):
        raise VectorError(f"{len(bad)} vectors are zero or not finite, e.g. of rows {bad[:5].tolist()}; leave them out")
    return np.asarray(vectors / lengths, dtype=np.float32)


def _joined(unit: Vectors, twin_distance: float, block: int) -> NDArray[np.int64]:
    """The number of each row's group of twins: connected components of the pairs that are near enough."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    labels = np.arange(len(unit))
    for start in range(0, len(unit), block):
        similarity = unit[start : start + block] @ unit[start:].T
        rows, columns = np.nonzero(similarity > 1 - twin_distance)
        apart = columns > rows
        if apart.any():  # joined at once: a thousand copies of a page are half a million pairs
            pairs = labels[rows[apart] + start], labels[columns[apart] + start]
            graph = coo_array((np.ones(len(pairs[0]), np.int8), pairs), shape=(len(unit), len(unit)))
            labels = connected_components(graph, directed=False)[1][labels]
    first = np.unique(labels, return_index=True)[1]
    number = np.empty(len(first), np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    return number[labels]


def _search(unit: Vectors, k: int, block: int) -> tuple[NDArray[np.int64], Vectors]:
    nearest = np.empty((len(unit), k), np.int64)
    found = np.empty((len(unit), k), np.float32)
    for start in range(0, len(unit), block):
        similarity = unit[start : start + block] @ unit.T
        own = np.arange(len(similarity))
        similarity[own, start + own] = -np.inf
        best = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
        values = np.take_along_axis(similarity, best, axis=1)
        order = np.lexsort((best, -values), axis=1)
        nearest[start : start + block] = np.take_along_axis(best, order, axis=1)
        found[start : start + block] = np.take_along_axis(values, order, axis=1)
    return nearest, found
