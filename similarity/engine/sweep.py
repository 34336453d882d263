"""How many samples are kept at every eps, from one pass over the pairs."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from . import neighbors
from . import vectors as vec
from .neighbors import Progress
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
            row numbers and distances; exact copies are not among them
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
    replay = _Replay(np.bincount(group, minlength=len(first)).tolist(), min_samples)
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


_CORE, _EDGE, _BORDER = range(3)

Event = tuple[float, int, int, int]


def _events(
    space: Space, weights: Indices, min_samples: int, limit: float, progress: Progress
) -> tuple[list[Event], Tree]:
    """What happens as eps grows: a sample becomes core, two cores join, a border sample meets a core."""
    if min_samples > 2:
        near, distance = _nearest(space, min_samples - 1, progress)
        core = _core_distances(distance, weights[near], weights, min_samples)
        tree = spanning_tree(space, core, progress=progress)
    else:
        tree = spanning_tree(space, limit=max(limit, neighbors.reach(0.0, space.metric)), progress=progress)
        core = np.where(weights >= min_samples, 0.0, np.inf)
        np.minimum.at(core, tree.left, tree.distance)
        np.minimum.at(core, tree.right, tree.distance)
        core = np.where(weights >= min_samples, 0.0, core)
        near, distance = np.empty((0, 0), dtype=np.intp), np.empty((0, 0))
    own = np.flatnonzero(np.isfinite(core))
    events = list(zip(core[own].tolist(), [_CORE] * len(own), own.tolist(), own.tolist(), strict=True))
    edges = (tree.distance.tolist(), [_EDGE] * len(tree.left), tree.left.tolist(), tree.right.tolist())
    events.extend(zip(*edges, strict=True))
    events.extend(_border_events(core, near, distance))
    return sorted(events), tree


def _border_events(core: Floats, near: Indices, distance: Floats) -> Iterator[Event]:
    """A sample is border to a core one from their reachability on, until it is core itself."""
    if near.size == 0:
        return iter(())
    meets = np.maximum(distance, core[near])
    sample, place = np.nonzero(meets < core[:, None])
    kinds = [_BORDER] * len(sample)
    return zip(
        meets[sample, place].tolist(), kinds, sample.tolist(), near[sample, place].tolist(), strict=True
    )


def _nearest(space: Space, k: int, progress: Progress) -> tuple[Indices, Floats]:
    """The ``k`` nearest others of each vector (fewer where there are not as many), nearest first."""
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


def _core_distances(distance: Floats, near_weights: Indices, weights: Indices, min_samples: int) -> Floats:
    """The eps from which each vector is core, copies counted; infinite if never."""
    reached = weights[:, None] + np.cumsum(near_weights, axis=1)
    enough = (
        np.argmax(reached >= min_samples, axis=1) if distance.shape[1] else np.zeros(len(weights), np.intp)
    )
    core = np.full(len(weights), np.inf)
    if distance.shape[1]:
        core = np.where(reached[:, -1] >= min_samples, distance[np.arange(len(weights)), enough], np.inf)
    return np.where(weights >= min_samples, 0.0, core)


class _Replay:
    """Plays events in the order of eps and counts clusters, noise and the largest cluster after each."""

    def __init__(self, weights: list[int], min_samples: int):
        n = len(weights)
        self.weights = weights
        self.events: list[Event] = []
        self.parent = list(range(n))
        self.core = [False] * n
        self.size = [0] * n
        self.borders: list[set[int]] = [set() for _ in range(n)] if min_samples > 2 else []
        self.meets: dict[int, list[int]] = {}
        self.home: dict[int, int] = {}
        self.clusters = 0
        self.noise = sum(weights)
        self.heap: list[tuple[int, int]] = []

    def run(self, floor: float) -> Iterator[tuple[float, tuple[int, int, int]]]:
        """Yield eps and (clusters, noise, largest) wherever they change, the first at ``floor``."""
        last = None
        for eps, events in groupby(self.events, key=lambda event: max(event[0], floor)):
            if last is None and eps > floor:
                last = (self.clusters, self.noise, 0)
                yield floor, last
            changed: set[int] = set()
            for _, kind, left, right in events:
                (self._activate, self._join, self._meet)[kind](left, right, changed)
            for sample in changed:
                self._settle(sample)
            state = (self.clusters, self.noise, self._largest())
            if state != last:
                last = state
                yield eps, state
        if last is None:
            yield floor, (self.clusters, self.noise, 0)

    def _activate(self, sample: int, _: int, changed: set[int]) -> None:
        home = self.home.pop(sample, None)
        if home is None:
            self.noise -= self.weights[sample]
        else:
            self._resize(self._root(home), -self.weights[sample])
        self.core[sample] = True
        self.clusters += 1
        self._resize(sample, self.weights[sample])

    def _join(self, left: int, right: int, changed: set[int]) -> None:
        # The smaller root wins: it is the cluster's first core sample, which gives the cluster its place.
        first, other = sorted((self._root(left), self._root(right)))
        self.parent[other] = first
        self.clusters -= 1
        self._resize(first, self.size[other])
        if self.borders:
            changed |= self.borders[other]
            small, large = sorted((self.borders[first], self.borders[other]), key=len)
            large |= small
            self.borders[first], self.borders[other] = large, set()

    def _meet(self, sample: int, core: int, changed: set[int]) -> None:
        self.meets.setdefault(sample, []).append(core)
        self.borders[self._root(core)].add(sample)
        changed.add(sample)

    def _settle(self, sample: int) -> None:
        """Give a border sample to the first of the clusters it meets."""
        if self.core[sample]:
            return
        new = min(self._root(core) for core in self.meets[sample])
        old = self.home.get(sample)
        if old is None:
            self.noise -= self.weights[sample]
        else:
            self._resize(self._root(old), -self.weights[sample])
        self._resize(new, self.weights[sample])
        self.home[sample] = new

    def _resize(self, root: int, weight: int) -> None:
        self.size[root] += weight
        heapq.heappush(self.heap, (-self.size[root], root))

    def _largest(self) -> int:
        while self.heap:
            size, root = self.heap[0]
            if self.parent[root] == root and self.size[root] == -size:
                return -size
            heapq.heappop(self.heap)
        return 0

    def _root(self, sample: int) -> int:
        parent = self.parent
        while parent[sample] != sample:
            parent[sample] = parent[parent[sample]]
            sample = parent[sample]
        return sample
