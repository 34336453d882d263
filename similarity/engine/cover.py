"""How many samples are kept with cover, at several eps at once."""

from __future__ import annotations

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from . import neighbors
from . import vectors as vec
from .clusters import NOISE
from .nearest import core_distances, nearest
from .neighbors import Progress
from .sketch import Singles
from .space import Space
from .sweep import Sweep
from .vectors import Floats, Indices, Vectors

_ROWS = 512  # decided together; within them every pair is looked at
_COLUMNS = 8192

Bools = NDArray[np.bool_]


def kept_with_cover(vectors: Vectors, swept: Sweep, grid: Floats, *, progress: Progress = None) -> Indices:
    """Return how many :func:`~similarity.engine.keepers.keep` keeps with ``cover`` at each eps, ``(g,)``.

    The keep order is that of the rows, and nothing is protected. Exact, and not monotonous: a larger eps may
    keep more. One pass over the pairs serves all eps (two for ``min_samples`` above 2); no pair is stored, so
    memory stays near that of the vectors, and g flags for each.

    Args:
        vectors: ``(n, d)``, those that were swept; not modified
        swept: their sweep
        grid: ``(g,)`` values of eps, 0 or more; 0 stands for the smallest there is
        progress (None): called with (done, total) rows of blocks; may raise to cancel

    Raises:
        ValueError: if an eps is negative, not finite or beyond the sweep, or the vectors are not its own in number
    """
    grid = np.asarray(grid, dtype=np.float64)
    if len(vectors) != swept.n:
        raise ValueError(f"the sweep is of {swept.n} vectors, got {len(vectors)}")
    if not (np.isfinite(grid) & (grid >= 0) & (grid <= swept.eps_max)).all():
        raise ValueError(f"each eps must be from 0 to the sweep's {swept.eps_max:g}, got {grid.tolist()}")
    if len(vectors) == 0 or len(grid) == 0:
        return np.zeros(len(grid), dtype=np.intp)
    first, group = vec.copies(vectors)
    weights = np.bincount(group)
    space = Space(vectors[first], swept.metric)
    limits = np.array([neighbors.reach(eps, swept.metric) for eps in grid])
    labels = None
    if swept.min_samples > 2:
        labels = _labels(space, weights, swept, group, limits, progress)
    # A copy is covered by what covers, or is, the first of its kind; only noise keeps every copy.
    kept = _Covering(space, limits, labels).kept(progress)
    counts: Indices = kept.sum(axis=1)
    return counts if labels is None else counts + ((labels == NOISE) * weights).sum(axis=1)


class _Covering:
    """The greedy choice at every limit side by side, block of rows by block of rows.

    Where ``min_samples`` is 2 or less, samples within reach of each other share a cluster, and noise is in reach of
    nothing, so the labels decide nothing and are not needed.
    """

    def __init__(self, space: Space, limits: Floats, labels: Indices | None):
        self.space = space
        self.limits = limits
        self.labels = labels
        self.cuts = [float(space.score(limit)) for limit in limits]
        self.covered = np.zeros((len(limits), len(space)), dtype=bool)
        self.keepers = np.zeros((len(limits), len(space)), dtype=bool)
        if labels is not None:
            self.covered |= labels == NOISE  # out of the choice: counted apart

    def kept(self, progress: Progress) -> Bools:
        """Which vectors are kept at which limit, ``(g, n)``; noise where labels are given counts as not kept."""
        n = len(self.space)
        for start in range(0, n, _ROWS):
            if progress is not None:
                progress(start, n)
            rows = np.arange(start, min(n, start + _ROWS))
            self._within(rows)
            for left in range(start + _ROWS, n, _COLUMNS):
                self._beyond(rows, np.arange(left, min(n, left + _COLUMNS)))
        if progress is not None:
            progress(n, n)
        return self.keepers

    def _within(self, rows: Indices) -> None:
        """Choose among the rows of one block, in order."""
        scores = self.space.left[rows] @ self.space.right[rows].T
        scores[np.tril_indices(len(rows))] = -np.inf
        best = scores.max(axis=0)
        for g in range(len(self.limits)):
            open_ = ~self.covered[g, rows]
            later = np.flatnonzero(open_ & (best >= self.cuts[g] - self.space.slack))
            earlier = np.flatnonzero(open_)
            row, col = np.nonzero(scores[np.ix_(earlier, later)] >= self.cuts[g] - self.space.slack)
            row, col = earlier[row], later[col]
            near = self._near(g, rows[row], rows[col], scores[row, col])
            chosen = _greedy(open_, row[near], col[near])
            self.keepers[g, rows[chosen]] = True

    def _beyond(self, rows: Indices, cols: Indices) -> None:
        """Cover what the kept ones of a block reach further on."""
        rows = rows[self.keepers[:, rows].any(axis=0)]
        cols = cols[~self.covered[:, cols].all(axis=0)]
        if len(rows) == 0 or len(cols) == 0:
            return
        scores = self.space.left[rows] @ self.space.right[cols].T
        best = scores.max(axis=0)
        top = float(best.max())
        for g in range(len(self.limits)):
            if top >= self.cuts[g] - self.space.slack:
                within = np.flatnonzero(~self.covered[g, cols] & (best >= self.cuts[g] - self.space.slack))
                kept = np.flatnonzero(self.keepers[g, rows])
                if len(within) and len(kept):
                    reached = self._reached(g, rows[kept], cols[within], scores[np.ix_(kept, within)])
                    self.covered[g, cols[within[reached]]] = True

    def _reached(self, g: int, rows: Indices, cols: Indices, scores: Singles) -> Bools:
        """Which of ``cols`` at least one of ``rows`` reaches; first by the nearest, then by the others in doubt."""
        if self.labels is not None:
            scores[self.labels[g, rows][:, None] != self.labels[g, cols][None, :]] = -np.inf
        nearest_row = scores.argmax(axis=0)
        place = np.arange(len(cols))
        reached = self._near(g, rows[nearest_row], cols, scores[nearest_row, place])
        doubtful = np.flatnonzero(~reached & (scores[nearest_row, place] >= self.cuts[g] - self.space.slack))
        row, col = np.nonzero(scores[:, doubtful] >= self.cuts[g] - self.space.slack)
        col = doubtful[col]
        reached[col[self._near(g, rows[row], cols[col], scores[row, col])]] = True
        return reached

    def _near(self, g: int, rows: Indices, cols: Indices, scores: Singles) -> Bools:
        """Which pairs are in reach, decided in float64 where rounding could; pairs of two clusters are not."""
        cut, slack = self.cuts[g], self.space.slack
        near: Bools = scores > cut + slack
        doubtful = np.flatnonzero(~near & (scores >= cut - slack))
        near[doubtful] = self.space.exact(rows[doubtful], cols[doubtful]) <= self.limits[g]
        if self.labels is not None:
            near &= self.labels[g, rows] == self.labels[g, cols]
        return near


def _greedy(open_: Bools, row: Indices, col: Indices) -> Bools:
    """Choose in order each open one that no chosen one before it is in reach of.

    Args:
        open_: ``(n,)``
        row, col: ``(m,)`` the pairs in reach of each other, of open ones, ``row < col``
    """
    undecided = open_.copy()
    chosen = np.zeros(len(open_), dtype=bool)
    while undecided.any():
        new = undecided.copy()
        new[col] = False
        chosen |= new
        undecided &= ~new
        undecided[col[new[row]]] = False
        left = undecided[row] & undecided[col]
        row, col = row[left], col[left]
    return chosen


def _labels(
    space: Space, weights: Indices, swept: Sweep, group: Indices, limits: Floats, progress: Progress
) -> Indices:
    """DBSCAN's clusters at each limit, ``(g, n)``, numbered by their first core sample's position; noise -1."""
    n = len(space)
    result = np.full((len(limits), n), NOISE, dtype=np.intp)
    if swept.n < swept.min_samples:
        return result
    near, distance = nearest(space, swept.min_samples - 1, progress)
    core = core_distances(distance, weights[near], weights, swept.min_samples)
    left, right = group[swept.left], group[swept.right]
    for g, limit in enumerate(limits):
        joined = swept.length <= limit
        edges = (np.ones(np.count_nonzero(joined), dtype=bool), (left[joined], right[joined]))
        component = connected_components(scipy.sparse.coo_matrix(edges, shape=(n, n)), directed=False)[1]
        is_core = core <= limit
        members = np.flatnonzero(is_core)
        _, first, place = np.unique(component[members], return_index=True, return_inverse=True)
        result[g, members] = members[first[place]]
        reaches = (distance <= limit) & is_core[near]
        joins = np.where(reaches, result[g][near], n).min(axis=1, initial=n)
        border = np.flatnonzero(~is_core & (joins < n))
        result[g, border] = joins[border]
    return result
