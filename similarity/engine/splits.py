"""Splits of a dataset by cluster: the assignment of whole clusters, and the nearest pair across two splits."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from . import vectors as vec
from .clusters import NOISE, Labels
from .vectors import Indices, Vectors


def deal(
    labels: Labels,
    shares: Sequence[float],
    classes: Indices,
    *,
    seed: int,
    settled: Mapping[int, int] | None = None,
    there: NDArray[np.int64] | None = None,
) -> Indices:
    """Assign whole clusters to splits, so that the shares, class by class, are as near as possible.

    The largest cluster goes first, each to the split that lacks most of its classes; noise comes last and fills the splits.

    Args:
        labels: ``(n,)`` from :func:`~similarity.engine.clusters.dbscan`
        shares: of each split, 1 in all
        classes: ``(n,)`` number of each sample's class, from 0; all 0 where only the sizes count
        seed: decides between clusters of the same size
        settled (None): cluster -> its split, of the clusters with a fixed split
        there (None): ``(splits, classes)`` numbers of samples that are in the splits already, and count in the shares

    Returns:
        ``(n,)`` the number of each sample's split
    """
    groups = np.where(labels == NOISE, labels.max(initial=NOISE) + 1 + np.arange(len(labels)), labels)
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    members = np.split(np.argsort(group, kind="stable"), np.cumsum(sizes)[:-1])
    there = np.zeros((len(shares), classes.max(initial=0) + 1), dtype=np.int64) if there is None else there
    totals = np.bincount(classes, minlength=there.shape[1]) + there.sum(axis=0)
    lacking = (np.outer(shares, totals) - there) / np.maximum(totals, 1)  # in shares of each class
    unused = np.asarray(shares) == 0
    result = np.zeros(len(labels), dtype=np.intp)
    for number in order:
        found, counts = np.unique(classes[members[number]], return_counts=True)
        gain = np.where(unused, -np.inf, lacking[:, found] @ counts)
        label = int(labels[members[number][0]])
        split = (settled or {}).get(label, int(np.argmax(gain)))
        lacking[split, found] -= counts / totals[found]
        result[members[number]] = split
    return result


def nearest_across(vectors: Vectors, splits: Indices) -> tuple[int, int]:
    """Return the rows of the most similar vectors of the rarest split and of another split.

    Args:
        vectors: ``(n, d)``
        splits: ``(n,)`` the number of each vector's split, at least two different ones
    """
    names, counts = np.unique(splits, return_counts=True)
    rare = splits == names[np.argmin(counts)]
    unit = vec.normalise(vectors)
    others, best, pair = unit[~rare], -np.inf, (0, 0)
    for row in np.flatnonzero(rare):
        products = others @ unit[row]
        at = int(np.argmax(products))
        if products[at] > best:
            best, pair = float(products[at]), (int(row), at)
    return pair[0], int(np.flatnonzero(~rare)[pair[1]])
