"""Which sample is kept for which: the first of each cluster, all noise, and more where cover asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import vectors as vec
from .blocks import Block, Frame
from .clusters import NOISE, Labels
from .cover import cover as chosen_to_cover
from .neighbors import Progress, check_eps, nearest, reach
from .vectors import Floats, Indices, Vectors

_COLUMNS = 4096


@dataclass(frozen=True)
class Keepers:
    """What is kept, and for each sample the kept one that stands for it.

    Attributes:
        kept: ``(n,)`` bool
        kept_index: ``(n,)`` the nearest kept sample of the same cluster, ties by keep order; the own index
            for a kept sample
        distance: ``(n,)`` to that sample, in the metric; 0 for a kept sample
        similarity: ``(n,)`` to that sample, in percent; 100 for a kept sample
    """

    kept: NDArray[np.bool_]
    kept_index: Indices
    distance: Floats
    similarity: Floats


def keep(
    vectors: Vectors,
    labels: Labels,
    *,
    eps: float,
    metric: str = "cosine",
    rank: Floats | None = None,
    protected: NDArray[np.bool_] | None = None,
    cover: bool = False,
    progress: Progress = None,
) -> Keepers:
    """Choose the samples to keep: noise, protected ones, and the first of each cluster in keep order.

    The keep order is by ``rank``, then by index. Memory stays near that of the vectors; time grows with cluster size
    times kept samples of the cluster.

    Args:
        vectors: ``(n, d)``; not modified
        labels: ``(n,)`` from :func:`~similarity.engine.clusters.dbscan`
        eps: the distance the labels were made with; only ``cover`` uses it
        metric ("cosine"): one of :data:`~similarity.engine.vectors.METRICS`
        rank (None): ``(n,)``, smaller is preferred; by default the index
        protected (None): ``(n,)``, always kept
        cover (False): whether to keep, in keep order, also each sample that no kept one of its cluster is
            within ``eps`` of (inclusive)
        progress (None): called with (clusters done, clusters in all); may raise to cancel

    Raises:
        ValueError: if lengths disagree, ``rank`` holds NaN, or a vector cannot be compared
    """
    check_eps(eps)
    vec.check(vectors)
    n = len(vectors)
    rank = np.arange(n, dtype=np.float64) if rank is None else np.asarray(rank, dtype=np.float64)
    protected = np.zeros(n, dtype=bool) if protected is None else np.asarray(protected, dtype=bool)
    _check_lengths(n, labels=labels, rank=rank, protected=protected)
    order = np.lexsort((np.arange(n), rank))
    kept = first_per_cluster(labels, protected, rank)
    limit = reach(eps, metric)
    kept_index = _first_of_each(labels, order)
    distance = vec.between(vectors, np.arange(n), kept_index, metric=metric)
    clusters = list(_open_clusters(labels, order, kept, (distance > limit) & cover))
    for done, members in enumerate(clusters):
        if progress is not None:
            progress(done, len(clusters))
        own = vectors[members]
        block = Block.of(Frame.of(own, metric), members, own)
        if cover:
            kept[members] = chosen_to_cover(block, np.array([limit]), forced=kept[members])[0]
        kept_index[members] = _nearest(block, kept[members])
    kept_index[kept] = np.flatnonzero(kept)
    return _keepers(vectors, metric, kept, kept_index)


def first_per_cluster(labels: Labels, protected: NDArray[np.bool_], rank: Floats) -> NDArray[np.bool_]:
    """Return which samples :func:`keep` keeps without ``cover``: noise, protected ones, the first of each cluster."""
    kept: NDArray[np.bool_] = (labels == NOISE) | protected
    kept[_firsts(labels, np.lexsort((np.arange(len(labels)), rank)))] = True
    return kept


def medoid_rank(
    vectors: Vectors, labels: Labels, *, metric: str = "cosine", progress: Progress = None
) -> Floats:
    """Return the total distance ``(n,)`` of each sample to the others of its cluster, 0 for noise.

    As ``rank`` of :func:`keep` it prefers the medoid. Rounded to nine digits, so that samples that tie do
    tie. For cosine the time is linear, since the sum of all products with a vector is one product with the
    sum; for euclidean it grows with the square of the cluster size.
    """
    vec.check(vectors)
    total = np.zeros(len(vectors), dtype=np.float64)
    groups = list(_clusters(labels, np.arange(len(vectors))))
    for done, members in enumerate(groups):
        if progress is not None:
            progress(done, len(groups))
        total[members] = _total_cosine(vectors, members) if metric == "cosine" else _total(vectors, members)
    return total


def _nearest(block: Block, kept: NDArray[np.bool_]) -> Indices:
    """The kept sample nearest to each of a block, as a number; of equally near ones the first."""
    best = np.full(len(block), -1, dtype=np.intp)
    closest = np.full(len(block), np.inf)
    places = np.flatnonzero(kept)
    for start in range(0, len(places), _COLUMNS):
        _, found, distance = nearest(block, block.take(places[start : start + _COLUMNS]), 1)
        better = distance < closest
        best[better] = places[start + found[better]]
        closest[better] = distance[better]
    numbers: Indices = block.numbers[best]
    return numbers


def _keepers(vectors: Vectors, metric: str, kept: NDArray[np.bool_], kept_index: Indices) -> Keepers:
    own = np.arange(len(kept))
    cosine = vec.between(vectors, own, kept_index, metric="cosine")
    distance = cosine if metric == "cosine" else vec.between(vectors, own, kept_index, metric=metric)
    similarity = vec.percent(cosine) if len(kept) else np.empty(0)
    return Keepers(kept, kept_index, distance, similarity)


def _check_lengths(n: int, **arrays: NDArray[np.generic]) -> None:
    for name, array in arrays.items():
        if array.shape != (n,):
            raise ValueError(
                f"{name} must have one value for each of the {n} vectors, got shape {array.shape}"
            )
        if np.isnan(array).any():
            raise ValueError(
                f"{name} holds NaN; give such samples a number, for example a large one to be last"
            )


def _clusters(labels: Labels, order: Indices) -> Iterator[Indices]:
    """The members of each cluster, in ``order``; noise is none."""
    order = order[labels[order] != NOISE]
    order = order[np.argsort(labels[order], kind="stable")]
    starts = np.flatnonzero(np.diff(labels[order])) + 1
    return iter(np.split(order, starts) if len(order) else [])


def _open_clusters(
    labels: Labels, order: Indices, kept: NDArray[np.bool_], far: NDArray[np.bool_]
) -> Iterator[Indices]:
    """The clusters with more than one kept sample, or with a sample that is too far from its first."""
    for members in _clusters(labels, order):
        if len(members) > 1 and (np.count_nonzero(kept[members]) > 1 or far[members].any()):
            yield members


def _firsts(labels: Labels, order: Indices) -> Indices:
    """The first member of each cluster."""
    clustered = order[labels[order] != NOISE]
    firsts: Indices = clustered[np.unique(labels[clustered], return_index=True)[1]]
    return firsts


def _first_of_each(labels: Labels, order: Indices) -> Indices:
    """For each sample the first of its cluster; for noise itself."""
    result = np.arange(len(labels))
    firsts = _firsts(labels, order)
    clustered = labels != NOISE
    result[clustered] = firsts[np.searchsorted(labels[firsts], labels[clustered])]
    return result


def _total_cosine(vectors: Vectors, members: Indices) -> Floats:
    unit = vec.unit(vectors[members])
    centre = unit.sum(axis=0)
    total: Floats = len(members) - (unit * centre).sum(axis=1)
    return np.round(total, 9)


def _total(vectors: Vectors, members: Indices) -> Floats:
    total = np.empty(len(members), dtype=np.float64)
    for i, member in enumerate(members):
        total[i] = vec.between(vectors, np.full(len(members), member), members, metric="euclidean").sum()
    return np.round(total, 9)
