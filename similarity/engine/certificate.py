"""The proof of what was left out: how far each dropped sample is from the one kept for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import vectors as vec
from .clusters import NOISE, Labels
from .keepers import Keepers
from .neighbors import reach
from .vectors import Indices, Vectors

ALARMING_SHARE = 0.5


@dataclass(frozen=True)
class Pair:
    """A dropped sample and the kept one that stands for it; ``similarity`` in percent."""

    index: int
    kept_index: int
    distance: float
    similarity: float


@dataclass(frozen=True)
class Spread:
    """How far a cluster reaches.

    Attributes:
        label: its number
        size: its samples
        kept: those kept
        spread: the largest distance from a sample to the kept one that stands for it
        across: a distance between two of its samples, at least half the largest there is: of the sample
            farthest from the first kept one, to the sample farthest from that
    """

    label: int
    size: int
    kept: int
    spread: float
    across: float


@dataclass(frozen=True)
class Certificate:
    """What dropping costs, in plain Python values.

    Attributes:
        dropped: samples that are not kept
        worst_distance: the largest distance from a dropped sample to its kept one; 0 where nothing is dropped
        worst_similarity: the smallest such similarity, in percent; 100 where nothing is dropped
        beyond_eps: dropped samples farther than eps from their kept one
        worst: the worst pairs, worst first, ties by index
        spreads: one per cluster, by label
        largest_share: share of all samples that the largest cluster holds, 0 to 1
        alarm: whether that is more than half
    """

    dropped: int
    worst_distance: float
    worst_similarity: float
    beyond_eps: int
    worst: tuple[Pair, ...]
    spreads: tuple[Spread, ...]
    largest_share: float
    alarm: bool


def certify(
    labels: Labels,
    keepers: Keepers,
    *,
    vectors: Vectors,
    eps: float,
    metric: str = "cosine",
    worst: int = 100,
) -> Certificate:
    """Return the certificate of what :func:`~similarity.engine.keepers.keep` chose.

    Args:
        labels: ``(n,)``, as given to ``keep``
        keepers: what it returned
        vectors: ``(n, d)``, as given to ``keep``; not modified
        eps: as given to ``keep``
        metric ("cosine"): as given to ``keep``
        worst (100): how many of the worst pairs to list
    """
    dropped = np.flatnonzero(~keepers.kept)
    distance = keepers.distance[dropped]
    listed = dropped[np.lexsort((dropped, -distance))][:worst]
    spreads = _spreads(labels, keepers, vectors, metric)
    share = max((spread.size for spread in spreads), default=0) / max(1, len(labels))
    return Certificate(
        dropped=len(dropped),
        worst_distance=float(distance.max(initial=0.0)),
        worst_similarity=float(keepers.similarity.min(initial=100.0)),
        beyond_eps=int(np.count_nonzero(distance > reach(eps, metric))),
        worst=tuple(_pair(keepers, int(index)) for index in listed),
        spreads=spreads,
        largest_share=share,
        alarm=share > ALARMING_SHARE,
    )


def _pair(keepers: Keepers, index: int) -> Pair:
    return Pair(
        index=index,
        kept_index=int(keepers.kept_index[index]),
        distance=float(keepers.distance[index]),
        similarity=float(keepers.similarity[index]),
    )


def _spreads(labels: Labels, keepers: Keepers, vectors: Vectors, metric: str) -> tuple[Spread, ...]:
    members = np.flatnonzero(labels != NOISE)
    if len(members) == 0:
        return ()
    members = members[np.argsort(labels[members], kind="stable")]
    starts = np.flatnonzero(np.diff(labels[members], prepend=NOISE))
    sizes = np.diff(starts, append=len(members))
    spread = np.maximum.reduceat(keepers.distance[members], starts)
    kept = np.add.reduceat(keepers.kept[members].astype(np.int64), starts)
    across = _across(members, starts, sizes, keepers, vectors, metric)
    columns = (labels[members[starts]], sizes, kept, spread, across)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return tuple(Spread(*row) for row in rows)


def _across(
    members: Indices, starts: Indices, sizes: Indices, keepers: Keepers, vectors: Vectors, metric: str
) -> np.ndarray:
    """Per cluster the distance of the member farthest from a kept one to the member farthest from that."""
    kept_first = np.lexsort((~keepers.kept[members], np.repeat(np.arange(len(starts)), sizes)))[starts]
    pivot = members[kept_first]
    for _ in range(2):
        distance = vec.between(vectors, members, np.repeat(pivot, sizes), metric=metric)
        cluster = np.repeat(np.arange(len(starts)), sizes)
        farthest = np.lexsort((-distance, cluster))[starts]
        pivot = members[farthest]
    return distance[farthest]
