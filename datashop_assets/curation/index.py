"""The nearest rows of unit vectors: exactly, or above a size from a graph index whose misses can be measured.

What belongs here: the search. What does not: which rows are one text, and what is asked of neighbours
(`neighbours.py`).

The index is a hierarchical navigable small world graph (Malkov and Yashunin, "Efficient and Robust Approximate Nearest
Neighbor Search Using Hierarchical Navigable Small World Graphs", TPAMI 2020) of faiss, which builds it from 1.15.1 on
without locks (Dobson et al., "Scaling Graph-Based ANNS Algorithms to Billion-Size Datasets: A Comparative Analysis",
2023): the same rows in the same order give the same neighbours, on any number of threads.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]

# A search makes up to this number squared comparisons exactly. On vectors of 384 dimensions of real texts that takes
# what the index does: 30,000 rows 8 processor seconds, so 50,000 some 23, and by the index 60,000 rows some 25.
EXACT_ROWS = 50_000
# Links of a row, rows that are looked at for a row's links, and for its neighbours. On 100,000 real texts 24, 80 and 96
# give a recall of .984 and these .989 in as much time; on 300,000 .987. Of 20,000, in processor seconds to a recall of
# .98 or a little more: faiss 4, hnswlib 4 (whose graph depends on how its threads race), usearch 5 in bfloat16 and 9 in
# float32; an inverted file finds .93 in 5, with product quantisation and re-ranking .965 in 3.
LINKS, LOOKED_AT_TO_LINK, LOOKED_AT = 32, 100, 64
BLOCK = 256


def is_exact(queries: int, rows: int, exact_rows: int = EXACT_ROWS) -> bool:
    """Whether so many rows' neighbours among so many are searched for exactly."""
    return queries * rows <= exact_rows**2


def nearest_rows(unit: Vectors, queries: Rows, k: int, exact_rows: int = EXACT_ROWS) -> tuple[Rows, Vectors]:
    """The k nearest other rows of the `queries` (row numbers) and their cosines, of shape [queries, k], nearest first.

    `unit`: of shape [rows, dimension], each of length 1, more than k rows. Exact where `is_exact` says so.
    """
    if is_exact(len(queries), len(unit), exact_rows):
        return nearest_exactly(unit, queries, k)
    import faiss

    index = faiss.IndexHNSWFlat(unit.shape[1], LINKS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction, index.hnsw.efSearch = LOOKED_AT_TO_LINK, max(LOOKED_AT, 2 * k)
    index.add(unit)
    cosine, rows = index.search(_of(unit, queries), k + 1)
    found, near = _others(queries, rows, cosine)
    # Rows from which too few others can be reached in the graph: many equal vectors link to each other alone.
    lost = np.flatnonzero((found < 0).any(axis=1))
    if len(lost):
        found[lost], near[lost] = nearest_exactly(unit, queries[lost], k)
    return found, near


def nearest_exactly(unit: Vectors, queries: Rows, k: int) -> tuple[Rows, Vectors]:
    """The same, by comparing each of the queries with all rows, in blocks."""
    import faiss

    cosine, rows = faiss.knn(_of(unit, queries), unit, k + 1, metric=faiss.METRIC_INNER_PRODUCT)
    return _others(queries, rows, cosine)


def rows_within(unit: Vectors, queries: Rows, cosine: float) -> Iterator[tuple[Rows, Rows]]:
    """All pairs of one of the `queries` and another row that are nearer than `cosine`, exactly, block by block."""
    for start in range(0, len(queries), BLOCK):
        some = queries[start : start + BLOCK]
        ours, others = np.nonzero(unit[some] @ unit.T > cosine)
        apart = some[ours] != others
        yield some[ours[apart]], others[apart]


def _others(queries: Rows, rows: Rows, cosine: Vectors) -> tuple[Rows, Vectors]:
    """The same without each row itself, or without the last where as many equal ones came before it."""
    other = rows != queries[:, None]
    other[other.all(axis=1), -1] = False
    shape = len(rows), rows.shape[1] - 1
    return rows[other].reshape(shape).astype(np.int64), cosine[other].reshape(shape)


def _of(unit: Vectors, queries: Rows) -> Vectors:
    """The queries' vectors; without a copy where all rows are asked for."""
    return unit if np.array_equal(queries, np.arange(len(unit))) else unit[queries]
