"""Exact nearest neighbors by cosine distance: the truth that a forest is measured by, and the answer without a forest.

A matrix product, quick but rounded in float32, only decides which rows get an exact distance.
Vectors are ``(n, d)`` float32 without zero or non-finite rows; they may be memory-mapped.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import tiles
from . import vectors as vec
from .blocks import Blocks
from .neighbors import first_of_each

Matrix = NDArray[np.float32]
Rows = NDArray[np.int64]
Distances = NDArray[np.float64]

# Above the rounding of a float32 product of unit vectors: below 2e-6 was seen at 25,088 values.
_SLACK = 1e-5


def distances(vectors: Matrix, query: NDArray[Any], rows: Rows) -> Distances:
    """Return the cosine distances ``(m,)``, in [0, 2], of a vector ``(d,)`` to ``rows`` of ``vectors``."""
    result = np.empty(len(rows), dtype=np.float64)
    for part in vec.chunks(len(rows), vectors.shape[1]):
        both = np.vstack([query[np.newaxis], vectors[rows[part]]])
        others = np.arange(1, len(both))
        result[part] = vec.between(both, np.zeros_like(others), others)
    return result


def rank(vectors: Matrix, query: NDArray[Any], k: int, candidates: Rows) -> tuple[Rows, Distances]:
    """Return the ``k`` nearest candidates and their distances, nearest first, ties by row number."""
    found = distances(vectors, query, candidates)
    order = np.lexsort((candidates, found))[:k]
    return candidates[order], found[order]


def nearest(
    vectors: Matrix,
    lengths: NDArray[np.floating[Any]],
    query: NDArray[Any],
    k: int,
    rows: Rows | None = None,
) -> tuple[Rows, Distances]:
    """Return the ``k`` nearest rows to a vector and their distances; O(nd) time.

    Args:
        vectors: ``(n, d)``
        lengths: ``(n,)``, the lengths of ``vectors``
        query: ``(d,)``, of any length but zero
        k: number of rows; fewer are returned where there are fewer
        rows (None): ascending, the rows to choose from; all when None
    """
    everything = np.arange(len(vectors)) if rows is None else rows
    direction = vec.normalise(query[np.newaxis])[0]
    return rank(vectors, query, k, everything[_worth(_rough(vectors, lengths, direction, rows), k)])


def each_nearest(vectors: Matrix, k: int) -> Iterator[tuple[Rows, Distances]]:
    """Yield for every row its ``k`` nearest other rows and their distances; O(n^2 d) time, O(n (d + k)) memory."""
    n, k = len(vectors), min(k, len(vectors) - 1)
    if k < 1:
        yield from ((np.empty(0, dtype=np.int64), np.empty(0)) for _ in range(n))
        return
    found: list[tuple[Rows, Rows, Distances]] = []
    within = np.full(n, np.inf)
    blocks = Blocks(vectors, "cosine", np.arange(n))
    for answer in tiles.compare(blocks, tiles.closest, lambda at: (k, within[at])):
        rows, _, distance = answer
        full = np.bincount(rows, minlength=n)[rows] == k
        farthest = np.zeros(n)
        np.maximum.at(farthest, rows, distance)
        within[rows[full]] = np.minimum(within, farthest)[rows[full]]
        found.append(answer)
        if sum(len(rows) for rows, _, _ in found) > 4 * n * k:
            found = [_merged(found, k)]
    _, cols, distance = _merged(found, k)
    yield from zip(cols.reshape(n, k), distance.reshape(n, k), strict=True)


def each_within(vectors: Matrix, radius: float) -> Iterator[Rows]:
    """Yield for every row the other rows at most ``radius`` away, ascending; O(n^2 d) time, memory as the answer's."""
    n = len(vectors)
    blocks = Blocks(vectors, "cosine", np.arange(n), sketch=True)
    found = list(tiles.compare(blocks, tiles.near, lambda _: (radius, n * n)))
    left, right = tiles.joined(found)
    rows, cols = np.concatenate([left, right]), np.concatenate([right, left])
    order = np.lexsort((cols, rows))
    yield from np.split(cols[order], np.searchsorted(rows[order], np.arange(1, n))) if n else []


def _merged(found: list[tuple[Rows, Rows, Distances]], k: int) -> tuple[Rows, Rows, Distances]:
    """Return the ``k`` nearest of each row, row by row."""
    rows, cols, distance = (np.concatenate(part) for part in zip(*found, strict=True))
    best = first_of_each(rows, cols, distance, k)
    return rows[best], cols[best], distance[best]


def _rough(
    vectors: Matrix, lengths: NDArray[np.floating[Any]], direction: Matrix, rows: Rows | None
) -> NDArray[Any]:
    """Return distances with float32 rounding; rows are gathered in chunks, since a selection may be large."""
    if rows is None:
        cosines: NDArray[Any] = (vectors @ direction) / lengths
        return 1.0 - cosines
    rough = np.empty(len(rows), dtype=np.float64)
    for part in vec.chunks(len(rows), vectors.shape[1]):
        rough[part] = 1.0 - (vectors[rows[part]] @ direction) / lengths[rows[part]]
    return rough


def _worth(rough: NDArray[Any], k: int) -> Rows:
    """Return the places that by their rough distance may be among the ``k`` nearest."""
    if k >= len(rough):
        return np.arange(len(rough))
    if k < 1:
        return np.empty(0, dtype=np.int64)
    limit = np.partition(rough, k - 1)[k - 1]
    return np.flatnonzero(rough <= limit + _SLACK)
