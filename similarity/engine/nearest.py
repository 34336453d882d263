"""The nearest others of each vector, exact, and how far a core sample reaches."""

from __future__ import annotations

import numpy as np

from . import neighbors
from . import vectors as vec
from .neighbors import Progress
from .space import Space
from .vectors import Floats, Indices


def nearest(space: Space, k: int, progress: Progress) -> tuple[Indices, Floats]:
    """Return the ``k`` nearest others of each vector (fewer where there are not as many), nearest first.

    Args:
        space: the vectors, not arranged
        k: how many
        progress: called with (rows done, rows in all); may raise to cancel

    Returns:
        rows and distances, each ``(n, k)``; all products are made, so time grows with the square of n
    """
    n = len(space)
    k = min(k, n - 1)
    near = np.empty((n, k), dtype=np.intp)
    for start in range(0, n, neighbors.TILE):
        rows = np.arange(start, min(n, start + neighbors.TILE))
        if progress is not None:
            progress(start, n)
        scores = np.empty((len(rows), 0), dtype=np.float32)
        found = np.empty((len(rows), 0), dtype=np.intp)
        for left in range(0, n, neighbors.TILE):
            cols = np.arange(left, min(n, left + neighbors.TILE))
            more = space.left[rows] @ space.right[cols].T
            more[rows[:, None] == cols[None, :]] = -np.inf
            scores = np.hstack([scores, more])
            found = np.hstack([found, np.broadcast_to(cols, more.shape)])
            best = np.argpartition(-scores, min(k, scores.shape[1] - 1), axis=1)[:, : k + 1]
            scores, found = np.take_along_axis(scores, best, axis=1), np.take_along_axis(found, best, axis=1)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        near[rows] = np.take_along_axis(found, best, axis=1)
    rows = np.repeat(np.arange(n), k)
    distance = vec.between(space.vectors, rows, near.reshape(-1), metric=space.metric).reshape(n, k)
    order = np.argsort(distance, axis=1, kind="stable")
    return np.take_along_axis(near, order, axis=1), np.take_along_axis(distance, order, axis=1)


def core_distances(distance: Floats, near_weights: Indices, weights: Indices, min_samples: int) -> Floats:
    """Return the eps ``(n,)`` from which each vector is core, copies counted; there must be ``min_samples`` in all.

    Args:
        distance: ``(n, k)`` of the nearest others, nearest first
        near_weights: ``(n, k)`` how often they occur
        weights: ``(n,)`` how often each vector occurs
        min_samples: samples within eps, itself included, that make a core sample
    """
    reached = np.cumsum(np.column_stack([weights, near_weights]), axis=1)
    enough = np.argmax(reached >= min_samples, axis=1)
    core: Floats = np.column_stack([np.zeros(len(weights)), distance])[np.arange(len(weights)), enough]
    return core
