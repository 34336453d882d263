"""Fewer numbers for a vector, from which a bound on every distance follows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import vectors as vec
from .vectors import Floats, Singles

_DIRECTIONS = 61  # 64 columns with the three that the bound needs


@dataclass(frozen=True, eq=False)
class Sketch:
    """A projection that rules out most far pairs: no difference gets longer, and most stay long.

    Attributes:
        middle: ``(d,)``, subtracted first
        directions: ``(d, k)`` orthonormal
    """

    middle: Floats
    directions: Floats

    @classmethod
    def of(cls, points: Singles) -> Sketch:
        """Return directions near the principal ones (subspace iteration, Halko et al. 2011) of a sample of points."""
        sample = points.astype(np.float64)
        middle = sample.mean(axis=0)
        sample -= middle
        d = sample.shape[1]
        basis: Floats = np.random.default_rng(0).normal(size=(d, min(d, _DIRECTIONS)))
        for _ in range(3):
            basis = np.linalg.qr(sample.T @ (sample @ basis))[0]
        return cls(middle, basis)

    def flatten(self, points: Singles) -> tuple[Singles, Floats]:
        """Project points. Neither the projection nor replacing the remainder by its length lengthens a difference.

        Returns:
            a tuple of

            - flat: ``(n, k + 1)``, such that ``|flat[i] - flat[j]| <= |points[i] - points[j]|``, rounding apart
            - half: ``(n,)`` minus half the squared lengths of ``flat``
        """
        basis = self.directions
        flat = np.empty((len(points), basis.shape[1] + 1), dtype=np.float32)
        half = np.empty(len(points), dtype=np.float64)
        for part in vec.chunks(*points.shape):
            shifted = points[part] - self.middle
            squared = np.square(shifted).sum(axis=1)
            flat[part, :-1] = shifted @ basis
            left_over = squared - np.square(flat[part, :-1], dtype=np.float64).sum(axis=1)
            flat[part, -1] = np.sqrt(np.maximum(left_over, 0.0))
            half[part] = -0.5 * squared
        return flat, half
