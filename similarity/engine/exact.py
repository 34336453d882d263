"""Exact nearest neighbors by cosine distance: the truth a forest is measured by, and the answer without one.

A matrix product, quick but rounded in float32, only ever decides which rows are worth an exact distance.
Vectors are ``(n, d)`` float32 without zero or non-finite rows; they may be memory-mapped.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import vectors as vec

Matrix = NDArray[np.float32]
Rows = NDArray[np.int64]
Distances = NDArray[np.float64]

# Above the rounding of a float32 product of unit vectors: below 2e-6 was seen at 25,088 values.
_SLACK = 1e-5
_BLOCK_VALUES = 16_000_000


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
        k: how many; fewer are returned where there are fewer
        rows (None): ascending, the rows to choose from; all when None
    """
    everything = np.arange(len(vectors)) if rows is None else rows
    direction = vec.normalise(query[np.newaxis])[0]
    return rank(vectors, query, k, everything[_worth(_rough(vectors, lengths, direction, rows), k)])


def each_nearest(vectors: Matrix, k: int) -> Iterator[tuple[Rows, Distances]]:
    """Yield for every row its ``k`` nearest other rows and their distances; O(n^2 d) time, O(nd) memory."""
    for row, rough in _each_rough(vectors):
        candidates = _worth(rough, min(k, len(vectors) - 1))
        yield rank(vectors, vectors[row], k, candidates[candidates != row])


def each_within(vectors: Matrix, radius: float) -> Iterator[Rows]:
    """Yield for every row the other rows at most ``radius`` away, ascending; O(n^2 d) time, O(nd) memory."""
    for row, rough in _each_rough(vectors):
        inside = rough <= radius - _SLACK
        unsure = np.flatnonzero(~inside & (rough <= radius + _SLACK))
        inside[unsure] = distances(vectors, vectors[row], unsure) <= radius
        yield np.flatnonzero(inside)


def _each_rough(vectors: Matrix) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield every row with its distances to all rows, with float32 rounding; infinite to itself."""
    units = vec.normalise(vectors)
    step = max(1, _BLOCK_VALUES // max(1, len(units)))
    for start in range(0, len(units), step):
        for row, rough in enumerate(1.0 - units[start : start + step] @ units.T, start):
            rough[row] = np.inf
            yield row, rough


def _rough(
    vectors: Matrix, lengths: NDArray[np.floating[Any]], direction: Matrix, rows: Rows | None
) -> NDArray[Any]:
    """Distances with float32 rounding; rows are gathered in chunks, for a selection may be large."""
    if rows is None:
        cosines: NDArray[Any] = (vectors @ direction) / lengths
        return 1.0 - cosines
    rough = np.empty(len(rows), dtype=np.float64)
    for part in vec.chunks(len(rows), vectors.shape[1]):
        rough[part] = 1.0 - (vectors[rows[part]] @ direction) / lengths[rows[part]]
    return rough


def _worth(rough: NDArray[Any], k: int) -> Rows:
    """Return the places whose rough distance leaves open that they are among the ``k`` nearest."""
    if k >= len(rough):
        return np.arange(len(rough))
    if k < 1:
        return np.empty(0, dtype=np.int64)
    limit = np.partition(rough, k - 1)[k - 1]
    return np.flatnonzero(rough <= limit + _SLACK)
