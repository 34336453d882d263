"""The minimum spanning tree of all pairs of vectors, from tiles, in bounded memory and one pass.

The tree of the edges seen so far, together with those still to come, has the tree of all edges. An edge no shorter than
the longest one on a path that already joins its ends is in no minimum tree; a bound on that path, from the longest edge
between each vector and number 0, drops nearly all edges as soon as they are computed.
"""

from math import inf

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

from . import tiles
from .blocks import Block, Blocks, Frame
from .neighbors import Progress, numbers, squares
from .tiles import Run
from .vectors import Floats, Indices, Singles

Edges = tuple[Indices, Indices, Floats]
"""``left, right, length``, each ``(m,)``."""

_PENDING = 2**21
_NONE: Edges = (np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0))


def spanning_tree(blocks: Blocks, *, run: Run = tiles.here, progress: Progress = None) -> Edges:
    """Return the edges of the minimum spanning tree, shortest first: single linkage (Gower & Ross 1969).

    Lengths are computed in float64; which of two edges with nearly the same length is in the tree may be decided by
    float32: cosine distances within 1e-6, euclidean ones below 3e-3 of the distance from the centre to the farthest vector.

    Args:
        blocks: the vectors; no sketch is of use
        run (here): computes the tiles
        progress (None): called with (done, total) tiles; may raise to cancel
    """
    n = len(blocks.chosen)
    if n == 0:
        return _NONE
    tree, longest = _NONE, np.full(n, inf)
    waiting: list[Edges] = []

    def settle() -> None:
        nonlocal tree, longest
        tree = _shrunk(n, [tree, *waiting])
        longest = _longest(n, tree)
        waiting.clear()

    def known(at: Indices) -> tuple[Floats]:
        # Once more edges wait than the tree has. A vector not in the tree yet has no bound.
        new = sum(len(left) for left, _, _ in waiting)
        if new > len(tree[0]) or (new > 0 and at[0] >= blocks.size and longest[at].max() == inf):
            settle()
        return (longest[at],)

    for answer in tiles.compare(blocks, span, known, run=run, progress=progress):
        waiting.append(answer)
    settle()
    left, right, length = tree
    order = np.lexsort((right, left, length))
    return left[order], right[order], length[order]


def span(left: Block, right: Block | None, longest: Floats) -> Edges:
    """Task: return the edges of a tile that may be in the tree, at most one for each vector.

    Args:
        longest: ``(m,)`` a bound on the longest edge between each vector and number 0, infinite where none is known
    """
    other, offset = (left, 0) if right is None else (right, len(left))
    builder = _Builder(left.frame, longest)
    for rows, cols in squares(len(left), None if right is None else len(right)):
        builder.add(left.left[rows] @ other.right[cols].T, rows.start, cols.start + offset)
    one, two, _ = builder.edges()
    at, place = numbers(left, right), two - offset
    return at[one], at[two], left.distances(one, other, place)


class _Builder:
    """The candidate edges of a tile, and the bound of each vector to number 0 by the edges seen so far."""

    def __init__(self, frame: Frame, longest: Floats):
        self.frame = frame
        self.n = len(longest)
        own = np.flatnonzero(longest < inf) if (longest < inf).any() else np.zeros(1, dtype=np.intp)
        # One more node represents number 0; where nothing is known, the tile's first vector does.
        start = np.where(longest[own] < inf, longest[own], 0.0)
        self.known: Edges = (own, np.full(len(own), self.n), start)
        self.longest = longest.copy()
        self.longest[own] = start
        self.found: list[Edges] = []
        self.waiting = 0  # edges in ``found``

    def add(self, scores: Singles, row: int, col: int) -> None:
        """Add the scores of a square that begins at a row and a column; of its upper half where the two are equal."""
        rows, cols = slice(row, row + len(scores)), slice(col, col + scores.shape[1])
        self._attach(rows, cols, scores)
        bound = np.minimum(self._bound(rows)[:, None], self._bound(cols)[None, :])
        one, two = np.divmod(np.flatnonzero(scores > bound), scores.shape[1])
        if row == col:
            one, two = one[one < two], two[one < two]
        self._append(one + row, two + col, scores[one, two])
        if self.waiting > _PENDING or max(self.longest[rows].max(), self.longest[cols].max()) == inf:
            self._shrink()

    def edges(self) -> Edges:
        """Return the seen edges of the tree, without the bounds known before."""
        self._shrink()
        left, right, length = self.found[0]
        return left, right, length

    def _attach(self, rows: slice, cols: slice, scores: Singles) -> None:
        """Join each column without a path yet to the nearest of the rows, if all of these have paths."""
        new = np.flatnonzero(self.longest[cols] == inf)
        if len(new) == 0 or self.longest[rows].max() == inf:
            return
        row = scores[:, new].argmax(axis=0)
        length = self._append(row + rows.start, new + cols.start, scores[row, new])
        self.longest[new + cols.start] = np.maximum(length, self.longest[row + rows.start])
        scores[row, new] = -inf

    def _append(self, left: Indices, right: Indices, scores: Singles) -> Floats:
        length = self.frame.distance(scores)
        self.found.append((left, right, length))
        self.waiting += len(length)
        return length

    def _bound(self, part: slice) -> NDArray[np.float32]:
        """Return the score above which an edge can be in the tree."""
        bound: NDArray[np.float32] = self.frame.score(self.longest[part]).astype(np.float32)
        return bound

    def _shrink(self) -> None:
        """Reduce the edges to the tree of them and the known bounds."""
        left, right, length = tree = _shrunk(self.n + 1, [self.known, *self.found])
        self.longest = _longest(self.n + 1, tree, self.n)[:-1]
        own = right < self.n
        self.found, self.waiting = [(left[own], right[own], length[own])], 0


def _shrunk(n: int, parts: list[Edges]) -> Edges:
    """Return the minimum spanning forest of some edges, each given once."""
    left, right, length = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.argsort(length, kind="stable")
    # By rank, from 1: SciPy reads a zero as no edge, and sums edges that are given twice.
    rank = np.arange(1.0, len(order) + 1)
    graph = scipy.sparse.csr_matrix((rank, (left[order], right[order])), shape=(n, n))
    chosen = order[minimum_spanning_tree(graph, overwrite=True).data.astype(np.intp) - 1]
    return left[chosen], right[chosen], length[chosen]


def _longest(n: int, forest: Edges, root: int = 0) -> Floats:
    """Return the longest edge on the path from each vector to the root, infinite without a path.

    By pointer doubling, since a tree can be as deep as it is large.
    """
    left, right, length = forest
    graph = scipy.sparse.csr_matrix((np.ones(len(left)), (left, right)), shape=(n, n))
    up = breadth_first_order(graph, root, directed=False)[1].astype(np.intp)
    up[root] = root
    longest = np.where(up < 0, inf, 0.0)
    reached = up[left] >= 0
    longest[np.where(up[right] == left, right, left)[reached]] = length[reached]
    up = np.where(up < 0, np.arange(n), up)
    while (up != up[up]).any():
        longest = np.maximum(longest, longest[up])
        up = up[up]
    return longest
