"""Queries of an index, by FiftyOne and by OnlyOne's operators, answered in positions and then in ids."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine import exact
from ..engine import vectors as vec
from ..result import count
from .state import State

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Query:
    """A query as vectors.

    Attributes:
        vectors: ``(m, d)``
        positions: ``(m,)``, positions of the vectors' samples, or None if vectors were given
        single: whether one id or one vector was given, not a list
    """

    vectors: np.ndarray
    positions: NDArray[np.int64] | None
    single: bool

    @classmethod
    def parse(cls, state: State, query: Any) -> "Query":
        """Return a query of a sample id, of several, of a vector ``(d,)`` or of several ``(m, d)``.

        Raises:
            ValueError: if a sample is not in the index, a vector cannot be compared, or the query is empty
        """
        values = np.asarray(query)
        if values.size == 0:
            raise ValueError("the query is empty: give a sample id, several, or a vector")
        if values.dtype.kind in "fiu":
            check_comparable(state, np.atleast_2d(values))
            return cls(np.atleast_2d(values), None, values.ndim == 1)
        ids = [str(value) for value in np.atleast_1d(values).tolist()]
        missing = [sample_id for sample_id in ids if sample_id not in state.position_of]
        if missing:
            raise ValueError(
                f"{count(len(missing), 'query ID is', 'query IDs are')} not in the index (eg {missing[0]!r}): without a "
                "usable vector, or with one made after the index was built (run build_similarity_index again)"
            )
        positions = np.array([state.position_of[sample_id] for sample_id in ids], dtype=np.int64)
        return cls(state.vectors(positions), positions, isinstance(query, str))

    @property
    def mean(self) -> np.ndarray:
        """The mean of the unit vectors, or a single vector as it is.

        Raises:
            ValueError: if they cancel each other out
        """
        if len(self.vectors) == 1:
            return self.vectors[0]
        mean = vec.normalise(self.vectors).mean(axis=0, dtype=np.float64)
        if not np.linalg.norm(mean) > np.finfo(np.float32).eps:
            raise ValueError("the vectors of the query cancel each other out; ask with fewer of them")
        return mean


def check_comparable(state: State, vectors: np.ndarray) -> None:
    """Raise unless every vector ``(m, d)`` can be compared with those in the index.

    Raises:
        ValueError: names the vector and the reason
    """
    for row, vector in enumerate(vectors):
        trouble = vec.problem(vector)
        if trouble is None and state.dimension and len(vector) != state.dimension:
            trouble = f"has {count(len(vector), 'value')} instead of {state.dimension}"
        if trouble:
            raise ValueError(f"vector {row} of {len(vectors)} {trouble}")


def complain(ids: Sequence[str], what: str, allowed: bool, warn: bool) -> None:
    """Raise about ids, or warn if ``warn``; do nothing without ids."""
    if not len(ids):
        return
    message = f"Found {len(ids)} IDs (eg '{ids[0]}') that {what}"
    if not allowed:
        raise ValueError(message)
    if warn:
        logger.warning(message)


class NeighborQueries:
    """FiftyOne's two query methods, for an index with its state in ``_state``."""

    def _kneighbors(self, query=None, k=None, reverse=False, aggregation=None, return_dists=False):
        if reverse:
            raise ValueError("the annoy backend finds the most similar samples only; leave out reverse=True")
        if aggregation not in (None, "mean"):
            raise ValueError(f"Unsupported aggregation {aggregation!r}. Supported values are ('mean',)")
        if query is None and aggregation is not None:
            raise ValueError("Full index queries do not support aggregation")
        if (
            query is None
        ):  # the nearest others of each sample of the view, numbered as in the view, in O(m^2 d) time
            matrix = self._state.vectors(self._current_inds)
            found = list(exact.each_nearest(matrix, len(matrix) if k is None else k))
            rows, distances = [row for row, _ in found], [distance for _, distance in found]
            return (rows, distances) if return_dists else rows
        asked = Query.parse(self._state, query)
        if aggregation == "mean":
            positions = asked.positions if len(asked.vectors) == 1 else None
            asked = Query(asked.mean[np.newaxis], positions, single=True)
        return self._as_ids(self._answers(asked, k), asked.single, return_dists)

    def _radius_neighbors(self, query=None, thresh=None, return_dists=False):
        if query is None:
            matrix = self._state.vectors(self._current_inds)
            found = list(exact.each_within(matrix, thresh))
            if not return_dists:
                return found
            return found, [exact.distances(matrix, matrix[row], rows) for row, rows in enumerate(found)]
        asked = Query.parse(self._state, query)
        answers = [
            (found[near <= thresh], near[near <= thresh]) for found, near in self._answers(asked, None)
        ]
        return self._as_ids(answers, asked.single, return_dists)

    def _answers(self, query, k):
        """Return the positions nearest to each vector of a query, in the current view; a sample comes first in its own."""
        allowed = None
        if self._current_inds is not None:
            allowed = np.zeros(len(self._state.ids), dtype=np.bool_)
            allowed[self._current_inds] = True
        firsts = [None] * len(query.vectors) if query.positions is None else query.positions[:, np.newaxis]
        return [
            self._state.nearest(vector, k, allowed=allowed, first=first)
            for vector, first in zip(query.vectors, firsts, strict=True)
        ]

    def _as_ids(self, answers, single, return_dists):
        """Return answers in positions as FiftyOne expects them: sample ids, no label ids, distances."""
        ids = [self._state.ids[found].tolist() for found, _ in answers]
        distances = [found.tolist() for _, found in answers]
        if single:
            ids, distances = ids[0], distances[0]
        return (ids, None, distances) if return_dists else (ids, None)
