"""Which pairs of vectors may be neighbors at all: cannot-link constraints (Wagstaff & Cardie 2000)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .vectors import Floats, Indices


@dataclass(frozen=True, eq=False)
class Constraints:
    """The conditions under which two vectors may be neighbors, however near they are.

    Both are in the same group, no farther apart in time than ``max_gap``, and not both in the reference.

    Attributes:
        groups: ``(n,)`` int
        times: ``(n,)`` finite float64
        reference: ``(n,)`` bool
        max_gap: inclusive, in the unit of ``times``; infinite where time does not matter
    """

    groups: Indices
    times: Floats
    reference: NDArray[np.bool_]
    max_gap: float = np.inf

    def take(self, places: Any) -> Constraints:
        """Return the constraints of some of the vectors."""
        some = {name: getattr(self, name)[places] for name in ("groups", "times", "reference")}
        return replace(self, **some)

    def order(self) -> Indices:
        """Return an order ``(n,)`` in which vectors that may be neighbors are adjacent, the reference last."""
        return np.lexsort((self.times, self.groups, self.reference))

    def kinds(self) -> Indices:
        """Return a number ``(n,)`` for each vector, equal where the same constraints hold; each reference has its own."""
        kinds = np.unique(np.column_stack([self.groups, self.times]), axis=0, return_inverse=True)[1].reshape(
            -1
        )
        return np.where(self.reference, -1 - np.arange(len(kinds)), kinds)

    def allow(self, rows: Any, other: Constraints, cols: Any) -> NDArray[np.bool_]:
        """Return which pairs of a vector here and one of another set may be neighbors; ``rows`` and ``cols`` broadcast."""
        allowed: NDArray[np.bool_] = self.groups[rows] == other.groups[cols]
        if self.max_gap < np.inf:
            allowed &= np.abs(self.times[rows] - other.times[cols]) <= self.max_gap
        allowed &= ~(self.reference[rows] & other.reference[cols])
        return allowed

    def span(self, part: slice, other: Constraints, part_there: slice) -> slice:
        """Return the range within ``part`` outside of which no vector has a possible neighbor in ``part_there``."""
        groups, times = other.groups[part_there], other.times[part_there]
        fit = (self.groups[part] >= groups.min()) & (self.groups[part] <= groups.max())
        fit &= times.min() - self.times[part] <= self.max_gap
        fit &= self.times[part] - times.max() <= self.max_gap
        if other.reference[part_there].all():
            fit &= ~self.reference[part]
        found = np.flatnonzero(fit)
        return (
            slice(part.start + int(found[0]), part.start + int(found[-1]) + 1) if len(found) else slice(0, 0)
        )
