"""The minimum spanning tree of all pairs of vectors, exact, in bounded memory and one pass.

The tree of the edges seen so far, together with those still to come, has the tree of all edges. An edge no
shorter than the longest one on the path that already joins its ends is in no minimum tree; a bound on that
path, from the longest edge between each vector and the root, drops nearly all edges as soon as they are
computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree

from . import neighbors
from . import vectors as vec
from .neighbors import Progress
from .space import Space
from .vectors import Floats, Indices

_PENDING = 2**21


@dataclass(frozen=True)
class Tree:
    """Edges ``left[i] - right[i]`` of length ``distance[i]``, each ``(n - 1,)``, shortest first."""

    left: Indices
    right: Indices
    distance: Floats


def spanning_tree(
    space: Space, core: Floats | None = None, *, limit: float = inf, progress: Progress = None
) -> Tree:
    """Return the minimum spanning tree of ``space`` under the mutual reachability distance.

    That is ``max(distance(i, j), core[i], core[j])`` (Campello et al. 2013); without ``core`` the distance
    itself, whose tree is single linkage (Gower & Ross 1969). Lengths are computed in float64; which of two
    edges that differ by less than 1e-6 is in the tree may be decided by float32.

    Args:
        space: the vectors; worth arranging for a small ``limit``, else not to be arranged
        core (None): ``(n,)`` core distances; infinite ones never come into reach
        limit (infinite): longer edges are left out, which makes the tree a forest, and quicker
        progress (None): called with (done, total) tiles; may raise to cancel
    """
    core = np.zeros(len(space)) if core is None else core
    builder = _Builder(space, core)
    if limit < inf:
        for block in neighbors.blocks(space, limit, progress=progress):
            builder.add(block.rows, block.cols, block.scores)
    else:
        for rows, cols, scores in neighbors.tiles(space, progress=progress):
            builder.add_tile(rows, cols, scores)
    builder.shrink()
    left, right = builder.left, builder.right
    exact = vec.between(space.vectors, left, right, metric=space.metric)
    distance = np.maximum(exact, np.maximum(core[left], core[right]))
    order = np.lexsort((right, left, distance))
    return Tree(left[order], right[order], distance[order])


class _Builder:
    """The tree of the edges seen so far and the edges not yet compared with it."""

    def __init__(self, space: Space, core: Floats):
        n = len(space)
        self.space = space
        self.core = core
        self.left = self.right = np.empty(0, dtype=np.intp)
        self.length = np.empty(0, dtype=np.float64)
        self.pending: list[tuple[Indices, Indices, Floats]] = []
        self.waiting = 0  # edges in ``pending``
        # The tree each vector is in, by a vector of it, and the longest edge on the way there.
        self.root = np.arange(n)
        self.to_root = np.zeros(n)

    def add(self, left: Indices, right: Indices, scores: NDArray[np.float32]) -> None:
        """Take in some pairs."""
        self._append(left, right, scores)
        if self.waiting > _PENDING:
            self.shrink()

    def add_tile(self, rows: slice, cols: slice, scores: NDArray[np.float32]) -> None:
        """Take in all pairs of a tile of the upper triangle, the first of which comes first."""
        if rows != cols:
            self._attach(rows, cols, scores)
        bound = np.minimum(self._bound(rows)[:, None], self._bound(cols)[None, :])
        row, col = np.divmod(np.flatnonzero(scores > bound), scores.shape[1])
        if rows == cols:
            row, col = row[row < col], col[row < col]
        self.add(row + rows.start, col + cols.start, scores[row, col])
        if cols.start == 0:
            self.shrink()  # before the first tile is a tree there is no bound for any other

    def shrink(self) -> None:
        """Reduce tree and pending edges to the tree of both."""
        n = len(self.space)
        parts = [(self.left, self.right, self.length), *self.pending]
        left, right, length = (np.concatenate(part) for part in zip(*parts, strict=True))
        self.pending, self.waiting = [], 0
        # scipy takes a zero for no edge.
        graph = scipy.sparse.csr_matrix((1.0 + length, (left, right)), shape=(n, n))
        tree = minimum_spanning_tree(graph, overwrite=True).tocoo()
        self.left, self.right = tree.row.astype(np.intp), tree.col.astype(np.intp)
        self.length = tree.data - 1.0
        self._measure(tree)

    def _attach(self, rows: slice, cols: slice, scores: NDArray[np.float32]) -> None:
        """Join each vector of ``cols`` that is not in the tree yet to its nearest in ``rows``."""
        new = np.flatnonzero(self.root[cols] != 0)
        if len(new) == 0 or (self.root[rows] != 0).any():
            return
        row = scores[:, new].argmax(axis=0)
        left, right = row + rows.start, new + cols.start
        length = self._append(left, right, scores[row, new])
        self.to_root[right] = np.maximum(length, self.to_root[left])
        self.root[right] = 0
        scores[row, new] = -np.inf

    def _append(self, left: Indices, right: Indices, scores: NDArray[np.float32]) -> Floats:
        length = np.maximum(self.space.distance(scores), np.maximum(self.core[left], self.core[right]))
        useful = length < np.maximum(self.to_root[left], self.to_root[right])
        useful |= self.root[left] != self.root[right]
        self.pending.append((left[useful], right[useful], length[useful]))
        self.waiting += int(np.count_nonzero(useful))
        return length

    def _bound(self, part: slice) -> NDArray[np.float32]:
        """The score above which an edge between vectors of the first tree can be of use; none elsewhere."""
        length = np.where(self.root[part] == 0, self.to_root[part], inf)
        bound: NDArray[np.float32] = self.space.score(length).astype(np.float32)
        return bound

    def _measure(self, tree: scipy.sparse.coo_matrix) -> None:
        """Set ``root`` and ``to_root`` by pointer doubling, since a tree can be as deep as it is large."""
        up = _parents(tree)
        longest = np.zeros(len(up))
        longest[np.where(up[self.right] == self.left, self.right, self.left)] = self.length
        while (up != up[up]).any():
            longest = np.maximum(longest, longest[up])
            up = up[up]
        self.root, self.to_root = up, longest


def _parents(forest: scipy.sparse.coo_matrix) -> Indices:
    """The parent of each vector; the first of each tree is its own."""
    n = forest.shape[0]
    first = np.unique(connected_components(forest, directed=False)[1], return_index=True)[1]
    # One more node joins the trees, so that a single search walks all of them.
    rows = np.concatenate([forest.row, np.full(len(first), n)])
    cols = np.concatenate([forest.col, first])
    joined = scipy.sparse.csr_matrix((np.ones(len(rows)), (rows, cols)), shape=(n + 1, n + 1))
    parent: Indices = breadth_first_order(joined, n, directed=False)[1][:n].astype(np.intp)
    parent[first] = first
    return parent
