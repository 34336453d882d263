"""How many samples are kept at every eps, from one pass over the pairs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from . import neighbors
from . import vectors as vec
from .nearest import core_distances, nearest
from .neighbors import Progress
from .replay import BORDER, CORE, EDGE, Event, Replay
from .space import Space
from .spanning import Tree, spanning_tree
from .vectors import Floats, Indices, Vectors


@dataclass(frozen=True)
class Row:
    """What DBSCAN finds at ``eps`` and beyond, up to the next row of the sweep."""

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
        eps: where a result begins, ascending; it holds up to the next
        clusters: number of clusters
        kept: clusters + noise, what is kept without cover
        dropped: the others
        noise: samples labelled -1
        largest: samples of the largest cluster
        n: samples in all
        min_samples: as asked for
        metric: as asked for
        eps_max: above this the sweep says nothing
        left, right, length: ``(t,)`` the pairs of samples whose reachability decides what merges, shortest first:
            row numbers and distances; those of equal vectors are not among them
    """

    eps: Floats
    clusters: Indices
    kept: Indices
    dropped: Indices
    noise: Indices
    largest: Indices
    n: int
    min_samples: int
    metric: str
    eps_max: float
    left: Indices
    right: Indices
    length: Floats

    def at(self, eps: float) -> Row:
        """Return the row in force at ``eps``.

        Raises:
            ValueError: if ``eps`` is not above 0, or beyond ``eps_max``
        """
        neighbors.check_eps(eps)
        if eps > self.eps_max:
            raise ValueError(
                f"this sweep goes up to eps {self.eps_max:g}, got {eps:g}; sweep further or ask for less"
            )
        row = max(0, int(np.searchsorted(self.eps, neighbors.reach(eps, self.metric), side="right")) - 1)
        columns = (self.clusters, self.kept, self.dropped, self.noise, self.largest)
        return Row(float(self.eps[row]), *(int(column[row]) for column in columns))


def sweep(
    vectors: Vectors,
    *,
    min_samples: int = 2,
    metric: str = "cosine",
    eps_max: float | None = None,
    progress: Progress = None,
) -> Sweep:
    """Return what :func:`~similarity.engine.clusters.dbscan` finds at every eps, without running it at each.

    Clusters of core samples are the components of the minimum spanning tree under mutual reachability
    (Campello et al. 2013), cut at eps; border samples join as in DBSCAN. Memory is bounded; time is that of
    one pass over all pairs (two for ``min_samples`` above 2).

    Args:
        vectors: ``(n, d)``; not modified
        min_samples (2): samples within eps, itself included, that make a core sample
        metric ("cosine"): one of :data:`~similarity.engine.vectors.METRICS`
        eps_max (None): the largest eps of interest, by default all; a small one makes it much quicker where
            ``min_samples`` is 1 or 2
        progress (None): called with (done, total) tiles; may raise to cancel

    Raises:
        ValueError: if an argument is out of bounds or a vector cannot be compared
    """
    if min_samples < 1:
        raise ValueError(f"min_samples must be 1 or more, got {min_samples}")
    if eps_max is not None:
        neighbors.check_eps(eps_max)
    limit = np.inf if eps_max is None else eps_max
    vec.check(vectors)
    first, group = vec.copies(vectors)
    replay = Replay(np.bincount(group, minlength=len(first)).tolist(), min_samples)
    none = np.empty(0, dtype=np.intp)
    tree = Tree(none, none, np.empty(0))
    if len(vectors) >= min_samples:
        # The search for nearest ones goes by row, and needs all distances anyway.
        few = limit < np.inf and min_samples <= 2 and len(first) > neighbors.TILE
        space = Space(vectors[first], metric, arrange=few)
        replay.events, tree = _events(space, np.bincount(group), min_samples, limit, progress)
    floor = neighbors.reach(0.0, metric)
    rows = [(eps, *state) for eps, state in replay.run(floor) if eps <= limit or eps == floor]
    table = np.array(rows, dtype=np.float64)
    clusters, noise, largest = table[:, 1:].astype(np.intp).T
    kept = clusters + noise
    n = len(vectors)
    counts = (table[:, 0], clusters, kept, n - kept, noise, largest)
    pairs = (first[tree.left], first[tree.right], tree.distance)
    return Sweep(*counts, n, min_samples, metric, float(limit), *pairs)


def eps_for_target(sweep: Sweep, kept: int) -> tuple[float, int]:
    """Return the eps whose number kept is nearest to ``kept``, and that number; of two, the larger.

    Not every number can be had: samples at the same distance merge together, and copies at any eps.

    Raises:
        ValueError: if ``kept`` is below 1 or above the number of samples
    """
    if not 1 <= kept <= max(1, sweep.n):
        raise ValueError(f"the number to keep must be between 1 and {sweep.n}, got {kept}")
    low, high, numbers = _windows(sweep)
    best = int(np.lexsort((-numbers, np.abs(numbers - kept)))[0])
    return _inside(float(low[best]), float(high[best])), int(numbers[best])


def _windows(sweep: Sweep) -> tuple[Floats, Floats, Indices]:
    """Stretches ``[low, high)`` of eps over which the number kept is the same, ascending."""
    change = np.flatnonzero(np.diff(sweep.kept, prepend=-1))
    low = sweep.eps[change]
    return low, np.append(low[1:], sweep.eps_max), sweep.kept[change]


def _inside(low: float, high: float) -> float:
    """The middle of a window on a log scale."""
    if np.isinf(high):
        return max(low, neighbors.FLOOR) * 1.001
    return float(np.sqrt(max(low, min(neighbors.FLOOR, high / 2)) * high))


def _events(
    space: Space, weights: Indices, min_samples: int, limit: float, progress: Progress
) -> tuple[list[Event], Tree]:
    """What happens as eps grows: a sample becomes core, two cores join, a border sample meets a core."""
    if min_samples > 2:
        near, distance = nearest(space, min_samples - 1, progress)
        core = core_distances(distance, weights[near], weights, min_samples)
        tree = spanning_tree(space, core, progress=progress)
    else:
        tree = spanning_tree(space, limit=max(limit, neighbors.reach(0.0, space.metric)), progress=progress)
        core = np.where(weights >= min_samples, 0.0, np.inf)
        np.minimum.at(core, tree.left, tree.distance)
        np.minimum.at(core, tree.right, tree.distance)
        core = np.where(weights >= min_samples, 0.0, core)
        near, distance = np.empty((0, 0), dtype=np.intp), np.empty((0, 0))
    own = np.flatnonzero(np.isfinite(core))
    events = list(zip(core[own].tolist(), [CORE] * len(own), own.tolist(), own.tolist(), strict=True))
    edges = (tree.distance.tolist(), [EDGE] * len(tree.left), tree.left.tolist(), tree.right.tolist())
    events.extend(zip(*edges, strict=True))
    events.extend(_border_events(core, near, distance))
    return sorted(events), tree


def _border_events(core: Floats, near: Indices, distance: Floats) -> Iterator[Event]:
    """A sample is border to a core one from their reachability on, until it is core itself."""
    if near.size == 0:
        return iter(())
    meets = np.maximum(distance, core[near])
    sample, place = np.nonzero(meets < core[:, None])
    kinds = [BORDER] * len(sample)
    return zip(
        meets[sample, place].tolist(), kinds, sample.tolist(), near[sample, place].tolist(), strict=True
    )
