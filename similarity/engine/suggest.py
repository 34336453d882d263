"""An eps read off the data: between the distances of near-duplicates and those of other pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import exp, inf, log

import numpy as np

from .neighbors import FLOOR
from .sweep import Sweep
from .vectors import Floats, Indices

CLEAR = 0.5

# Half-widths of a valley, as factors of eps: from hardly a gap to copies with noise beside distinct pictures.
_FACTORS = (1.3, 1.5, 2.0, 3.0, 4.0, 8.0, 16.0, 64.0, 256.0)


@dataclass(frozen=True)
class Suggestion:
    """An eps and why.

    Attributes:
        eps: the value to use
        low: from here on the number kept is ``kept``
        high: below this it still is; infinite where nothing else can merge
        clear: whether near-duplicates stand apart; where not, ``eps`` drops copies only
        confidence: 0 to 1; :data:`CLEAR` or more where clear
        reason: a sentence for people
        kept: number kept at ``eps``
        n: samples in all
    """

    eps: float
    low: float
    high: float
    clear: bool
    confidence: float
    reason: str
    kept: int
    n: int


@dataclass(frozen=True)
class _Valley:
    """Around ``eps``, within ``factor``, ``inside`` merges; on either side, as far again, ``below`` and ``above``."""

    eps: float
    factor: float
    below: int
    inside: int
    above: int
    score: float


def suggest(sweep: Sweep) -> Suggestion:
    """Return the eps in the deepest valley of the merges, on a log scale.

    Near-duplicates merge at small distances, different pictures at large ones; between the two modes few
    merge (the mode method of Prewitt & Mendelsohn 1966, on single linkage heights). Depth is counted in
    merges, not in width alone, since the widest gap of sorted values lies where few values are. In the
    valley, the widest stretch over which the number kept stays the same is taken, and its middle: as far as
    can be from both kinds of error. Exact copies say nothing about near ones and are left out. Everything is
    relative to the data, so it works for any weights; but pictures of one kind only have no valley, be they
    all distinct or all of one scene.
    """
    low, high, kept = _windows(sweep)
    valley = _deepest(low, kept)
    confidence = 0.0 if valley is None else 1.0 - exp(-max(0.0, valley.score) / 2)
    if valley is None or confidence < CLEAR:
        eps = min(FLOOR, float(high[0]) / 2)
        return Suggestion(
            eps, float(low[0]), float(high[0]), False, confidence, _unclear(sweep), int(kept[0]), sweep.n
        )
    at = _widest(low, high, valley)
    start, end, number = float(low[at]), float(high[at]), int(kept[at])
    return Suggestion(
        _inside(start, end), start, end, True, confidence, _clear(start, end, number, valley), number, sweep.n
    )


def eps_for_target(sweep: Sweep, kept: int) -> tuple[float, int]:
    """Return the eps whose number kept is nearest to ``kept``, and that number; of two, the larger.

    Not every number can be had: samples at the same distance merge together, and copies at any eps.

    Raises:
        ValueError: if ``kept`` is below 1 or above the number of samples
    """
    if not 1 <= kept <= max(1, sweep.n):
        raise ValueError(f"the number to keep must be between 1 and {sweep.n}, got {kept}")
    low, high, numbers = _windows(sweep)
    best = int(np.lexsort((-numbers, np.abs(numbers - kept)))[0])
    return _inside(float(low[best]), float(high[best])), int(numbers[best])


def _windows(sweep: Sweep) -> tuple[Floats, Floats, Indices]:
    """Stretches ``[low, high)`` of eps over which the number kept is the same, ascending."""
    change = np.flatnonzero(np.diff(sweep.kept, prepend=-1))
    low = sweep.eps[change]
    return low, np.append(low[1:], sweep.eps_max), sweep.kept[change]


def _deepest(low: Floats, kept: Indices) -> _Valley | None:
    """The deepest valley between two merges, or None where there are not two."""
    place = np.log(low[1:])
    if len(place) < 2:
        return None
    merged: Indices = kept[0] - kept

    def until(point: Floats) -> Indices:
        passed: Indices = merged[np.searchsorted(place, point)]
        return passed

    middle = (place[1:] + place[:-1]) / 2
    found = [_at_scale(middle, factor, until) for factor in _FACTORS]
    return max(found, key=lambda valley: valley.score)


def _at_scale(middle: Floats, factor: float, until: Callable[[Floats], Indices]) -> _Valley:
    width = log(factor)
    edges = [until(middle + step * width) for step in (-3, -1, 1, 3)]
    below, inside, above = (right - left for left, right in pairwise(edges))
    thinner = np.minimum(below, above)
    # The difference of two counts over its standard deviation; wide valleys need fewer to be convincing.
    depth = (thinner - inside) / np.sqrt(thinner + inside + 1) * width / log(1.5)
    best = int(depth.argmax())
    counts = (int(below[best]), int(inside[best]), int(above[best]))
    return _Valley(exp(middle[best]), factor, *counts, float(depth[best]))


def _widest(low: Floats, high: Floats, valley: _Valley) -> int:
    """The widest window on a log scale, those near the bottom of the valley preferred."""
    start, end = np.log(low[1:]), np.log(np.minimum(high[1:], valley.eps * valley.factor**3))
    away = np.maximum(0.0, np.maximum(start - log(valley.eps), log(valley.eps) - end))
    centre = np.maximum(away, np.abs((start + end) / 2 - log(valley.eps)))
    return 1 + int(np.argmax((end - start) * np.maximum(0.0, 1 - centre / log(valley.factor))))


def _inside(low: float, high: float) -> float:
    """The middle of a window on a log scale."""
    if high == inf:
        return max(low, FLOOR) * 1.001
    return float(np.sqrt(max(low, min(FLOOR, high / 2)) * high))


def _clear(low: float, high: float, kept: int, valley: _Valley) -> str:
    reason = f"between {low:.3g} and {high:.3g} the number kept stays {kept}"
    if valley.inside <= 1:
        return reason
    start, end = valley.eps / valley.factor, valley.eps * valley.factor
    return (
        f"{reason}, where merges are rarest: {valley.inside} from {start:.2g} to {end:.2g}, "
        f"but {valley.below} just below and {valley.above} just above"
    )


def _unclear(sweep: Sweep) -> str:
    copies = (
        f"only the {sweep.dropped[0]} exact copies are dropped" if sweep.dropped[0] else "nothing is dropped"
    )
    return f"no clear gap between near-duplicates and other pictures; at this value {copies}"
