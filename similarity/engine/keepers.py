"""The choice of the kept samples: the first of each cluster, all noise, and with cover more.

A sample near a reference sample is dropped for it; the others are decided among themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from . import vectors as vec
from .blocks import Block, Frame
from .clusters import NOISE, Labels
from .constraints import Constraints
from .cover import cover as chosen_to_cover
from .neighbors import Progress, check_eps, nearest, reach
from .vectors import Floats, Indices, Vectors

_COLUMNS = 4096


@dataclass(frozen=True)
class Keepers:
    """The kept samples, and for each sample the kept one that represents it.

    Attributes:
        kept: ``(n,)`` bool; not the reference
        kept_index: ``(n,)`` the nearest kept sample of the same cluster, ties by keep order; the own index
            for a kept sample and for the reference; the nearest reference sample for a sample near the reference
        distance: ``(n,)`` to the kept sample, in the metric; 0 for a kept sample
        similarity: ``(n,)`` to the kept sample, in percent; 100 for a kept sample
    """

    kept: NDArray[np.bool_]
    kept_index: Indices
    distance: Floats
    similarity: Floats

    def first(self, n: int) -> Keepers:
        """Return the choice for the first ``n`` samples; others may represent them."""
        return Keepers(self.kept[:n], self.kept_index[:n], self.distance[:n], self.similarity[:n])


def keep(
    vectors: Vectors,
    labels: Labels,
    *,
    eps: float,
    metric: str = "cosine",
    rank: Floats | None = None,
    protected: NDArray[np.bool_] | None = None,
    cover: bool = False,
    constraints: Constraints | None = None,
    progress: Progress = None,
) -> Keepers:
    """Choose the samples to keep: noise, protected ones, and the first of each cluster in keep order.

    A sample that is not protected, and within ``eps`` of a reference sample in its cluster, is dropped for the nearest
    reference sample; the others are decided without it. The keep order is by ``rank``, then by index. Memory is about
    that of the vectors; time grows with cluster size times kept samples of the cluster.

    Args:
        vectors: ``(n, d)``; not modified
        labels: ``(n,)`` from :func:`~similarity.engine.clusters.dbscan`
        eps: the distance the labels were made with; only ``cover`` and a reference use it
        metric ("cosine"): one of :data:`~similarity.engine.vectors.METRICS`
        rank (None): ``(n,)``, smaller is preferred; by default the index
        protected (None): ``(n,)``, always kept
        cover (False): whether to keep, in keep order, also each sample that no kept one of its cluster that may be its
            neighbor is within ``eps`` of (inclusive); without it, a dropped sample's kept one may be no possible neighbor
            where there is no other
        constraints (None): the constraints that the labels were made with
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
    kept = (labels == NOISE) | protected
    limit, kept_index, far = reach(eps, metric), np.arange(n), np.zeros(n, dtype=bool)
    if constraints is not None:
        kept &= ~constraints.reference
        by_reference = _by_reference(vectors, labels, limit, metric, constraints)
        kept_index = np.where(protected, kept_index, by_reference)
        order = order[(~constraints.reference & (kept_index == np.arange(n)))[order]]
    kept[_firsts(labels, order)] = True
    _name_firsts(kept_index, labels, order)
    if cover:
        far = vec.between(vectors, np.arange(n), kept_index, metric=metric) > limit
        if constraints is not None:
            far |= ~constraints.allow(np.arange(n), constraints, kept_index)
    clusters = list(_open_clusters(labels, order, kept, far))
    for done, members in enumerate(clusters):
        if progress is not None:
            progress(done, len(clusters))
        block = _block(vectors, members, metric, constraints)
        if cover:
            front = np.argsort(~kept[members], kind="stable")  # samples kept in any case first
            ordered = block if (np.diff(front) > 0).all() else block.take(front)
            forced = kept[members[front]]
            kept[members[front]] = chosen_to_cover(ordered, np.array([limit]), forced=forced)[0]
        nearest_kept, _ = _nearest(block, block.take(np.flatnonzero(kept[members])))
        kept_index[members] = np.where(nearest_kept < 0, kept_index[members], nearest_kept)
    kept_index[kept] = np.flatnonzero(kept)
    return _keepers(vectors, metric, kept, kept_index)


def first_per_cluster(labels: Labels, protected: NDArray[np.bool_], rank: Floats) -> NDArray[np.bool_]:
    """Return which samples :func:`keep` keeps without ``cover``: noise, protected ones, the first of each cluster."""
    kept: NDArray[np.bool_] = (labels == NOISE) | protected
    kept[_firsts(labels, np.lexsort((np.arange(len(labels)), rank)))] = True
    return kept


def medoid_rank(vectors: Vectors, labels: Labels, *, metric: str = "cosine") -> Floats:
    """Return the total distance ``(n,)`` of each sample to the others of its cluster, 0 for noise.

    As ``rank`` of :func:`keep` it prefers the medoid. It is rounded to nine digits, so that equal totals tie. For
    cosine the time is linear, since the sum of all products with a vector is one product with the sum; for euclidean
    it grows with the square of the cluster size.
    """
    vec.check(vectors)
    total = np.zeros(len(vectors), dtype=np.float64)
    for members in _clusters(labels, np.arange(len(vectors))):
        total[members] = _total_cosine(vectors, members) if metric == "cosine" else _total(vectors, members)
    return total


def _by_reference(
    vectors: Vectors, labels: Labels, limit: float, metric: str, constraints: Constraints
) -> Indices:
    """Return for each sample the nearest reference sample in its cluster, if one is within reach; else itself."""
    result = np.arange(len(labels))
    if not constraints.reference.any():
        return result
    for members in _clusters(labels, result):
        reference = constraints.reference[members]
        if reference.any() and not reference.all():
            block = _block(vectors, members, metric, constraints)
            new = block.take(np.flatnonzero(~reference))
            found, distance = _nearest(new, block.take(np.flatnonzero(reference)))
            near = distance <= limit
            result[new.numbers[near]] = found[near]
    return result


def _block(vectors: Vectors, members: Indices, metric: str, constraints: Constraints | None) -> Block:
    own = vectors[members]
    some = constraints.take(members) if constraints else None
    return Block.of(Frame.of(own, metric), members, own, constraints=some)


def _nearest(block: Block, among: Block) -> tuple[Indices, Floats]:
    """Return the nearest possible neighbor in another block of each vector of a block, of equally near ones the first.

    Returns:
        its number, -1 where there is none, and the distance to it
    """
    best = np.full(len(block), -1, dtype=np.intp)
    closest = np.full(len(block), np.inf)
    for start in range(0, len(among), _COLUMNS):
        rows, found, distance = nearest(block, among.take(slice(start, start + _COLUMNS)), 1)
        better = distance < closest[rows]
        best[rows[better]] = among.numbers[start + found[better]]
        closest[rows[better]] = distance[better]
    return best, closest


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
    """Yield the members of each cluster, in ``order``, without noise."""
    order = order[labels[order] != NOISE]
    order = order[np.argsort(labels[order], kind="stable")]
    starts = np.flatnonzero(np.diff(labels[order])) + 1
    return iter(np.split(order, starts) if len(order) else [])


def _open_clusters(
    labels: Labels, order: Indices, kept: NDArray[np.bool_], far: NDArray[np.bool_]
) -> Iterator[Indices]:
    """Yield the clusters with more than one kept sample, or with a sample that is too far from its first."""
    for members in _clusters(labels, order):
        if len(members) > 1 and (np.count_nonzero(kept[members]) > 1 or far[members].any()):
            yield members


def _firsts(labels: Labels, order: Indices) -> Indices:
    """Return the first member of each cluster."""
    clustered = order[labels[order] != NOISE]
    firsts: Indices = clustered[np.unique(labels[clustered], return_index=True)[1]]
    return firsts


def _name_firsts(kept_index: Indices, labels: Labels, order: Indices) -> None:
    """Set for each sample of ``order`` that is not noise the first of its cluster."""
    firsts = _firsts(labels, order)
    clustered = order[labels[order] != NOISE]
    kept_index[clustered] = firsts[np.searchsorted(labels[firsts], labels[clustered])]


def _total_cosine(vectors: Vectors, members: Indices) -> Floats:
    unit = vec.unit(vectors[members])
    centre = unit.sum(axis=0)
    total: Floats = len(members) - (unit * centre).sum(axis=1)
    return np.round(total, 9)


def _total(vectors: Vectors, members: Indices) -> Floats:
    own = vectors[members].astype(np.float64)
    parts = [cdist(own[part], own).sum(axis=1) for part in vec.chunks(len(own), len(own))]
    return np.round(np.concatenate(parts), 9)
