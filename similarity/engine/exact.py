"""Exact nearest neighbors by cosine distance: the truth that a forest is measured by, and the answer without a forest.

A matrix product, quick but rounded in float32, only decides which rows get an exact distance.
Vectors are ``(n, d)`` float32 without zero or non-finite rows; they may be memory-mapped.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import neighbors, tiles
from . import vectors as vec
from .blocks import Block, Blocks, Frame
from .vectors import Floats, Indices, Singles

# Above the rounding of a float32 product of unit vectors: below 2e-6 was seen at 25,088 values.
_SLACK = 1e-5


def distances(vectors: Singles, query: NDArray[Any], rows: Indices) -> Floats:
    """Return the cosine distances ``(m,)``, in [0, 2], of a vector ``(d,)`` to ``rows`` of ``vectors``."""
    return vec.between(query[np.newaxis], np.zeros_like(rows), rows, others=vectors)


def rank(vectors: Singles, query: NDArray[Any], k: int, candidates: Indices) -> tuple[Indices, Floats]:
    """Return the ``k`` nearest candidates and their distances, nearest first, ties by row number."""
    found = distances(vectors, query, candidates)
    order = np.lexsort((candidates, found))[:k]
    return candidates[order], found[order]


def nearest(
    vectors: Singles,
    lengths: NDArray[np.floating[Any]],
    query: NDArray[Any],
    k: int,
    rows: Indices | None = None,
) -> tuple[Indices, Floats]:
    """Return the ``k`` nearest rows to a vector and their distances; O(nd) time.

    Args:
        vectors: ``(n, d)``
        lengths: ``(n,)``, the lengths of ``vectors``
        query: ``(d,)``, of any length but zero
        k: number of rows, at least 1; fewer are returned where there are fewer
        rows (None): ascending, the rows to choose from; all when None
    """
    direction = vec.normalise(query[np.newaxis])[0]
    if rows is None:
        rows, rough = np.arange(len(vectors)), 1.0 - (vectors @ direction) / lengths
    else:
        parts = [rows[part] for part in vec.chunks(len(rows), vectors.shape[1])]  # a selection may be large
        near = [(vectors[some] @ direction) / lengths[some] for some in parts]
        rough = 1.0 - np.concatenate([np.empty(0), *near])
    if k < len(rows):
        rows = rows[rough <= np.partition(rough, k - 1)[k - 1] + _SLACK]
    return rank(vectors, query, k, rows)


def each_nearest(vectors: Singles, k: int) -> Iterator[tuple[Indices, Floats]]:
    """Yield for every row its ``k`` nearest other rows and their distances; O(n^2 d) time, O(n d) memory."""
    n, k = len(vectors), min(k, len(vectors) - 1)
    if k < 1:
        yield from ((np.empty(0, dtype=np.int64), np.empty(0)) for _ in range(n))
        return
    every = Block.of(Frame.of(vectors, "cosine"), np.arange(n), vectors)
    for part in vec.chunks(n, n // 4):
        _, cols, distance = neighbors.nearest(every.take(part), every, k, own=False)
        yield from zip(cols.reshape(-1, k), distance.reshape(-1, k), strict=True)


def each_within(vectors: Singles, radius: float) -> Iterator[Indices]:
    """Yield for every row the other rows at most ``radius`` away, ascending; O(n^2 d) time, memory as the answer's."""
    n = len(vectors)
    blocks = Blocks(vectors, "cosine", np.arange(n), sketch=True)
    found = list(tiles.compare(blocks, tiles.near, lambda _: (radius, n * n)))
    left, right = tiles.joined(found)
    rows, cols = np.concatenate([left, right]), np.concatenate([right, left])
    order = np.lexsort((cols, rows))
    yield from np.split(cols[order], np.searchsorted(rows[order], np.arange(1, n))) if n else []
