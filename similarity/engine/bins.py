"""Keepers and medoids of vectors that are stored elsewhere, computed in bins of whole clusters.

Clusters do not touch each other. Noise is kept, and needs no vector.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import keepers
from .clusters import NOISE, Labels
from .constraints import Constraints
from .distant import Recipe, gathered, gathering
from .keepers import Keepers
from .neighbors import Progress
from .pieces import SIZE, Pieces
from .tiles import Bools, Job
from .vectors import Floats, Indices, Vectors


def keep(
    vectors: Vectors | Pieces,
    labels: Labels,
    *,
    rank: Floats | None = None,
    protected: Bools | None = None,
    constraints: Constraints | None = None,
    progress: Progress = None,
    **how: Any,
) -> Keepers:
    """Return the result of :func:`~similarity.engine.keepers.keep`, with its arguments."""
    n = len(labels)
    rank = np.arange(n, dtype=np.float64) if rank is None else rank
    protected = np.zeros(n, dtype=bool) if protected is None else protected
    if not isinstance(vectors, Pieces):
        given: dict[str, Any] = {"rank": rank, "protected": protected, "constraints": constraints}
        return keepers.keep(vectors, labels, **given, progress=progress, **how)

    def known(at: Indices) -> tuple[Any, ...]:
        some = constraints.take(at) if constraints else None
        return labels[at], {"rank": rank[at], "protected": protected[at], "constraints": some, **how}

    noise = np.ones(n, dtype=bool) if constraints is None else ~constraints.reference
    found = Keepers(noise, np.arange(n), np.zeros(n), np.full(n, 100.0))
    for rows, answer in _each(vectors, labels, _keep, known, progress):
        kept, kept_index, distance, similarity = answer
        found.kept[rows], found.kept_index[rows] = kept, rows[kept_index]
        found.distance[rows], found.similarity[rows] = distance, similarity
    return found


def medoid_rank(vectors: Vectors | Pieces, labels: Labels, *, metric: str) -> Floats:
    """Return the result of :func:`~similarity.engine.keepers.medoid_rank`, with its arguments."""
    if not isinstance(vectors, Pieces):
        return keepers.medoid_rank(vectors, labels, metric=metric)
    total = np.zeros(len(labels))
    for rows, answer in _each(vectors, labels, _medoid_rank, lambda at: (labels[at], metric)):
        total[rows] = answer
    return total


def _keep(vectors: Vectors, _: None, labels: Labels, how: dict[str, Any]) -> tuple[Any, ...]:
    """Task: return the keepers of a bin, as the columns of :class:`~similarity.engine.keepers.Keepers`."""
    found = keepers.keep(vectors, labels, **how)
    return found.kept, found.kept_index, found.distance, found.similarity


def _medoid_rank(vectors: Vectors, _: None, labels: Labels, metric: str) -> Floats:
    """Task: return the total distances of a bin."""
    return keepers.medoid_rank(vectors, labels, metric=metric)


def _each(
    vectors: Pieces,
    labels: Labels,
    task: Callable[..., Any],
    known: Callable[[Indices], tuple[Any, ...]],
    progress: Progress = None,
) -> Iterator[tuple[Indices, Any]]:
    """Yield the rows of each bin and a task's answer for it."""
    members = np.flatnonzero(labels != NOISE)
    _, cluster, sizes = np.unique(labels[members], return_inverse=True, return_counts=True)
    number = ((np.cumsum(sizes) - 1) // SIZE)[cluster]
    bins = [members[number == one] for one in np.unique(number)]
    jobs = (Job(task, i, i, known(rows)) for i, rows in enumerate(bins))
    with closing(vectors.store.run(jobs, _Bins(vectors, bins))) as answers:
        done = 0
        for found in answers:
            if progress is not None:
                progress(done, len(bins))
            if found is not None:
                (i, _), answer = found
                yield bins[i], answer
                done += 1


@dataclass(frozen=True)
class _Bins:
    """Rows of whole clusters, some thousand in a bin, as the blocks of a run."""

    vectors: Pieces
    rows: list[Indices]

    def recipe(self, i: int) -> Recipe:
        told, pieces = gathering(self.vectors, self.rows[i])
        return Recipe(gathered, (told,), pieces)
