"""The certificate of a decision: the distance of each dropped sample to its kept one."""

from dataclasses import dataclass

import numpy as np

from .clusters import NOISE, Labels
from .keepers import Keepers
from .neighbors import reach

ALARMING_SHARE = 0.5


@dataclass(frozen=True)
class Certificate:
    """The loss by dropping, in plain Python values.

    Attributes:
        worst_similarity: the smallest similarity of a dropped sample to its kept one, in percent; 100 where nothing is
            dropped
        beyond_eps: dropped samples farther than eps from their kept one
        spreads: cluster -> the largest distance from one of its samples to the kept one that represents it
        largest_share: share of all samples that are in the largest cluster, 0 to 1
        alarm: whether ``largest_share`` is more than half
    """

    worst_similarity: float
    beyond_eps: int
    spreads: dict[int, float]
    largest_share: float
    alarm: bool


def certify(labels: Labels, keepers: Keepers, *, eps: float, metric: str = "cosine") -> Certificate:
    """Return the certificate of a choice by :func:`~similarity.engine.keepers.keep`.

    Args:
        labels: ``(n,)``, as given to ``keep``
        eps: as given to ``keep``
        metric ("cosine"): as given to ``keep``
    """
    members = np.flatnonzero(labels != NOISE)
    numbers, cluster, sizes = np.unique(labels[members], return_inverse=True, return_counts=True)
    spreads = np.zeros(len(numbers))
    np.maximum.at(spreads, cluster, keepers.distance[members])
    share = float(sizes.max(initial=0)) / max(1, len(labels))
    return Certificate(
        worst_similarity=float(keepers.similarity.min(initial=100.0)),
        beyond_eps=int(np.count_nonzero(keepers.distance > reach(eps, metric))),
        spreads=dict(zip(numbers.tolist(), spreads.tolist(), strict=True)),
        largest_share=share,
        alarm=share > ALARMING_SHARE,
    )
