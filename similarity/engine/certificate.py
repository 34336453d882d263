"""The certificate of a decision: the distance of each dropped sample to its kept one."""

from dataclasses import dataclass

import numpy as np

from .clusters import NOISE, Labels
from .keepers import Keepers
from .neighbors import reach

ALARMING_SHARE = 0.5


@dataclass(frozen=True)
class Certificate:
    """The loss caused by the dropped samples, in plain Python values.

    Attributes:
        worst_similarity: the smallest similarity of a dropped sample to its kept one, in percent; 100 where nothing is
            dropped
        beyond_eps: dropped samples farther than eps from their kept one
        largest_share: share of all samples that are in the largest cluster, 0 to 1
        alarm: whether ``largest_share`` is more than half
    """

    worst_similarity: float
    beyond_eps: int
    largest_share: float
    alarm: bool


def certify(labels: Labels, keepers: Keepers, *, eps: float, metric: str = "cosine") -> Certificate:
    """Return the certificate of a choice by :func:`~similarity.engine.keepers.keep`.

    Args:
        labels: ``(n,)``, as given to ``keep``
        eps: as given to ``keep``
        metric ("cosine"): as given to ``keep``
    """
    sizes = np.unique(labels[labels != NOISE], return_counts=True)[1]
    share = float(sizes.max(initial=0)) / max(1, len(labels))
    return Certificate(
        worst_similarity=float(keepers.similarity.min(initial=100.0)),
        beyond_eps=int(np.count_nonzero(keepers.distance > reach(eps, metric))),
        largest_share=share,
        alarm=share > ALARMING_SHARE,
    )
