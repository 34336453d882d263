"""Cover: vectors kept so that each other one is near a kept one; and their number, at several eps at once."""

import numpy as np

from . import vectors as vec
from .blocks import Block, Frame
from .neighbors import Progress, reach
from .sweep import Sweep
from .tiles import Bools
from .vectors import Floats, Indices, Singles, Vectors

_ROWS = 512  # decided together; every pair within them is compared
_COLUMNS = 8192


def kept_with_cover(vectors: Vectors, swept: Sweep, grid: Floats, *, progress: Progress = None) -> Indices:
    """Return how many :func:`~similarity.engine.keepers.keep` keeps with ``cover`` at each eps, ``(g,)``.

    The keep order is that of the rows, and nothing is protected. The numbers are exact, and not monotonic: a larger
    eps may keep more. One pass over the pairs suffices for all eps. No pair is stored: memory is about that of the
    vectors, and g flags for each.

    Args:
        vectors: ``(n, d)``, the swept ones; not modified
        grid: ``(g,)`` values of eps, 0 or more; 0 means the smallest possible one
        progress (None): called with (done, total) vectors; may raise to cancel
    """
    # A copy is covered by the vector that covers, or is, the first of its kind. Samples within reach of each other
    # share a cluster, and noise is in reach of nothing: the labels decide nothing.
    first, _ = vec.copies(vectors)
    block = Block.of(Frame.of(vectors, swept.metric), first, vectors, first)
    limits = np.array([reach(eps, swept.metric) for eps in grid])
    counts: Indices = cover(block, limits, progress=progress).sum(axis=1)
    return counts


def cover(block: Block, limits: Floats, *, forced: Bools | None = None, progress: Progress = None) -> Bools:
    """Choose vectors, in order, without a possible neighbor chosen before within a limit; for each limit separately.

    Args:
        forced (None): ``(n,)`` the vectors chosen in any case; they come first
        progress (None): called with (done, total) vectors; may raise to cancel

    Returns:
        ``(g, n)`` the chosen vectors at each limit
    """
    covering = _Covering(block, limits, np.zeros(len(block), dtype=bool) if forced is None else forced)
    n = len(block)
    for start in range(0, n, _ROWS):
        if progress is not None:
            progress(start, n)
        rows = np.arange(start, min(n, start + _ROWS))
        covering.choose(rows)
        for left in range(start + _ROWS, n, _COLUMNS):
            covering.reach(rows, np.arange(left, min(n, left + _COLUMNS)))
    if progress is not None:
        progress(n, n)
    return covering.chosen


class _Covering:
    """The greedy choice at every limit, row by row."""

    def __init__(self, block: Block, limits: Floats, forced: Bools):
        self.block = block
        self.limits = limits
        self.slack = block.frame.slack
        self.cuts = [float(block.frame.score(limit)) for limit in limits]
        self.covered = np.zeros((len(limits), len(block)), dtype=bool)
        self.forced = forced
        self.chosen = np.repeat(forced[None, :], len(limits), axis=0)

    def choose(self, rows: Indices) -> None:
        """Choose among some rows, in order."""
        scores = self.block.products(rows, self.block, rows)
        scores[np.tril_indices(len(rows))] = -np.inf
        best = scores.max(axis=0)
        forced = self.forced[rows]
        for g in range(len(self.limits)):
            open_ = ~self.covered[g, rows] | forced
            later = np.flatnonzero(open_ & (best >= self.cuts[g] - self.slack))
            earlier = np.flatnonzero(open_)
            row, col = np.nonzero(scores[np.ix_(earlier, later)] >= self.cuts[g] - self.slack)
            row, col = earlier[row], later[col]
            near = self._near(g, rows[row], rows[col], scores[row, col])
            chosen = _greedy(open_, forced, row[near], col[near])
            self.chosen[g, rows[chosen]] = True

    def reach(self, rows: Indices, cols: Indices) -> None:
        """Cover the columns within reach of the chosen ones of some rows."""
        rows = rows[self.chosen[:, rows].any(axis=0)]
        cols = cols[~self.covered[:, cols].all(axis=0)]
        if len(rows) == 0 or len(cols) == 0:
            return
        scores = self.block.products(rows, self.block, cols)
        best = scores.max(axis=0)
        top = float(best.max())
        for g in range(len(self.limits)):
            if top >= self.cuts[g] - self.slack:
                within = np.flatnonzero(~self.covered[g, cols] & (best >= self.cuts[g] - self.slack))
                chosen = np.flatnonzero(self.chosen[g, rows])
                if len(within) and len(chosen):
                    reached = self._reached(g, rows[chosen], cols[within], scores[np.ix_(chosen, within)])
                    self.covered[g, cols[within[reached]]] = True

    def _reached(self, g: int, rows: Indices, cols: Indices, scores: Singles) -> Bools:
        """Return which of ``cols`` at least one of ``rows`` reaches: by the nearest first, then by the others in doubt."""
        nearest_row = scores.argmax(axis=0)
        place = np.arange(len(cols))
        reached = self._near(g, rows[nearest_row], cols, scores[nearest_row, place])
        doubtful = np.flatnonzero(~reached & (scores[nearest_row, place] >= self.cuts[g] - self.slack))
        row, col = np.nonzero(scores[:, doubtful] >= self.cuts[g] - self.slack)
        col = doubtful[col]
        reached[col[self._near(g, rows[row], cols[col], scores[row, col])]] = True
        return reached

    def _near(self, g: int, rows: Indices, cols: Indices, scores: Singles) -> Bools:
        """Return which pairs are in reach, decided in float64 where rounding could decide."""
        near: Bools = scores > self.cuts[g] + self.slack
        doubtful = np.flatnonzero(~near & (scores >= self.cuts[g] - self.slack))
        near[doubtful] = self.block.distances(rows[doubtful], self.block, cols[doubtful]) <= self.limits[g]
        return near


def _greedy(open_: Bools, forced: Bools, row: Indices, col: Indices) -> Bools:
    """Choose the forced ones, then in order each open one out of reach of all chosen before it.

    Args:
        open_, forced: ``(n,)``
        row, col: ``(m,)`` the pairs of open ones in reach of each other, ``row < col``
    """
    undecided = open_.copy()
    chosen = np.zeros(len(open_), dtype=bool)
    while undecided.any():
        new = undecided.copy()
        new[col] = False
        new |= forced & undecided
        chosen |= new
        undecided &= ~new
        undecided[col[new[row]]] = False
        left = undecided[row] & undecided[col]
        row, col = row[left], col[left]
    return chosen
