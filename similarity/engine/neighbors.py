"""The pairs of vectors within a distance, in one block or between two, exact.

A product of blocks in float32 finds the candidates; candidates so close to the limit that rounding could decide are
computed again in float64.
"""

from collections.abc import Callable, Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

from .blocks import Block
from .vectors import Floats, Indices, Singles

FLOOR = 1e-6

Progress = Callable[[int, int], None] | None
"""``progress(done, total)``; may raise to cancel."""

_TILE = 2048  # rows and columns of a product; smaller ones wait for each other where cores are busy
_STRIP = 128  # rows of a product whose pairs are found before ``groups`` is read again
_LEAST = -4.0  # below every score
_PAIR_COST = 100  # cost of the score of a single pair, in scores by a product


def reach(eps: float, metric: str = "cosine") -> float:
    """Return the distance up to which two vectors are neighbors at ``eps``, inclusive.

    It is ``eps``, for cosine at least 1e-6, so that vectors that differ by rounding are neighbors.
    """
    return max(eps, FLOOR) if metric == "cosine" else eps


def check_eps(eps: float) -> None:
    """Raise unless ``eps`` is a positive number.

    Raises:
        ValueError: names the alternative
    """
    if not (np.isfinite(eps) and eps > 0):
        raise ValueError(f"eps must be a number above 0, got {eps}; the smallest useful value is {FLOOR:g}")


def numbers(left: Block, right: Block | None) -> Indices:
    """Return the numbers of the vectors of a tile: those of ``left``, then those of ``right``."""
    return left.numbers if right is None else np.concatenate([left.numbers, right.numbers])


def pairs(
    left: Block, right: Block | None, limit: float, *, groups: Indices | None = None
) -> Iterator[tuple[Indices, Indices]]:
    """Yield the pairs no farther apart than ``limit``: between two blocks, or within one where ``right`` is None.

    Args:
        limit: largest distance, inclusive
        groups (None): the group of each vector, by default its own; may be changed between two yields. Pairs in the same
            group may be left out, which saves most pairs of a large dense cluster

    Yields:
        ``rows, cols``, each ``(m,)``, places in :func:`numbers`, each pair once
    """
    other, offset = (left, 0) if right is None else (right, len(left))
    cut = left.frame.score(limit) - left.frame.slack
    buffer = np.empty(min(_TILE, len(left)) * min(_TILE, len(other)), dtype=np.float32)
    groups = np.arange(offset + len(other)) if groups is None else groups
    for rows, cols in squares(len(left), None if right is None else len(right)):
        upper = right is None and rows == cols
        if left.constraints and other.constraints:
            rows = left.constraints.span(rows, other.constraints, cols)
            if rows.stop == 0:
                continue
            cols = other.constraints.span(cols, left.constraints, rows)
        of_rows, of_cols = groups[rows], groups[offset:][cols]  # views: they follow changes
        if (of_rows == of_rows[0]).all() and (of_cols == of_rows[0]).all():
            continue
        for row, col, scores in _candidates(left, rows, other, cols, cut, buffer, of_rows, of_cols):
            row, col = row + rows.start, col + cols.start
            wanted = row < col if upper else np.ones(len(row), dtype=bool)
            if left.constraints and other.constraints:
                wanted &= left.constraints.allow(row, other.constraints, col)
            row, col, scores = row[wanted], col[wanted], scores[wanted]
            near = _settled(left, row, other, col, scores, limit)
            if near.any():
                yield row[near], col[near] + offset


def squares(n: int, m: int | None) -> Iterator[tuple[slice, slice]]:
    """Yield the rows and columns that cut ``n x m`` into products; of the upper triangle where ``m`` is None."""
    rows = [slice(start, min(n, start + _TILE)) for start in range(0, n, _TILE)]
    if m is None:
        return ((one, other) for i, one in enumerate(rows) for other in rows[i:])
    return product(rows, [slice(start, min(m, start + _TILE)) for start in range(0, m, _TILE)])


def nearest(left: Block, right: Block, k: int, *, own: bool = True) -> tuple[Indices, Indices, Floats]:
    """Return the ``k`` nearest in ``right`` of each vector of ``left``, by distance; of equally near ones the first.

    Args:
        k: number of neighbors, at least 1; all where fewer are possible
        own (True): whether a vector may be its own neighbor

    Returns:
        ``rows, cols, distances``, each ``(m,)``, places in the blocks, row by row
    """
    found = []
    for start in range(0, len(left), _TILE):
        rows = slice(start, min(len(left), start + _TILE))
        scores = left.products(rows, right, slice(None))
        if not own:
            scores[left.numbers[rows, None] == right.numbers[None, :]] = -np.inf
        least = np.full(len(scores), _LEAST)
        if k < len(right):
            least = np.maximum(least, np.partition(scores, -k, axis=1)[:, -k])
        # By rounding, a near one may score up to this much below.
        row, col = np.nonzero(scores >= least[:, None] - 2 * left.frame.slack)
        row += start
        distance = left.distances(row, right, col)
        order = np.lexsort((col, distance, row))
        row = row[order]
        first = np.arange(len(row)) - np.searchsorted(row, row) < k
        found.append((row[first], col[order][first], distance[order][first]))
    rows_, cols, distances = (np.concatenate(part) for part in zip(*found, strict=True))
    return rows_, cols, distances


def _candidates(
    left: Block,
    rows: slice,
    right: Block,
    cols: slice,
    cut: float,
    buffer: Singles,
    of_rows: Indices,
    of_cols: Indices,
) -> Iterator[tuple[Indices, Indices, Singles]]:
    """Yield the pairs of a square, counted from its corner, that score ``cut`` or more, strip by strip of its rows."""
    some_rows, some_cols = np.arange(rows.stop - rows.start), np.arange(cols.stop - cols.start)
    if left.sketch is not None and right.sketch is not None:
        rough = _product(left.sketch[0][rows], right.sketch[1][cols], buffer)
        near = rough >= np.float32(cut - left.frame.top - left.frame.slack)
        count = np.count_nonzero(near)
        if count == 0:
            return
        if count * _PAIR_COST < near.size:
            row, col = _places(near)
            apart = of_rows[row] != of_cols[col]
            row, col = row[apart], col[apart]
            scores = left.scores(row + rows.start, right, col + cols.start)
            good = scores >= cut
            yield row[good], col[good], scores[good]
            return
        some_rows, some_cols = some_rows[near.any(axis=1)], some_cols[near.any(axis=0)]
    scores = _product(left.left[rows][some_rows], right.right[cols][some_cols], buffer)
    for start in range(0, len(some_rows), _STRIP):
        strip, at = scores[start : start + _STRIP], some_rows[start : start + _STRIP]
        near = strip >= np.float32(cut)
        if np.count_nonzero(near) > len(some_cols):
            near &= of_rows[at, None] != of_cols[some_cols]
        row, col = _places(near)
        yield at[row], some_cols[col], strip[row, col]


def _product(left: Singles, right: Singles, buffer: Singles) -> Singles:
    scores = buffer[: len(left) * len(right)].reshape(len(left), len(right))
    return np.matmul(left, right.T, out=scores)


def _places(near: NDArray[np.bool_]) -> tuple[Indices, Indices]:
    row, col = np.divmod(np.flatnonzero(near), near.shape[1])
    return row, col


def _settled(
    left: Block, rows: Indices, right: Block, cols: Indices, scores: Singles, limit: float
) -> NDArray[np.bool_]:
    """Return which candidates are near, decided in float64 where rounding could decide."""
    doubtful = np.flatnonzero(scores < left.frame.score(limit) + left.frame.slack)
    near = np.ones(len(rows), dtype=bool)
    near[doubtful] = left.distances(rows[doubtful], right, cols[doubtful]) <= limit
    return near
