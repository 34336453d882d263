"""How well clusters agree with true groups: pairs right and wrong, at every eps, and which pairs confuse.

A group is a number; samples of :data:`UNKNOWN` group take part in the clustering, and no pair with one counts.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from . import neighbors
from . import vectors as vec
from .clusters import NOISE, Labels
from .sweep import Sweep, sweep
from .vectors import Floats, Indices, Vectors

UNKNOWN = -1

Groups = NDArray[np.int64]


@dataclass(frozen=True)
class Pairs:
    """Counts of unordered pairs of samples.

    Attributes:
        joined: in one cluster
        right: of those, of one group
        true: of one group, in one cluster or not
    """

    joined: int
    right: int
    true: int

    @property
    def precision(self) -> float:
        """Share of the joined pairs that are right; 1 where nothing is joined."""
        return self.right / self.joined if self.joined else 1.0

    @property
    def recall(self) -> float:
        """Share of the true pairs that are joined; 1 where there are none."""
        return self.right / self.true if self.true else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2 * self.precision * self.recall / ((self.precision + self.recall) or 1.0)


@dataclass(frozen=True)
class Links:
    """What joins clusters as eps grows: samples ``left[i]`` and ``right[i]`` at ``length[i]``, shortest first.

    Cut at eps, they are the clusters there.
    """

    left: Indices
    right: Indices
    length: Floats


@dataclass(frozen=True)
class Point:
    """What clustering gives from ``eps`` on: the pairs, and how many clusters hold more than one group."""

    eps: float
    pairs: Pairs
    mixed: int


@dataclass(frozen=True)
class Curve:
    """The pairs at every eps, as a step function; arrays ``(m,)``, a row holds from its eps up to the next.

    Attributes:
        eps: ascending
        joined, right: as in :class:`Pairs`
        mixed: clusters of more than one group
        true: as in :class:`Pairs`
    """

    eps: Floats
    joined: Indices
    right: Indices
    mixed: Indices
    true: int

    def at(self, eps: float) -> Point:
        """What clustering gives at ``eps``."""
        return self._point(max(0, int(np.searchsorted(self.eps, eps, side="right")) - 1))

    def best(self) -> Point:
        """The first point of the highest F1."""
        return self._point(int(self.f1.argmax()))

    def clean(self) -> Point | None:
        """The first point of the highest recall without a mixed cluster; None if copies mix."""
        end = int(np.count_nonzero(self.mixed == 0))  # what has mixed stays mixed
        return self._point(int(self.right[:end].argmax())) if end else None

    def _point(self, row: int) -> Point:
        pairs = Pairs(int(self.joined[row]), int(self.right[row]), self.true)
        return Point(float(self.eps[row]), pairs, int(self.mixed[row]))

    @property
    def precision(self) -> Floats:
        """``(m,)``; 1 where nothing is joined."""
        return np.where(self.joined > 0, self.right / np.maximum(self.joined, 1), 1.0)

    @property
    def recall(self) -> Floats:
        """``(m,)``; 1 where there is nothing to be found."""
        return self.right / self.true if self.true else np.ones(len(self.eps))

    @property
    def f1(self) -> Floats:
        """``(m,)``, harmonic mean of precision and recall."""
        total = self.precision + self.recall
        return np.where(total > 0, 2 * self.precision * self.recall / np.where(total > 0, total, 1.0), 0.0)


def number(names: list[str | None]) -> tuple[Groups, list[str]]:
    """Number the groups by first appearance; None becomes :data:`UNKNOWN`.

    Returns:
        the number of each name, and the name of each number
    """
    place: dict[str, int] = {}
    numbers = [UNKNOWN if name is None else place.setdefault(name, len(place)) for name in names]
    return np.array(numbers, dtype=np.int64), list(place)


def pairs(labels: Labels, groups: Groups) -> Pairs:
    """Count the pairs that clusters join, and that they should.

    Args:
        labels: ``(n,)`` cluster numbers, -1 = noise, in a cluster of its own
        groups: ``(n,)`` the true group of each sample
    """
    cluster, group, count = _contingency(labels, groups)
    return Pairs(_within(_total(cluster, count)), _within(count), _within(_total(group, count)))


def mixed(labels: Labels, groups: Groups) -> dict[int, dict[int, int]]:
    """The clusters that hold several groups, the largest first: cluster -> {group: samples}, the most first."""
    found: dict[int, Counter[int]] = {}
    for cluster, group, count in zip(
        *(column.tolist() for column in _contingency(labels, groups)), strict=True
    ):
        found.setdefault(cluster, Counter())[group] = count
    several = [(cluster, counts) for cluster, counts in found.items() if len(counts) > 1]
    several.sort(key=lambda item: (-item[1].total(), item[0]))
    return {cluster: dict(counts.most_common()) for cluster, counts in several}


def pieces(labels: Labels, groups: Groups) -> Indices:
    """In how many clusters each group lies, ``(g,)``; a noise sample is a cluster of its own."""
    _, group, _ = _contingency(labels, groups)
    counted: Indices = np.bincount(group)
    return counted


def links(sweep: Sweep, vectors: Vectors) -> Links:
    """What joins clusters, from a sweep and its vectors; exact copies come first."""
    first, group = vec.copies(vectors)
    core = np.full(len(first), np.inf)
    place = np.searchsorted(first, np.concatenate([sweep.left, sweep.right]))
    np.minimum.at(core, place, np.concatenate([sweep.length, sweep.length]))
    core[np.bincount(group, minlength=len(first)) >= sweep.min_samples] = 0.0
    copy = np.flatnonzero(first[group] != np.arange(len(vectors)))
    left = np.concatenate([first[group[copy]], sweep.left])
    right = np.concatenate([copy, sweep.right])
    length = np.concatenate([core[group[copy]], sweep.length])
    order = np.argsort(length, kind="stable")
    order = order[np.isfinite(length[order])]
    return Links(left[order], right[order], length[order])


def curve(found: Links, groups: Groups, *, metric: str = "cosine") -> Curve:
    """Count the pairs at every eps.

    Args:
        found: from :func:`links`
        groups: ``(n,)`` the true group of each sample
        metric ("cosine"): the one that the links were measured in
    """
    forest = _Forest(groups)
    floor = neighbors.reach(0.0, metric)
    rows = {floor: (0, 0, 0)}
    joins = zip(found.left.tolist(), found.right.tolist(), found.length.tolist(), strict=True)
    for eps, at_once in groupby(joins, key=lambda join: max(join[2], floor)):
        for left, right, _ in at_once:
            forest.join(left, right)
        rows[eps] = (forest.joined, forest.right, forest.mixed)
    joined, right, several = np.array(list(rows.values()), dtype=np.intp).T
    true = _within(np.bincount(groups[groups != UNKNOWN]))
    return Curve(np.array(list(rows)), joined, right, several, true)


def wrong_links(found: Links, groups: Groups, eps: float) -> Links:
    """The links up to ``eps`` between two groups: without them no cluster would mix any."""
    apart = groups[found.left] != groups[found.right]
    known = (groups[found.left] != UNKNOWN) & (groups[found.right] != UNKNOWN)
    chosen = apart & known & (found.length <= eps)
    return Links(found.left[chosen], found.right[chosen], found.length[chosen])


def missing_links(vectors: Vectors, labels: Labels, groups: Groups, *, metric: str = "cosine") -> Links:
    """The shortest links that would make each group whole, shortest first: edges of its spanning tree between clusters."""
    cluster = _alone(labels)
    parts = []
    for group in np.flatnonzero(pieces(labels, groups) > 1):
        members = np.flatnonzero(groups == group)
        found = links(sweep(vectors[members], metric=metric), vectors[members])
        left, right = members[found.left], members[found.right]
        apart = cluster[left] != cluster[right]
        parts.append((left[apart], right[apart], found.length[apart]))
    if not parts:
        return Links(np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0))
    left, right, length = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.argsort(length, kind="stable")
    return Links(left[order], right[order], length[order])


def _alone(labels: Labels) -> Indices:
    """The labels, with a cluster of its own for each noise sample."""
    noise = np.flatnonzero(labels == NOISE)
    cluster: Indices = labels.astype(np.intp)
    cluster[noise] = labels.max(initial=-1) + 1 + np.arange(len(noise))
    return cluster


def _contingency(labels: Labels, groups: Groups) -> tuple[Indices, Indices, Indices]:
    """How many samples each cluster has of each group: ``cluster, group, count``; without unknown groups."""
    known = groups != UNKNOWN
    cells = np.stack([_alone(labels)[known], groups[known]])
    (cluster, group), count = np.unique(cells, axis=1, return_counts=True)
    return cluster, group, count


def _total(keys: Indices, count: Indices) -> Indices:
    total: Indices = np.bincount(keys, weights=count).astype(np.intp)
    return total


def _within(count: Indices) -> int:
    """Pairs inside sets of these sizes."""
    return int((count * (count - 1) // 2).sum())


class _Forest:
    """Clusters that join, and the pairs they come to hold."""

    def __init__(self, groups: Groups):
        self.parent = list(range(len(groups)))
        self.counts = [Counter() if group == UNKNOWN else Counter([group]) for group in groups.tolist()]
        self.joined = self.right = self.mixed = 0

    def join(self, left: int, right: int) -> None:
        small, large = sorted((self._root(left), self._root(right)), key=lambda root: len(self.counts[root]))
        if small == large:
            return
        few, many = self.counts[small], self.counts[large]
        self.joined += few.total() * many.total()
        self.right += sum(count * many[group] for group, count in few.items())
        self.mixed -= (len(few) > 1) + (len(many) > 1)
        many.update(few)
        self.mixed += len(many) > 1
        self.parent[small], self.counts[small] = large, Counter()

    def _root(self, sample: int) -> int:
        parent = self.parent
        while parent[sample] != sample:
            parent[sample] = parent[parent[sample]]
            sample = parent[sample]
        return sample
