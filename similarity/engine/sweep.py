"""The number of kept samples at every eps, from one pass over the pairs."""

from dataclasses import dataclass

import numpy as np

from . import tiles
from . import vectors as vec
from .distant import cut
from .neighbors import FLOOR, Progress, check_eps, reach
from .pieces import Pieces
from .spanning import spanning_tree
from .tiles import Run
from .vectors import Floats, Indices, Vectors


@dataclass(frozen=True)
class Row:
    """The result of DBSCAN from ``eps`` up to the next row of the sweep."""

    eps: float
    clusters: int
    kept: int
    dropped: int
    noise: int
    largest: int


@dataclass(frozen=True)
class Sweep:
    """The result of DBSCAN at every eps, as a step function; all arrays ``(m,)``.

    Attributes:
        eps: first eps of each result, ascending; valid up to the next
        kept: clusters + noise, kept without cover
        noise: samples labelled -1
        largest: samples of the largest cluster
        n: samples in all
        min_samples: as requested
        metric: as requested
        left, right, length: ``(t,)`` the pairs of samples whose distances decide the merges, shortest first: row
            numbers and distances; without pairs of equal vectors
    """

    eps: Floats
    kept: Indices
    noise: Indices
    largest: Indices
    n: int
    min_samples: int
    metric: str
    left: Indices
    right: Indices
    length: Floats

    def at(self, eps: float) -> Row:
        """Return the row in force at ``eps``.

        Raises:
            ValueError: if ``eps`` is not above 0
        """
        check_eps(eps)
        row = max(0, int(np.searchsorted(self.eps, reach(eps, self.metric), side="right")) - 1)
        kept, noise, largest = (int(column[row]) for column in (self.kept, self.noise, self.largest))
        return Row(float(self.eps[row]), kept - noise, kept, self.n - kept, noise, largest)


def sweep(
    vectors: Vectors | Pieces,
    *,
    min_samples: int = 2,
    metric: str = "cosine",
    run: Run = tiles.here,
    progress: Progress = None,
) -> Sweep:
    """Return the result of :func:`~similarity.engine.clusters.dbscan` at every eps, without running it at each.

    Clusters are the components of the minimum spanning tree, cut at eps. Memory is bounded; time is that of one pass
    over all pairs. Its resolution is that of :func:`~similarity.engine.spanning.spanning_tree`.

    Args:
        vectors: ``(n, d)``; not modified; or in pieces, stored elsewhere
        min_samples (2): 1 or 2, samples within eps, itself included, that make a core sample
        metric ("cosine"): one of :data:`~similarity.engine.vectors.METRICS`
        run (here): computes the tiles
        progress (None): called with (done, total) tiles; may raise to cancel

    Raises:
        ValueError: if an argument is out of bounds or a vector cannot be compared
    """
    check_min_samples(min_samples)
    vec.check(vectors)
    first, group = vec.copies(vectors)
    weights = np.bincount(group, minlength=len(first))
    left, right, length = spanning_tree(cut(vectors, metric, first), run=run, progress=progress)
    floor = reach(0.0, metric)
    # The state after the last edge of each length, and before the first one.
    eps = np.unique(np.append(np.maximum(length, floor), floor))
    joins = np.searchsorted(np.maximum(length, floor), eps, side="right")
    nearest = np.full(len(weights), np.inf)
    np.minimum.at(nearest, left, length)
    np.minimum.at(nearest, right, length)
    alone = np.sort(nearest[weights < min_samples])  # where each vector that can be noise stops being noise
    noise = len(alone) - np.searchsorted(np.maximum(alone, floor), eps, side="right")
    kept = len(first) - joins
    largest = _largest(left, right, weights, min_samples)[joins]
    pairs = (first[left], first[right], length)
    return Sweep(eps, kept, noise, largest, len(vectors), min_samples, metric, *pairs)


def eps_for_target(sweep: Sweep, kept: int) -> tuple[float, int]:
    """Return the eps whose number kept is nearest to ``kept``, and that number; of two, the larger.

    Not every number is possible: samples at the same distance merge together, and equal ones at any eps.
    """
    change = np.flatnonzero(np.diff(sweep.kept, prepend=-1))
    low, numbers = sweep.eps[change], sweep.kept[change]
    best = int(np.lexsort((-numbers, np.abs(numbers - kept)))[0])
    high = float(np.append(low[1:], np.inf)[best])
    # The middle of the window on a log scale.
    eps = (
        np.sqrt(max(low[best], min(FLOOR, high / 2)) * high)
        if high < np.inf
        else max(low[best], FLOOR) * 1.001
    )
    return float(eps), int(numbers[best])


def check_min_samples(min_samples: int) -> None:
    """Raise unless a sweep is possible with ``min_samples``: above 2, border samples belong to no tree.

    Raises:
        ValueError: names the alternative
    """
    if min_samples not in (1, 2):
        raise ValueError(
            f"min_samples is {min_samples}: a sweep and a target need 1 or 2; for more, give eps and no target"
        )


def _largest(left: Indices, right: Indices, weights: Indices, min_samples: int) -> Indices:
    """Return the size of the largest cluster after each number of joins, ``(t + 1,)``; noise is no cluster."""
    size, root = weights.tolist(), list(range(len(weights)))
    most = max((weight for weight in size if weight >= min_samples), default=0)
    found = [most]
    for one, other in zip(left.tolist(), right.tolist(), strict=True):
        while root[one] != one:
            root[one] = one = root[root[one]]
        while root[other] != other:
            root[other] = other = root[root[other]]
        if size[one] < size[other]:
            one, other = other, one
        root[other] = one
        size[one] += size[other]
        most = max(most, size[one])
        found.append(most)
    return np.array(found, dtype=np.intp)
