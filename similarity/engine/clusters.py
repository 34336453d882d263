"""DBSCAN labels (Ester et al. 1996) from tiles: by scikit-learn where the pairs are stored, else from components."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from sklearn.cluster import DBSCAN

from . import tiles
from . import vectors as vec
from .constraints import Constraints
from .distant import cut
from .neighbors import Progress, check_eps, reach
from .pieces import Pieces
from .tiles import Bools, Run
from .vectors import Indices, Vectors

NOISE = -1

Labels = NDArray[np.int64]
Ask = Callable[..., Iterator[Any]]
"""``tiles.compare`` of some blocks."""

_BYTES_PER_PAIR = 80


def dbscan(
    vectors: Vectors | Pieces,
    *,
    eps: float,
    min_samples: int = 2,
    metric: str = "cosine",
    constraints: Constraints | None = None,
    memory: int = 2**28,
    run: Run = tiles.here,
    progress: Progress = None,
) -> Labels:
    """Return the cluster ``(n,)`` of each vector, -1 for noise, equal to scikit-learn's DBSCAN.

    Clusters are numbered by their first core sample; a border sample of several takes the smallest number.
    Equal vectors are compared once and share a label where the same constraints hold for them. A pair within 1e-6 of
    ``eps`` may fall otherwise than in scikit-learn, which disagrees with itself there between float32 and float64.

    Args:
        vectors: ``(n, d)``; not modified; or in pieces, stored elsewhere
        eps: largest distance between two neighbors, inclusive, above 0; no bound on the extent of a cluster
        min_samples (2): samples within ``eps``, itself included, that make a core sample
        metric ("cosine"): one of :data:`~similarity.engine.vectors.METRICS`
        constraints (None): which vectors may be neighbors; by default all; no other pairs are compared
        memory (256 MiB): bytes for the stored pairs, which ``min_samples`` above 2 needs; beyond, pairs are
            found again instead
        run (here): computes the tiles
        progress (None): called with (done, total) tiles; may raise to cancel

    Raises:
        ValueError: if an argument is out of bounds or a vector cannot be compared
    """
    check_eps(eps)
    if min_samples < 1:
        raise ValueError(f"min_samples must be 1 or more, got {min_samples}; 2 makes every pair a cluster")
    vec.check(vectors)
    if len(vectors) == 0:
        return np.empty(0, dtype=np.int64)
    first, group = vec.copies(vectors, constraints.kinds() if constraints else None)
    order = constraints.take(first).order() if constraints else np.arange(len(first))
    place = np.argsort(order)  # of each vector among the blocks'
    weights, limit = np.bincount(group)[order], reach(eps, metric)
    chosen = first[order]
    blocks = cut(vectors, metric, chosen, constraints.take(chosen) if constraints else None, sketch=True)
    ask = partial(tiles.compare, blocks, run=run, progress=progress)
    core = np.ones(len(first), dtype=bool)
    if min_samples > 2:
        graph = _graph(ask, len(first), limit, memory // _BYTES_PER_PAIR)
        if graph is not None:
            return _by_scikit_learn(graph[place][:, place], weights[place], min_samples)[group]
        core = _core(ask, limit, weights, min_samples)
    root, borders = _components(ask, limit, core)
    if min_samples == 2:
        # With two samples enough, everything in a pair is core: one pass, nothing stored.
        core = np.bincount(root, weights)[root] > 1
    return _numbered(root[place], core[place], (order[borders[0]], order[borders[1]]))[group]


def _graph(ask: Ask, n: int, limit: float, most: int) -> scipy.sparse.csr_matrix | None:
    """Return the neighbor graph, as explicit zeros; None if there are more than ``most`` pairs."""
    found, count = [], 0
    for answer in ask(tiles.near, lambda _: (limit, most)):
        count += most + 1 if answer is None else len(answer[0])
        if count > most:
            return None
        found.append(answer)
    rows, cols = tiles.joined(found)
    own = np.arange(n)
    ends = (np.concatenate([rows, cols, own]), np.concatenate([cols, rows, own]))
    return scipy.sparse.csr_matrix((np.zeros(len(ends[0])), ends), shape=(n, n))


def _by_scikit_learn(graph: scipy.sparse.csr_matrix, weights: Indices, min_samples: int) -> Labels:
    """Return the labels; equal distances save scikit-learn from sorting each row."""
    model = DBSCAN(eps=1.0, min_samples=min_samples, metric="precomputed")
    labels: Labels = model.fit(graph, sample_weight=weights).labels_.astype(np.int64)
    return labels


def _core(ask: Ask, limit: float, weights: Indices, min_samples: int) -> Bools:
    """Return which vectors have enough neighbors, copies counted."""
    counts = weights.copy()

    def known(at: Indices) -> tuple[float, Indices, Indices] | None:
        missing = min_samples - counts[at]
        return (limit, weights[at], missing) if missing.max() > 0 else None

    for numbers, more in ask(tiles.count, known):
        counts[numbers] += more
    return counts >= min_samples


def _components(ask: Ask, limit: float, core: Bools) -> tuple[Indices, tuple[Indices, Indices]]:
    """Return the root of each vector's component, and the core vectors the others touch, one per component and tile."""
    root, borders = np.arange(len(core)), []

    def known(at: Indices) -> tuple[float, Bools, Indices] | None:
        groups = tiles.find(root, at)
        return None if (groups == groups[0]).all() else (limit, core[at], groups.astype(np.int32))

    for (ones, others), touching in ask(tiles.connect, known):
        tiles.unite(root, ones, others)
        borders.append(touching)
    return tiles.find(root, np.arange(len(root))), tiles.joined(borders)


def _numbered(root: Indices, core: Bools, borders: tuple[Indices, Indices]) -> Labels:
    """Return the labels: clusters by their first core vector, a border vector in the first cluster that it touches."""
    labels = np.full(len(root), NOISE, dtype=np.int64)
    members = np.flatnonzero(core)
    _, first, component = np.unique(root[members], return_index=True, return_inverse=True)
    number = np.empty(len(first), dtype=np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    labels[members] = number[component]
    border, touched = borders
    smallest = np.full(len(labels), np.iinfo(np.int64).max)
    np.minimum.at(smallest, border, labels[touched])
    labels[border] = smallest[border]
    return labels
