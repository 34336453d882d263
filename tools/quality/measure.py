"""What a way to tell pictures apart does on a set: at a threshold, and where it would begin to fail."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.cluster.hierarchy import cophenet, fcluster, linkage
from scipy.spatial.distance import pdist, squareform

from similarity.engine.clusters import NOISE, dbscan
from similarity.engine.keepers import keep

from .sets import EASY, Picture

MARGIN = 1.1
"""A threshold must mix nothing at so many times its value either."""

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Outcome:
    """What one threshold gives, with one picture kept of each cluster.

    Attributes:
        kept: clusters, and pictures unlike any other
        mixed: clusters of several groups
        precision: share of the joined pairs that are of one group
        recall: share of the pairs of near-duplicates (of the kinds in ``EASY``) that are joined
        missed: number of those that are not
    """

    kept: int
    mixed: int
    precision: float
    recall: float
    missed: int


@dataclass(frozen=True)
class Measured:
    """One way to tell pictures apart, on one set, at one threshold.

    Attributes:
        pictures: those that could be read
        matrix: ``(n, d)`` their vectors
        metric: ``cosine`` or ``euclidean``
        eps: the threshold
    """

    pictures: list[Picture]
    matrix: np.ndarray = field(repr=False)
    metric: str
    eps: float

    @property
    def groups(self) -> int:
        """How many of the pictures differ."""
        return len(set(self._group.tolist()))

    @cached_property
    def labels(self) -> np.ndarray:
        """The clusters at the threshold, from the engine."""
        return dbscan(self.matrix, eps=self.eps, metric=self.metric)

    @cached_property
    def covering(self) -> np.ndarray:
        """Which pictures are kept there with cover."""
        return keep(self.matrix, self.labels, eps=self.eps, metric=self.metric, cover=True).kept

    def at(self, eps: float) -> Outcome:
        """Return what a threshold gives."""
        label = fcluster(self._tree, eps + _ROUNDING, "distance")
        joined = self._heights <= eps + _ROUNDING
        right, easy = joined & self._same, self._easy
        found = int((joined & easy).sum())
        return Outcome(
            kept=len(set(label.tolist())),
            mixed=len(
                {one for one in set(label.tolist()) if len(set(self._group[label == one].tolist())) > 1}
            ),
            precision=float(right.sum() / (joined.sum() or 1)),
            recall=found / (int(easy.sum()) or 1),
            missed=int(easy.sum()) - found,
        )

    @cached_property
    def first_mix(self) -> float:
        """The threshold at which the first cluster mixes two groups."""
        return float(self._heights[~self._same].min(initial=np.inf))

    def reaching(self, recall: float) -> float:
        """Return the smallest threshold with this recall; infinite where there is nothing to find."""
        heights = np.sort(self._heights[self._easy])
        return float(heights[int(np.ceil(recall * len(heights))) - 1]) if len(heights) else np.inf

    @cached_property
    def clean(self) -> Outcome:
        """The outcome of the highest recall without a mixed cluster."""
        return self.at(np.nextafter(self.first_mix, 0) - 2 * _ROUNDING)

    @cached_property
    def nearest(self) -> float:
        """The distance of the nearest two pictures of different groups."""
        return float(self._distances[~self._same].min(initial=np.inf))

    def wrong(self, most: int = 3) -> list[tuple[str, str, float]]:
        """Return the nearest pairs of different groups within the threshold: two paths and their distance."""
        left, right = np.triu_indices(len(self.pictures), 1)
        wrong = np.flatnonzero(~self._same & (self._distances <= self.eps))
        wrong = wrong[np.argsort(self._distances[wrong], kind="stable")][:most]
        paths = [picture.path for picture in self.pictures]
        return [(paths[left[i]], paths[right[i]], float(self._distances[i])) for i in wrong]

    def found(self, kind: str) -> tuple[int, int]:
        """Return how many pictures of a kind share a cluster with another one of their group, and how many there are."""
        rows = [row for row, picture in enumerate(self.pictures) if picture.kind == kind]
        return sum(self._has_company(row) for row in rows), len(rows)

    def kept_of(self, group: str) -> tuple[int, int]:
        """Return into how many pieces a group falls, so many of it stay; and how many stay with cover."""
        rows = [row for row, picture in enumerate(self.pictures) if picture.group == group]
        labels = self.labels[rows].tolist()
        return labels.count(NOISE) + len(set(labels) - {NOISE}), int(self.covering[rows].sum())

    def _has_company(self, row: int) -> bool:
        together = (self.labels == self.labels[row]) & (self._group == self._group[row])
        return bool(self.labels[row] != NOISE and together.sum() > 1)

    @cached_property
    def _distances(self) -> np.ndarray:
        return np.maximum(pdist(self.matrix.astype(np.float64), self.metric), 0)

    @cached_property
    def _tree(self) -> np.ndarray:
        # DBSCAN with min_samples 2 is single linkage, cut at eps.
        return linkage(self._distances, "single")

    @cached_property
    def _heights(self) -> np.ndarray:
        return cophenet(self._tree)

    @cached_property
    def _group(self) -> np.ndarray:
        return np.unique([picture.group for picture in self.pictures], return_inverse=True)[1]

    @cached_property
    def _same(self) -> np.ndarray:
        return squareform(self._group[:, None] == self._group, checks=False)

    @cached_property
    def _easy(self) -> np.ndarray:
        easy = np.array([picture.kind in EASY for picture in self.pictures])
        return self._same & squareform(easy[:, None] & easy, checks=False)


def measure(pictures: Sequence[Picture], vectors: np.ndarray, eps: float, metric: str = "cosine") -> Measured:
    """Measure vectors on a set.

    Args:
        pictures: the set
        vectors: ``(n, d)``; NaN for what could not be read, which is left out
        eps: the threshold
        metric ("cosine"): or ``euclidean``
    """
    readable = np.flatnonzero(np.isfinite(vectors).all(axis=1))
    return Measured([pictures[i] for i in readable], vectors[readable], metric, eps)
