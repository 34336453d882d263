"""An eps read off the data: the widest stretch of eps over which the number kept stays the same."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .neighbors import FLOOR
from .sweep import Sweep

CLEAR = 1.0


@dataclass(frozen=True)
class Suggestion:
    """An eps and why.

    Attributes:
        eps: the value to use
        low: from here on the number kept is ``kept``
        high: below this it still is; infinite where nothing else can merge
        clear: whether the data show a gap; where not, ``eps`` drops little but copies
        confidence: 0 to 1, above 0.5 where clear
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
    """Return the eps at the widest gap between the distances at which clusters merge."""
    low, high, kept = _windows(sweep)
    scores = _scores(low, high, kept)
    best = int(np.argmax(scores)) if len(scores) else 0
    if len(scores) and scores[best] >= CLEAR:
        return _clear(sweep, float(low[best]), float(high[best]), int(kept[best]), float(scores[best]))
    return _unclear(sweep, float(low[0]), float(high[0]), int(kept[0]))


def eps_for_target(sweep: Sweep, kept: int) -> tuple[float, int]:
    """Return the eps whose number kept is nearest to ``kept``, and that number; of two, the larger.

    Not every number can be had: samples at the same distance merge together.

    Raises:
        ValueError: if ``kept`` is below 1 or above the number of samples
    """
    if not 1 <= kept <= max(1, sweep.n):
        raise ValueError(f"the number to keep must be between 1 and {sweep.n}, got {kept}")
    low, high, numbers = _windows(sweep)
    best = int(np.lexsort((-numbers, np.abs(numbers - kept)))[0])
    return _inside(float(low[best]), float(high[best])), int(numbers[best])


def _windows(sweep: Sweep) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Stretches ``[low, high)`` of eps over which the number kept is the same, ascending."""
    change = np.flatnonzero(np.diff(sweep.kept, prepend=-1))
    low = sweep.eps[change]
    return low, np.append(low[1:], np.inf), sweep.kept[change]


def _scores(low: np.ndarray, high: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """How much a window stands out: its width on a log scale, times the root of the merges beyond it.

    The spacing of sorted values is widest in the tails, where few values are; the root takes that back.
    """
    merges_below = kept[0] - kept
    merges_above = kept - kept.min()
    thinner = np.minimum(merges_below, merges_above)
    with np.errstate(invalid="ignore"):
        width = np.where(np.isfinite(high), np.log(high / np.maximum(low, FLOOR)), 0.0)
    return width * np.sqrt(thinner)


def _inside(low: float, high: float) -> float:
    """The middle of a window on a log scale."""
    if not np.isfinite(high):
        return max(low, FLOOR) * 1.001
    return float(np.sqrt(max(low, FLOOR) * high))


def _clear(sweep: Sweep, low: float, high: float, kept: int, score: float) -> Suggestion:
    reason = f"between {low:.2g} and {high:.2g} the number kept stays {kept}"
    return Suggestion(_inside(low, high), low, high, True, 1 - 0.5 * CLEAR / score, reason, kept, sweep.n)


def _unclear(sweep: Sweep, low: float, high: float, kept: int) -> Suggestion:
    eps = max(low, FLOOR)
    reason = "no clear gap between near-duplicates and other pictures; only exact copies are dropped"
    return Suggestion(eps, low, high, False, 0.0, reason, kept, sweep.n)
