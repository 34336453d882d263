"""The pairs of vectors within a distance, exact, in bounded memory.

A block matrix product in float32 over half of the square finds the candidates; those so close to the limit
that rounding could decide are computed again in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from . import gpu
from . import vectors as vec
from .sketch import Singles
from .space import Space
from .vectors import Floats, Indices, Vectors

FLOOR = 1e-6
TILE = 2048

Progress = Callable[[int, int], None] | None
Skip = Callable[[Indices, Indices], bool]

_BYTES_PER_PAIR = 80
_GPU_FROM = 20_000  # vectors from which a GPU is worth looking for
_STRIP = 128  # rows of a tile whose pairs are looked at before ``groups`` is asked again
_PAIR_COST = 100  # of the score of a pair by itself, in scores by a product of blocks


@dataclass(frozen=True)
class Block:
    """Some pairs ``rows[i] < cols[i]`` and their scores (see :class:`~.space.Space`), each ``(m,)``."""

    rows: Indices
    cols: Indices
    scores: Singles


def reach(eps: float, metric: str = "cosine") -> float:
    """Return the distance up to which two vectors are neighbors at ``eps``, inclusive.

    It is ``eps``, for cosine at least 1e-6, so that vectors that differ by rounding fall together.
    """
    return max(eps, FLOOR) if metric == "cosine" else eps


def check_eps(eps: float) -> None:
    """Raise unless ``eps`` is a positive number.

    Raises:
        ValueError: says what to use instead
    """
    if not (np.isfinite(eps) and eps > 0):
        raise ValueError(f"eps must be a number above 0, got {eps}; the smallest useful value is {FLOOR:g}")


def pairs(
    vectors: Vectors, *, eps: float, metric: str = "cosine", progress: Progress = None
) -> Iterator[tuple[Indices, Indices, Floats]]:
    """Yield all pairs no farther apart than ``eps``, in blocks of at most 4 million.

    Time grows with the square of n, memory does not.

    Args:
        vectors: ``(n, d)``; not modified
        eps: largest distance, inclusive, above 0
        metric ("cosine"): one of :data:`~similarity.engine.vectors.METRICS`
        progress (None): called with (done, total) before each block; may raise to cancel

    Yields:
        ``rows, cols, distances``, each ``(m,)``, with ``rows < cols``; every pair once, equal vectors at exactly 0
    """
    check_eps(eps)
    vec.check(vectors)
    _, group = vec.copies(vectors)
    space = Space(vectors, metric, arrange=len(vectors) > TILE)
    for block in blocks(space, reach(eps, metric), progress=progress):
        distances = space.distance(block.scores)
        distances[group[block.rows] == group[block.cols]] = 0.0
        yield block.rows, block.cols, distances


def graph(
    vectors: Vectors,
    *,
    eps: float,
    metric: str = "cosine",
    memory: int = 2**30,
    progress: Progress = None,
) -> scipy.sparse.csr_matrix | None:
    """Return the symmetric graph ``(n, n)`` of distances within ``eps``, or None if it exceeds ``memory``.

    Equal vectors and the diagonal are stored as explicit zeros.

    Args:
        vectors: ``(n, d)``; not modified
        eps: largest distance, inclusive, above 0
        metric ("cosine"): one of :data:`~similarity.engine.vectors.METRICS`
        memory (1 GiB): bytes that the graph may take while it is built and used
        progress (None): called with (done, total) before each block; may raise to cancel
    """
    check_eps(eps)
    vec.check(vectors)
    _, group = vec.copies(vectors)
    space = Space(vectors, metric, arrange=len(vectors) > TILE)
    found = graph_of(space, reach(eps, metric), memory=memory, progress=progress)
    if found is not None:
        rows = np.repeat(group, np.diff(found.indptr))
        found.data[rows == group[found.indices]] = 0.0
    return found


def graph_of(
    space: Space, limit: float, *, memory: int, progress: Progress = None
) -> scipy.sparse.csr_matrix | None:
    """As :func:`graph`, of a space; equal vectors may be stored at a distance that is only nearly zero."""
    found = [(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32))]
    count = 0
    for block in blocks(space, limit, progress=progress):
        count += len(block.rows)
        if count * _BYTES_PER_PAIR > memory:
            return None
        distances = space.distance(block.scores).astype(np.float32)
        found.append((block.rows.astype(np.int32), block.cols.astype(np.int32), distances))
    rows, cols, distances = (np.concatenate(part) for part in zip(*found, strict=True))
    own = np.arange(len(space), dtype=np.int32)
    return scipy.sparse.csr_matrix(
        (
            np.concatenate([distances, distances, np.zeros(len(own), np.float32)]),
            (np.concatenate([rows, cols, own]), np.concatenate([cols, rows, own])),
        ),
        shape=(len(own), len(own)),
    )


def blocks(
    space: Space,
    limit: float,
    *,
    skip: Skip | None = None,
    groups: Indices | None = None,
    progress: Progress = None,
) -> Iterator[Block]:
    """Yield the pairs of rows of ``space`` no farther apart than ``limit``, tile by tile of half the square.

    Args:
        space: the vectors; worth arranging where they are many
        limit: largest distance, inclusive
        skip (None): called with the rows on either side of a tile; where it returns True the tile is left out
        groups (None): ``(n,)``, may be changed between two blocks; pairs of rows in the same group are of no
            interest and may be left out, which spares most of a large dense cluster's
        progress (None): called with (tiles done, tiles in all) before each tile; may raise to cancel
    """
    cut = space.score(limit) - space.slack
    device = gpu.find() if len(space) >= _GPU_FROM else None
    size = TILE if device is None else gpu.TILE
    buffer = np.empty(min(TILE, len(space)) ** 2, dtype=np.float32)
    for left, right in _upper_tiles(len(space), size, progress):
        rows, cols = space.order[left], space.order[right]
        if (skip is not None and skip(rows, cols)) or (groups is not None and _one_group(groups, rows, cols)):
            continue
        if device is None:
            found = _candidates(space, left, right, cut, buffer, groups)
        else:
            row, col, scores = device.at_least(space.left[left], space.right[right], cut)
            found = iter((Block(row + left.start, col + right.start, scores),))
        for block in found:
            if left == right:
                block = _only(block, block.rows < block.cols)
            block = _settled(space, limit, block)
            if len(block.rows):
                rows, cols = space.order[block.rows], space.order[block.cols]
                yield Block(np.minimum(rows, cols), np.maximum(rows, cols), block.scores)


def tiles(space: Space, *, progress: Progress = None) -> Iterator[tuple[slice, slice, Singles]]:
    """Yield ``rows, cols, scores`` of each tile of the upper triangle, row by row.

    ``scores`` is ``(r, c)`` and the caller's to change until the next one is asked for.
    """
    buffer = np.empty(min(TILE, len(space)) ** 2, dtype=np.float32)
    for rows, cols in _upper_tiles(len(space), TILE, progress):
        yield rows, cols, _product(space.left[rows], space.right[cols], buffer)


def _upper_tiles(n: int, size: int, progress: Progress) -> Iterator[tuple[slice, slice]]:
    slices = [slice(start, min(n, start + size)) for start in range(0, n, size)]
    total = len(slices) * (len(slices) + 1) // 2
    pairs_of_slices = ((rows, cols) for i, rows in enumerate(slices) for cols in slices[i:])
    for done, (rows, cols) in enumerate(pairs_of_slices):
        if progress is not None:
            progress(done, total)
        yield rows, cols
    if progress is not None:
        progress(total, total)


def _product(left: Singles, right: Singles, buffer: Singles) -> Singles:
    scores = buffer[: len(left) * len(right)].reshape(len(left), len(right))
    return np.matmul(left, right.T, out=scores)


def _one_group(groups: Indices, rows: Indices, cols: Indices) -> bool:
    group = groups[rows[0]]
    return bool((groups[rows] == group).all() and (groups[cols] == group).all())


def _candidates(
    space: Space, left: slice, right: slice, cut: float, buffer: Singles, groups: Indices | None
) -> Iterator[Block]:
    """The pairs of positions of a tile that score ``cut`` or more, a strip of its rows at a time."""
    rows, cols = np.arange(left.start, left.stop), np.arange(right.start, right.stop)
    if space.rough is not None:
        rough = _product(space.rough[0][left], space.rough[1][right], buffer)
        near = rough >= np.float32(cut - space.top - space.slack)
        count = np.count_nonzero(near)
        if count == 0:
            return
        rows, cols = rows[near.any(axis=1)], cols[near.any(axis=0)]
        if count * _PAIR_COST < len(rows) * len(cols):
            row, col = _positions(near)
            row, col = row + left.start, col + right.start
            block = Block(row, col, space.scores(row, col))
            yield _only(block, block.scores >= cut)
            return
    scores = _product(space.left[rows], space.right[cols], buffer)
    for start in range(0, len(rows), _STRIP):
        strip, row_numbers = scores[start : start + _STRIP], rows[start : start + _STRIP]
        near = strip >= np.float32(cut)
        if groups is not None and np.count_nonzero(near) > len(cols):
            near &= groups[space.order[row_numbers], None] != groups[space.order[cols]]
        row, col = _positions(near)
        yield Block(row_numbers[row], cols[col], strip[row, col])


def _positions(near: NDArray[np.bool_]) -> tuple[Indices, Indices]:
    row, col = np.divmod(np.flatnonzero(near), near.shape[1])
    return row, col


def _settled(space: Space, limit: float, block: Block) -> Block:
    """Drop the candidates that are too far, deciding in float64 where rounding could."""
    doubtful = np.flatnonzero(block.scores < space.score(limit) + space.slack)
    near = np.ones(len(block.rows), dtype=bool)
    near[doubtful] = space.exact(block.rows[doubtful], block.cols[doubtful]) <= limit
    return _only(block, near)


def _only(block: Block, wanted: NDArray[np.bool_]) -> Block:
    return block if wanted.all() else Block(block.rows[wanted], block.cols[wanted], block.scores[wanted])
