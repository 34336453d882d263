"""DBSCAN labels (Ester et al. 1996), by scikit-learn where the pairs are stored, else streamed."""

from __future__ import annotations

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from sklearn.cluster import DBSCAN

from . import neighbors
from . import vectors as vec
from .neighbors import Block, Progress
from .space import Space
from .vectors import Indices, Vectors

NOISE = -1

Labels = NDArray[np.int64]


def dbscan(
    vectors: Vectors,
    *,
    eps: float,
    min_samples: int = 2,
    metric: str = "cosine",
    memory: int = 2**30,
    progress: Progress = None,
) -> Labels:
    """Return the cluster ``(n,)`` of each vector, -1 for noise, equal to scikit-learn's DBSCAN.

    Clusters are numbered by their first core sample; a border sample of several takes the smallest number.
    Equal vectors are compared once and always share a label. A pair within 1e-6 of ``eps`` may fall otherwise
    than in scikit-learn, which disagrees with itself there between float32 and float64.

    Args:
        vectors: ``(n, d)``; not modified
        eps: largest distance between two neighbors, inclusive, above 0; no bound on the extent of a cluster
        min_samples (2): samples within ``eps``, itself included, that make a core sample
        metric ("cosine"): one of :data:`~similarity.engine.vectors.METRICS`
        memory (1 GiB): bytes that the pairs may take where they are stored, which is where ``min_samples`` is
            above 2; beyond, they are found again instead
        progress (None): called with (done, total) tiles; may raise to cancel

    Raises:
        ValueError: if an argument is out of bounds or a vector cannot be compared
    """
    neighbors.check_eps(eps)
    if min_samples < 1:
        raise ValueError(f"min_samples must be 1 or more, got {min_samples}; 2 makes every pair a cluster")
    vec.check(vectors)
    if len(vectors) == 0:
        return np.empty(0, dtype=np.int64)
    first, group = vec.copies(vectors)
    weights, distinct = np.bincount(group), vectors if len(first) == len(vectors) else vectors[first]
    space = Space(distinct, metric, arrange=len(distinct) > neighbors.TILE)
    limit = neighbors.reach(eps, metric)
    # With two samples enough, everything in a pair is core: one pass, nothing stored, three times as fast.
    graph = None
    if min_samples > 2:
        graph = neighbors.graph_of(space, limit, memory=memory, progress=progress)
    if graph is not None:
        labels = _stored(graph, weights, min_samples)
    else:
        labels = _Streamed(space, weights, limit, min_samples, progress).labels()
    return labels[group]


def _stored(graph: scipy.sparse.csr_matrix, weights: Indices, min_samples: int) -> Labels:
    # Who is a neighbor is decided already; equal distances spare scikit-learn sorting each row by them.
    graph.data[:] = 0.0
    model = DBSCAN(eps=1.0, min_samples=min_samples, metric="precomputed")
    labels: Labels = model.fit(graph, sample_weight=weights).labels_.astype(np.int64)
    return labels


class _Streamed:
    """DBSCAN in memory proportional to n: neighbor counts, then unions of core samples, then borders."""

    def __init__(self, space: Space, weights: Indices, limit: float, min_samples: int, progress: Progress):
        self.space = space
        self.limit = limit
        self.progress = progress
        self.core = self._core(weights, min_samples) if min_samples > 2 else np.ones(len(space), dtype=bool)
        self.lonely = (weights < min_samples) & (min_samples == 2)
        self.root = np.arange(len(space))
        self.pending: list[tuple[Indices, Indices]] = []
        self.waiting = 0  # pairs in ``pending``
        self.border: list[tuple[Indices, Indices]] = []

    def labels(self) -> Labels:
        for block in neighbors.blocks(self.space, self.limit, groups=self.root, progress=self.progress):
            self._add(block)
        self._unite()
        labels = np.full(len(self.space), NOISE, dtype=np.int64)
        members = np.flatnonzero(self.core & ~self.lonely)
        _, first, component = np.unique(self.root[members], return_index=True, return_inverse=True)
        number = np.empty(len(first), dtype=np.int64)
        number[np.argsort(first)] = np.arange(len(first))
        labels[members] = number[component]
        return self._assign_borders(labels)

    def _core(self, weights: Indices, min_samples: int) -> NDArray[np.bool_]:
        counts = weights.copy()

        def core_already(rows: Indices, cols: Indices) -> bool:
            return bool(min(counts[rows].min(), counts[cols].min()) >= min_samples)

        for block in neighbors.blocks(self.space, self.limit, skip=core_already, progress=self.progress):
            np.add.at(counts, block.rows, weights[block.cols])
            np.add.at(counts, block.cols, weights[block.rows])
        result: NDArray[np.bool_] = counts >= min_samples
        return result

    def _add(self, block: Block) -> None:
        left, right = self.core[block.rows], self.core[block.cols]
        self.lonely[block.rows] = self.lonely[block.cols] = False
        if not (left & right).all():
            self.border.append((block.rows[~left & right], block.cols[~left & right]))
            self.border.append((block.cols[left & ~right], block.rows[left & ~right]))
        apart = left & right & (self.root[block.rows] != self.root[block.cols])
        self.pending.append((block.rows[apart], block.cols[apart]))
        self.waiting += int(np.count_nonzero(apart))
        if self.waiting > len(self.root):
            self._unite()

    def _unite(self) -> None:
        """Join the components that pending pairs connect."""
        n = len(self.root)
        rows, cols = _joined_lists(self.pending)
        edges = (np.ones(len(rows), dtype=bool), (self.root[rows], self.root[cols]))
        component = connected_components(scipy.sparse.coo_matrix(edges, shape=(n, n)), directed=False)[1]
        self.root[:] = component[self.root]
        self.pending, self.waiting = [], 0

    def _assign_borders(self, labels: Labels) -> Labels:
        samples, cores = _joined_lists(self.border)
        smallest = np.full(len(labels), np.iinfo(np.int64).max)
        np.minimum.at(smallest, samples, labels[cores])
        found = np.unique(samples)
        labels[found] = smallest[found]
        return labels


def _joined_lists(parts: list[tuple[Indices, Indices]]) -> tuple[Indices, Indices]:
    empty = np.empty(0, dtype=np.intp)
    return (
        np.concatenate([empty, *(left for left, _ in parts)]),
        np.concatenate([empty, *(right for _, right in parts)]),
    )
