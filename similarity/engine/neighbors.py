"""The pairs of vectors within a distance, exact, in bounded memory.

A block matrix product in float32 over half of the square finds the candidates; those so close to the limit
that rounding could decide are computed again in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from . import vectors as vec
from .vectors import Floats, Indices, Vectors

FLOOR = 1e-6
TILE = 2048

Progress = Callable[[int, int], None] | None
Skip = Callable[[slice, slice], bool]

_BYTES_PER_PAIR = 80


@dataclass(frozen=True)
class Block:
    """Some pairs ``rows[i] < cols[i]`` and their scores (see :class:`Space`), each ``(m,)``."""

    rows: Indices
    cols: Indices
    scores: NDArray[np.float32]


class Space:
    """Vectors laid out so that one matrix product gives a score that falls with the distance of every pair.

    For cosine the score is cos. For euclidean it is minus half the squared distance, of vectors shifted and
    scaled into the unit ball, where float32 does least harm. ``slack`` bounds the rounding error of a score.

    Args:
        vectors: ``(n, d)``, checked; not modified
        metric ("cosine"): one of :data:`~similarity.engine.vectors.METRICS`
    """

    def __init__(self, vectors: Vectors, metric: str = "cosine"):
        vec.check_metric(metric)
        self.vectors = vectors
        self.metric = metric
        self.scale = 1.0
        self.left = self.right = self._lay_out()
        # Measured below 1e-6 for 512 values of one sign, the worst case; grows with the square root.
        self.slack = 4e-6 * max(1.0, (vectors.shape[1] / 512) ** 0.5)
        if metric == "euclidean":
            self._augment()

    def __len__(self) -> int:
        return len(self.vectors)

    def score(self, distance: Any) -> Any:
        """Return the score of pairs at ``distance`` (scalar or array)."""
        return 1.0 - distance if self.metric == "cosine" else -0.5 * (distance / self.scale) ** 2

    def distance(self, scores: NDArray[Any]) -> Floats:
        """Return the distances for ``scores``, to float32's precision."""
        scores = scores.astype(np.float64)
        if self.metric == "cosine":
            return np.maximum(1.0 - scores, 0.0)
        return self.scale * np.sqrt(np.maximum(-2.0 * scores, 0.0))

    def within(self, rows: Indices, cols: Indices, limit: float) -> NDArray[np.bool_]:
        """Return which of the pairs ``rows x cols`` are no farther apart than ``limit``, as ``(r, c)``."""
        scores = self.left[rows] @ self.right[cols].T
        result: NDArray[np.bool_] = scores >= self.score(limit)
        row, col = np.nonzero(np.abs(scores - np.float32(self.score(limit))) <= self.slack)
        result[row, col] = vec.between(self.vectors, rows[row], cols[col], metric=self.metric) <= limit
        return result

    def _lay_out(self) -> NDArray[np.float32]:
        if self.metric == "cosine":
            return vec.normalise(self.vectors)
        centre = self.vectors.sum(axis=0, dtype=np.float64) / max(1, len(self))
        shifted = np.empty(self.vectors.shape, dtype=np.float32)
        for part in vec.chunks(*shifted.shape):
            shifted[part] = self.vectors[part] - centre
        self.scale = float(max(vec.norms(shifted), default=0.0)) or 1.0
        shifted /= np.float32(self.scale)
        return shifted

    def _augment(self) -> None:
        half = (-0.5 * np.square(vec.norms(self.left))).astype(np.float32)[:, None]
        one = np.ones_like(half)
        self.left, self.right = np.hstack([self.left, half, one]), np.hstack([self.left, one, half])


def reach(eps: float, metric: str = "cosine") -> float:
    """Return the distance up to which two vectors are neighbors at ``eps``, inclusive.

    It is ``eps``, for cosine at least 1e-6, so that copies that differ by rounding fall together.
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
        ``rows, cols, distances``, each ``(m,)``, with ``rows < cols``; every pair once, copies at exactly 0
    """
    check_eps(eps)
    vec.check(vectors)
    _, group = vec.copies(vectors)
    space = Space(vectors, metric)
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

    Copies and the diagonal are stored as explicit zeros.

    Args:
        vectors: ``(n, d)``; not modified
        eps: largest distance, inclusive, above 0
        metric ("cosine"): one of :data:`~similarity.engine.vectors.METRICS`
        memory (1 GiB): bytes that the graph may take while it is built and used
        progress (None): called with (done, total) before each block; may raise to cancel
    """
    n = len(vectors)
    found = [(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32))]
    count = 0
    for rows, cols, distances in pairs(vectors, eps=eps, metric=metric, progress=progress):
        count += len(rows)
        if count * _BYTES_PER_PAIR > memory:
            return None
        found.append((rows.astype(np.int32), cols.astype(np.int32), distances.astype(np.float32)))
    rows, cols, distances = (np.concatenate(part) for part in zip(*found, strict=True))
    own = np.arange(n, dtype=np.int32)
    return scipy.sparse.csr_matrix(
        (
            np.concatenate([distances, distances, np.zeros(n, np.float32)]),
            (np.concatenate([rows, cols, own]), np.concatenate([cols, rows, own])),
        ),
        shape=(n, n),
    )


def blocks(
    space: Space, limit: float, *, skip: Skip | None = None, progress: Progress = None
) -> Iterator[Block]:
    """Yield the pairs of ``space`` no farther apart than ``limit``, tile by tile of the upper triangle.

    Args:
        space: the vectors
        limit: largest distance, inclusive
        skip (None): called with the row and column slice of a tile; where it returns True the tile is left
            out
        progress (None): called with (tiles done, tiles in all) before each tile; may raise to cancel
    """
    for rows, cols, scores in tiles(space, skip=skip, progress=progress):
        at = np.flatnonzero(scores >= space.score(limit) - space.slack)
        row, col = np.divmod(at, scores.shape[1])
        if rows == cols:
            above = row < col
            at, row, col = at[above], row[above], col[above]
        block = Block(row + rows.start, col + cols.start, scores.reshape(-1)[at])
        yield _settle(space, limit, block)


def tiles(
    space: Space, *, skip: Skip | None = None, progress: Progress = None
) -> Iterator[tuple[slice, slice, NDArray[np.float32]]]:
    """Yield ``rows, cols, scores`` of each tile of the upper triangle, row by row.

    ``scores`` is ``(r, c)`` and the caller's to change until the next one is asked for. Arguments as for
    :func:`blocks`.
    """
    slices = [slice(start, min(len(space), start + TILE)) for start in range(0, len(space), TILE)]
    todo = [(rows, cols) for i, rows in enumerate(slices) for cols in slices[i:]]
    buffer = np.empty(TILE * TILE, dtype=np.float32)
    for done, (rows, cols) in enumerate(todo):
        if progress is not None:
            progress(done, len(todo))
        if skip is None or not skip(rows, cols):
            left, right = space.left[rows], space.right[cols]
            scores = buffer[: len(left) * len(right)].reshape(len(left), len(right))
            np.matmul(left, right.T, out=scores)
            yield rows, cols, scores
    if progress is not None:
        progress(len(todo), len(todo))


def _settle(space: Space, limit: float, block: Block) -> Block:
    """Drop the candidates that are too far, deciding in float64 where rounding could."""
    doubtful = np.flatnonzero(block.scores < space.score(limit) + space.slack)
    if len(doubtful) == 0:
        return block
    exact = vec.between(space.vectors, block.rows[doubtful], block.cols[doubtful], metric=space.metric)
    keep = np.ones(len(block.rows), dtype=bool)
    keep[doubtful] = exact <= limit
    return Block(block.rows[keep], block.cols[keep], block.scores[keep])
