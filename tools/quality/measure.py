"""What a way to tell pictures apart does on a set: at a threshold, and at the best there is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from similarity.engine import evaluation as ev
from similarity.engine.clusters import NOISE, dbscan
from similarity.engine.keepers import keep
from similarity.engine.suggest import suggest
from similarity.engine.sweep import Sweep, sweep

from .sets import EASY, Picture

Choose = Callable[[Sweep], tuple[float, bool]]
"""A sweep -> a threshold, and whether it is clear."""

_TINY = 1e-9  # eps must be above 0


@dataclass(frozen=True)
class Outcome:
    """What one threshold gives.

    Attributes:
        eps: the threshold
        kept: clusters, and pictures unlike any other
        mixed: clusters of several groups
        precision: share of the joined pairs that are of one group
        recall: share of the pairs of near-duplicates (of the kinds in ``EASY``) that are joined
        missed: number of those that are not
    """

    eps: float
    kept: int
    mixed: int
    precision: float
    recall: float
    missed: int

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall: both are read together."""
        return 2 * self.precision * self.recall / ((self.precision + self.recall) or 1.0)


@dataclass(frozen=True)
class Measured:
    """One way to tell pictures apart, on one set.

    Attributes:
        pictures: those that could be read
        outcomes: at every eps, ascending
        chosen: at the threshold that was chosen, by default the engine's suggestion
        clear: whether the engine called it clear
        labels: the clusters there
        covering: which pictures are kept there with cover, so that each dropped one is within eps of a kept one
        wrong: the links there between two groups: two paths and their distance, the nearest first
    """

    pictures: list[Picture]
    outcomes: list[Outcome]
    chosen: Outcome
    clear: bool
    labels: np.ndarray
    covering: np.ndarray
    wrong: list[tuple[str, str, float]]

    @property
    def groups(self) -> int:
        """How many of the pictures differ."""
        return len({picture.group for picture in self.pictures})

    @property
    def best(self) -> Outcome:
        """The outcome of the highest F1 that a single eps could have."""
        return max(self.outcomes, key=lambda outcome: outcome.f1)

    @property
    def clean(self) -> Outcome | None:
        """The outcome of the highest recall without a mixed cluster; None if copies mix."""
        unmixed = [outcome for outcome in self.outcomes if not outcome.mixed]
        return max(unmixed, key=lambda outcome: outcome.recall, default=None)

    def at(self, eps: float) -> Outcome:
        """The outcome in force at a threshold."""
        row = int(np.searchsorted([outcome.eps for outcome in self.outcomes], eps, side="right")) - 1
        return self.outcomes[max(0, row)]

    def found(self, kind: str) -> tuple[int, int]:
        """How many pictures of a kind share a cluster with another one of their group, and how many there are."""
        rows = [row for row, picture in enumerate(self.pictures) if picture.kind == kind]
        return sum(self._has_company(row) for row in rows), len(rows)

    def kept_of(self, group: str) -> tuple[int, int]:
        """Into how many pieces a group falls, so many of it stay; and how many stay with cover."""
        rows = [row for row, picture in enumerate(self.pictures) if picture.group == group]
        labels = self.labels[rows].tolist()
        return labels.count(NOISE) + len(set(labels) - {NOISE}), int(self.covering[rows].sum())

    def _has_company(self, row: int) -> bool:
        group, label = self.pictures[row].group, self.labels[row]
        together = np.flatnonzero(self.labels == label) if label != NOISE else []
        return any(other != row and self.pictures[other].group == group for other in together)


def measure(
    pictures: Sequence[Picture],
    vectors: np.ndarray,
    *,
    metric: str = "cosine",
    choose: Choose | None = None,
) -> Measured:
    """Measure vectors on a set.

    Args:
        pictures: the set
        vectors: ``(n, d)``; NaN for what could not be read, which is left out
        metric ("cosine"): as for the sweep
        choose (None): gives a threshold and whether it is clear; by default the engine's suggestion
    """
    readable = np.flatnonzero(np.isfinite(vectors).all(axis=1))
    read, matrix = [pictures[i] for i in readable], vectors[readable]
    swept = sweep(matrix, metric=metric)
    links = ev.links(swept, matrix)
    groups = ev.number([picture.group for picture in read])[0]
    easy = np.where([picture.kind in EASY for picture in read], groups, ev.UNKNOWN)
    eps, clear = (choose or _suggestion)(swept)
    outcomes = _outcomes(swept, ev.curve(links, groups, metric=metric), ev.curve(links, easy, metric=metric))
    labels = dbscan(matrix, eps=eps, metric=metric)
    wrong = ev.wrong_links(links, groups, eps)
    measured = Measured(
        pictures=read,
        outcomes=outcomes,
        chosen=outcomes[0],
        clear=clear,
        labels=labels,
        covering=keep(matrix, labels, eps=eps, metric=metric, cover=True).kept,
        wrong=[
            (read[i].path, read[j].path, float(length))
            for i, j, length in zip(wrong.left, wrong.right, wrong.length, strict=True)
        ],
    )
    return replace(measured, chosen=replace(measured.at(eps), eps=eps))


def _suggestion(swept: Sweep) -> tuple[float, bool]:
    found = suggest(swept)
    return found.eps, found.clear


def _outcomes(swept: Sweep, every: ev.Curve, easy: ev.Curve) -> list[Outcome]:
    """Both curves at every eps; they come from the same links, and so have the same rows."""
    columns = (every.eps, every.mixed, every.precision, easy.recall, easy.true - easy.right)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [
        Outcome(eps, swept.at(max(eps, _TINY)).kept, mixed, precision, recall, missed)
        for eps, mixed, precision, recall, missed in rows
    ]
