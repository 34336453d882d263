"""An eps read off the data: between the distances of near-duplicates and those of other pictures."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf, log
from statistics import NormalDist

import numpy as np

from .neighbors import FLOOR
from .sweep import Sweep
from .valleys import Valley, large_merges, valleys
from .vectors import Floats, Indices

CLEAR = 0.5

_LARGE = 5  # samples of a cluster that counts as large: HDBSCAN's default
_CONVINCING = 2.0  # score of a valley between large clusters, of which there are few
_CLOSER = 3.0  # how much closer than usual a pair of near-duplicates is, where they are too few for a valley
_FALSE_ALARMS = 0.1  # merges of different pictures that may be expected below the suggested eps, there
_FEWEST = 8  # merges that tell what is usual
_TAIL = 1.5  # within this factor below that distance, merges are taken for the tail of what is usual


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


def suggest(sweep: Sweep) -> Suggestion:
    """Return the eps in the deepest valley of the merges, on a log scale.

    Near-duplicates merge at small distances, different pictures at large ones; between the two modes few
    merge (the mode method of Prewitt & Mendelsohn 1966, on single linkage heights). Depth is counted in
    merges, not in width alone, since the widest gap of sorted values lies where few values are. In the
    valley, the widest stretch over which the number kept stays the same is taken, and its middle: as far as
    can be from both kinds of error. Exact copies say nothing about near ones and are left out.

    Two more cases have a gap that the merges alone do not show. A few scenes of many pictures each, as from
    fixed cameras, merge at a few places only: there the merges between large clusters show the valley. And a
    few near-duplicates among many different pictures make no mode of their own: there what merges at a third
    of the usual distance or less, and where different pictures would not be expected to (a false alarm rate, as
    in Desolneux, Moisan & Morel 2000), is a near-duplicate; unless those merges crowd at the upper end of that
    stretch, as the tail of different pictures of one kind does.

    Everything is relative to the data, so it works for any weights; but pictures of one kind only have no
    valley, be they all distinct or all of one scene.
    """
    low, high, kept = _windows(sweep)
    heights = np.repeat(low[1:], np.maximum(0, kept[:-1] - kept[1:]))
    valley, confidence = _valley(sweep, heights)
    if valley is not None:
        at = _widest(low, high, valley)
        reason = _clear(float(low[at]), float(high[at]), int(kept[at]), valley)
        return _suggestion(sweep, _inside(low[at], high[at]), at, confidence, reason)
    edge, number, beyond = _outliers(heights)
    sure = 1 - exp(-beyond / 2)
    if sure >= CLEAR:
        at = int(np.searchsorted(low, edge, side="right")) - 1
        reason = _few(number, edge, heights)
        return _suggestion(sweep, _inside(low[at], high[at]), at, sure, reason)
    return _suggestion(sweep, min(FLOOR, float(high[0]) / 2), 0, confidence, _unclear(sweep))


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
    return low, np.append(low[1:], inf), sweep.kept[change]


def _suggestion(sweep: Sweep, eps: float, at: int, confidence: float, reason: str) -> Suggestion:
    """A suggestion in one of the windows."""
    low, high, kept = (column[at] for column in _windows(sweep))
    clear = confidence >= CLEAR
    return Suggestion(float(eps), float(low), float(high), clear, confidence, reason, int(kept), sweep.n)


def _valley(sweep: Sweep, heights: Floats) -> tuple[Valley | None, float]:
    """The valley between near-duplicates and other pictures, None where none is clear; and the confidence."""
    deepest = next(iter(valleys(heights)), None)
    confidence = 0.0 if deepest is None else 1 - exp(-deepest.score / 2)
    clear = deepest if confidence >= CLEAR else None
    among_large = valleys(large_merges(sweep, _LARGE), _CONVINCING)
    highest = max(among_large, key=lambda valley: valley.eps, default=None)
    if highest is not None and (clear is None or highest.low >= clear.high):
        return highest, 1 - exp(-highest.score / 2)
    return clear, confidence


def _outliers(heights: Floats) -> tuple[float, int, int]:
    """The distance below which merges are too close to be of different pictures, how many are, and beyond a tail.

    What is usual is told by the median and the upper quartile, which a few near-duplicates hardly move. As many as
    crowd just below the distance are taken for the tail of the usual, and as many again for what it hides further down.
    """
    if len(heights) < _FEWEST:
        return 0.0, 0, 0
    median, upper = np.quantile(np.log(heights), [0.5, 0.75])
    deviation = (upper - median) / NormalDist().inv_cdf(0.75)
    rare = -NormalDist().inv_cdf(_FALSE_ALARMS / len(heights))
    edge = exp(median - max(log(_CLOSER), rare * deviation))
    below, number = (int(count) for count in np.searchsorted(heights, [edge / _TAIL, edge]))
    return edge, number, max(0, below - (number - below))


def _widest(low: Floats, high: Floats, valley: Valley) -> int:
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


def _clear(low: float, high: float, kept: int, valley: Valley) -> str:
    reason = f"between {low:.3g} and {high:.3g} the number kept stays {kept}"
    if valley.inside <= 1:
        return reason
    return (
        f"{reason}, where merges are rarest: {valley.inside} from {valley.low:.2g} to {valley.high:.2g}, "
        f"but {valley.below} just below and {valley.above} just above"
    )


def _few(number: int, edge: float, heights: Floats) -> str:
    usual = float(np.median(heights))
    return (
        f"{number} merges lie below {edge:.3g}, where of pictures that are all different hardly one would: usual is "
        f"{usual:.3g}"
    )


def _unclear(sweep: Sweep) -> str:
    copies = (
        f"only the {sweep.dropped[0]} exact copies are dropped" if sweep.dropped[0] else "nothing is dropped"
    )
    return f"no clear gap between near-duplicates and other pictures; at this value {copies}"
