"""Valleys in the density of merges on a log scale: where few merge, between two stretches where many do."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import exp, log

import numpy as np

from .sweep import Sweep
from .vectors import Floats, Indices

# Half-widths of a valley, as factors of eps: from hardly a gap to copies with noise beside distinct pictures.
_FACTORS = (1.3, 1.5, 2.0, 3.0, 4.0, 8.0, 16.0, 64.0, 256.0)


@dataclass(frozen=True)
class Valley:
    """Around ``eps``, within ``factor``, ``inside`` merges; on either side, as far again, ``below`` and ``above``.

    ``score`` is the depth in standard deviations of a count; wide valleys need fewer merges around them.
    """

    eps: float
    factor: float
    below: int
    inside: int
    above: int
    score: float

    @property
    def low(self) -> float:
        """Its lower end."""
        return self.eps / self.factor

    @property
    def high(self) -> float:
        """Its upper end."""
        return self.eps * self.factor


def valleys(heights: Floats, least: float = 0.0) -> list[Valley]:
    """Return the valleys, the deepest first, none in the flanks of a deeper one.

    Args:
        heights: ``(m,)`` eps of each merge, above 0, ascending
        least (0.0): the smallest score of interest
    """
    place = np.log(heights)
    distinct = np.unique(place)
    if len(distinct) < 2:
        return []
    middle = (distinct[1:] + distinct[:-1]) / 2
    scales = [_at_scale(middle, place, factor) for factor in _FACTORS]
    score = np.array([scale[-1] for scale in scales])
    best, found = score.argmax(axis=0), []
    depth = score.max(axis=0)
    while depth.max() >= least:
        at = int(depth.argmax())
        factor = _FACTORS[best[at]]
        below, inside, above, deep = (column[at] for column in scales[best[at]])
        found.append(Valley(exp(middle[at]), factor, int(below), int(inside), int(above), float(deep)))
        depth[np.abs(middle - middle[at]) < 2 * log(factor)] = -np.inf
    return found


def _at_scale(middle: Floats, place: Floats, factor: float) -> tuple[Indices, Indices, Indices, Floats]:
    """Merges below, inside and above a valley of one width at each middle, and its score."""
    width = log(factor)
    edges = [np.searchsorted(place, middle + step * width) for step in (-3, -1, 1, 3)]
    below, inside, above = (right - left for left, right in pairwise(edges))
    thinner = np.minimum(below, above)
    # The difference of two counts over its standard deviation; wide valleys need fewer to be convincing.
    score: Floats = (thinner - inside) / np.sqrt(thinner + inside + 1) * width / log(1.5)
    return below, inside, above, score


def large_merges(sweep: Sweep, size: int) -> Floats:
    """Return the eps at which two clusters of at least ``size`` samples each merge, ascending; copies count once.

    That is where the condensed tree of Campello et al. (2013) branches: a picture that joins a scene late, or two
    odd ones that find each other, say nothing about how far scenes are apart.
    """
    parent: dict[int, int] = {}
    members: dict[int, int] = {}

    def root(sample: int) -> int:
        while (above := parent.setdefault(sample, sample)) != sample:
            parent[sample] = sample = parent[above]
        return sample

    found = []
    for left, right, length in zip(
        sweep.left.tolist(), sweep.right.tolist(), sweep.length.tolist(), strict=True
    ):
        one, other = root(left), root(right)
        sizes = members.get(one, 1), members.get(other, 1)
        if min(sizes) >= size and 0 < length < np.inf:
            found.append(length)
        parent[one], members[other] = other, sum(sizes)
    return np.array(found)
