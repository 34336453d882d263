"""A few numbers per vector that rule out most far pairs, and an order in which near vectors are neighbors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import vectors as vec
from .vectors import Floats, Indices

Singles = NDArray[np.float32]

_DIRECTIONS = 61  # 64 columns with the three that the bound needs
_SAMPLE = 4096
_LEAF = 64


def sketch(points: Singles) -> tuple[Singles, Floats]:
    """Project points so that no difference gets longer, and most stay long.

    A projection never lengthens a difference; nor does replacing what it leaves over by its length. The
    directions are near the principal ones (subspace iteration, Halko et al. 2011), of a fixed sample.

    Returns:
        a tuple of

        - flat: ``(n, 62)``, such that ``|flat[i] - flat[j]| <= |points[i] - points[j]|``, rounding apart
        - half: ``(n,)`` minus half the squared lengths of ``flat``
    """
    sample = points[:: max(1, len(points) // _SAMPLE)].astype(np.float64)
    centre = sample.mean(axis=0)
    basis = _leading(sample - centre)
    flat = np.empty((len(points), basis.shape[1] + 1), dtype=np.float32)
    half = np.empty(len(points), dtype=np.float64)
    for part in vec.chunks(*points.shape):
        shifted = points[part] - centre
        squared = np.square(shifted).sum(axis=1)
        flat[part, :-1] = shifted @ basis
        left_over = squared - np.square(flat[part, :-1], dtype=np.float64).sum(axis=1)
        flat[part, -1] = np.sqrt(np.maximum(left_over, 0.0))
        half[part] = -0.5 * squared
    return flat, half


def compact_order(points: Singles) -> Indices:
    """Return an order ``(n,)`` in which points that are near each other mostly stand near each other.

    That of the leaves of a k-d tree (Bentley 1975): halved again and again at the median of the widest
    column.
    """
    order = np.arange(len(points))
    parts = [slice(0, len(points))]
    while parts:
        part = parts.pop()
        size = part.stop - part.start
        if size > _LEAF:
            inside = order[part]
            some = points[inside[:: max(1, size // _SAMPLE)]]
            values = points[inside, int(some.var(axis=0).argmax())]
            order[part] = inside[np.argpartition(values, size // 2)]
            middle = part.start + size // 2
            parts += [slice(part.start, middle), slice(middle, part.stop)]
    return order


def minus_half_squares(points: Singles, half: Floats) -> tuple[Singles, Singles]:
    """Return two arrays whose product with each other is minus half the squared distances of the points.

    Args:
        points: ``(n, d)``
        half: ``(n,)`` minus half their squared lengths
    """
    column = half.astype(np.float32)[:, None]
    one = np.ones_like(column)
    return np.hstack([points, column, one]), np.hstack([points, one, column])


def _leading(sample: Floats) -> Floats:
    """An orthonormal basis ``(d, k)`` near the directions in which ``sample`` varies most."""
    d = sample.shape[1]
    basis: Floats = np.random.default_rng(0).normal(size=(d, min(d, _DIRECTIONS)))
    for _ in range(3):
        basis = np.linalg.qr(sample.T @ (sample @ basis))[0]
    return basis
