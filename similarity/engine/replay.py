"""DBSCAN as eps grows: which samples become core, which clusters join, where border samples belong."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import groupby

CORE, EDGE, BORDER = range(3)

Event = tuple[float, int, int, int]
"""From this eps on: a CORE sample (given twice), an EDGE of two core ones, or a BORDER sample meeting a core one."""


class Replay:
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
