"""Vectors laid out so that one matrix product compares all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import vectors as vec
from .sketch import Singles, compact_order, minus_half_squares, sketch
from .vectors import Floats, Indices, Vectors

_LONG = 192  # values of a vector from which a sketch saves more than it costs


class Space:
    """Vectors laid out so that one matrix product gives a score that falls with the distance of every pair.

    For cosine the score is cos. For euclidean it is minus half the squared distance, of vectors shifted and
    scaled into the unit ball, where float32 does least harm.

    Attributes:
        left, right: ``(n, k)`` float32, by position; ``left @ right.T`` are the scores
        order: ``(n,)`` the row of ``vectors`` that stands at each position
        rough: a smaller ``left, right`` whose product is never less than ``score - top``, rounding apart, or
            None
        slack: bound on the rounding error of a score

    Args:
        vectors: ``(n, d)``, checked; not modified
        metric ("cosine"): one of :data:`~similarity.engine.vectors.METRICS`
        arrange (False): whether to put near vectors at near positions and add the sketch ``rough``, which
            pays where few of many pairs are of interest
    """

    def __init__(self, vectors: Vectors, metric: str = "cosine", *, arrange: bool = False):
        vec.check_metric(metric)
        self.vectors = vectors
        self.metric = metric
        self.scale = 1.0
        self.order = np.arange(len(vectors))
        self.rough: tuple[Singles, Singles] | None = None
        self.left = self.right = vec.normalise(vectors) if metric == "cosine" else self._in_unit_ball()
        # Measured below 1e-6 for 512 values of one sign, the worst case; grows with the square root.
        self.slack = 4e-6 * max(1.0, (vectors.shape[1] / 512) ** 0.5)
        if arrange and vectors.shape[1] >= _LONG:
            self._arrange()
        if metric == "euclidean":
            half = -0.5 * np.square(vec.norms(self.left))
            self.left, self.right = minus_half_squares(self.left, half)

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def top(self) -> float:
        """The score of two equal vectors; below it the score falls by half the squared distance."""
        return 1.0 if self.metric == "cosine" else 0.0

    def score(self, distance: Any) -> Any:
        """Return the score of pairs at ``distance`` (scalar or array)."""
        return 1.0 - distance if self.metric == "cosine" else -0.5 * (distance / self.scale) ** 2

    def distance(self, scores: NDArray[Any]) -> Floats:
        """Return the distances for ``scores``, to float32's precision."""
        scores = scores.astype(np.float64)
        if self.metric == "cosine":
            return np.maximum(1.0 - scores, 0.0)
        return self.scale * np.sqrt(np.maximum(-2.0 * scores, 0.0))

    def exact(self, rows: Indices, cols: Indices) -> Floats:
        """Return the distance ``(m,)`` of each pair of positions, in float64."""
        return vec.between(self.vectors, self.order[rows], self.order[cols], metric=self.metric)

    def scores(self, rows: Indices, cols: Indices) -> Singles:
        """Return the score ``(m,)`` of each pair of positions ``rows[i], cols[i]``."""
        result = np.empty(len(rows), dtype=np.float32)
        for part in vec.chunks(len(rows), 4 * self.left.shape[1]):
            result[part] = np.einsum("ij,ij->i", self.left[rows[part]], self.right[cols[part]])
        return result

    def within(self, rows: Indices, cols: Indices, limit: float) -> NDArray[np.bool_]:
        """Return which of the pairs of positions ``rows x cols`` are no farther apart than ``limit``, ``(r, c)``."""
        scores = self.left[rows] @ self.right[cols].T
        result: NDArray[np.bool_] = scores >= self.score(limit)
        row, col = np.nonzero(np.abs(scores - np.float32(self.score(limit))) <= self.slack)
        result[row, col] = self.exact(rows[row], cols[col]) <= limit
        return result

    def _arrange(self) -> None:
        flat, half = sketch(self.left)
        self.order = compact_order(flat)
        self.left = self.right = self.left[self.order]
        self.rough = minus_half_squares(flat[self.order], half[self.order])

    def _in_unit_ball(self) -> Singles:
        centre = self.vectors.sum(axis=0, dtype=np.float64) / max(1, len(self))
        lengths = np.zeros(len(self))
        for part in vec.chunks(*self.vectors.shape):
            lengths[part] = vec.norms(self.vectors[part] - centre)
        self.scale = float(lengths.max(initial=0.0)) or 1.0
        result = np.empty(self.vectors.shape, dtype=np.float32)
        for part in vec.chunks(*self.vectors.shape):
            result[part] = (self.vectors[part] - centre) / self.scale
        return result
