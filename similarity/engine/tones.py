"""Numbers of more than 8 bits as grey tones, and the contrast of a picture.

A picture of 16 or 32 bits rarely fills them: a sensor has 10, 12 or 14 bits, a thermal camera counts from 7,200 to
8,400, a float picture holds kelvin or metres. Scaled by the whole range of its type it would be nearly flat. So the
tones are those of the range that its values use, decided from the picture alone:

- The values that count are the finite ones, without at most a thousandth at either end beyond a gap (dead pixels): the
  gap is wider than a quarter of the range of all others.
- A gap more than twice as wide as all smaller ones together (before a mark such as -9999 for "no data") is narrowed,
  the wider the more, down to half of them: the mark stays a tone of its own. Lens and sensor mix neighbors, so
  a scene leaves no such gap.
- Where that range is half of a usual one or more (0 to 1, to 255, or to white of its bits), the usual one is used, as
  for 8 bits. From one half to one quarter (14 bits in 16) the one rule passes steadily into the other: no two frames
  of one camera fall on two sides of a step.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAST_CONTRAST = 12
"""Smallest contrast, of 255, of a picture that is compared.

Below it VGG16 takes different pictures for the same: of 32 photographs reduced to 8 grey levels, dark or bright, some
pairs are within the distance of near-duplicates, at 12 none (ImageNet weights).
"""

Tones = NDArray[np.uint8]

_SAMPLE = 1 << 20  # values that are sampled, in a grid over the picture
_TAIL = 1000  # one value of so many, at either end, may be left out
_APART = 0.25  # of the others' range: the gap beyond which values are left out
_WIDE, _NARROW = 2.0, 0.5  # of all smaller gaps: least width of a narrowed gap, before and after
# Agreement with a usual range from which it alone, and up to which the used one alone counts.
_USUAL, _OWN = 0.5, 0.25
_ROUNDING = 1e-5  # of the largest value: a float picture that varies no more is one value with rounding


def contrast(pixels: NDArray[np.uint8], tail: float = 0.0) -> int:
    """Return the largest difference within one channel, 0 to 255.

    Args:
        pixels: ``(h, w, channels)``
        tail (0): share of a channel's pixels that do not count, at either end
    """
    if not tail:
        low, high = pixels.min(axis=0).min(axis=0), pixels.max(axis=0).max(axis=0)
    else:
        ordered = np.sort(pixels.reshape(-1, pixels.shape[-1]), axis=0)
        left_out = int(tail * len(ordered))
        low, high = ordered[left_out], ordered[-1 - left_out]
    return int((high.astype(int) - low).max())


def grey(values: NDArray[Any], whites: Sequence[int]) -> Tones:
    """Scale numbers to 8 bits by the range that they use.

    Args:
        values: ``(h, w)`` of any numeric type; not modified. NaN and minus infinity become the lowest tone, infinity the
            highest
        whites: the usual values of white, above 0

    Returns:
        ``(h, w)`` uint8; one value everywhere is scaled by the smallest white that holds it
    """
    used = _used(values)
    if not len(used):
        return np.zeros(values.shape, np.uint8)
    bends, places = _narrowed(used) if len(used) > 1 else (used, used)
    rounding = _ROUNDING * float(np.abs(places[[0, -1]]).max()) if values.dtype.kind == "f" else 0.0
    low, high = _scale(float(places[0]), float(places[-1]), whites, rounding)
    if values.dtype.str[1:] == "u2":  # each of its few possible values is computed once
        table = _tones(np.arange(1 << 16, dtype=np.float32), bends, places, low, high)
        return np.take(table, values)
    kind = np.float32 if values.dtype.kind == "f" else np.float64
    return _tones(values.astype(kind), bends, places, low, high)


def _tones(
    values: NDArray[Any], bends: NDArray[np.float64], places: NDArray[np.float64], low: float, high: float
) -> Tones:
    """Return the tones of float values, which may be overwritten."""
    if len(bends) > 2:
        values = np.interp(values, bends, places)
    with np.errstate(invalid="ignore", over="ignore"):
        values -= low
        values *= 255 / (high - low)
    np.rint(np.nan_to_num(values, copy=False, nan=0, posinf=255, neginf=0), out=values)
    return values.clip(0, 255, out=values).astype(np.uint8)


def _used(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return the values that count, each once, ascending."""
    stride = int(np.ceil(np.sqrt(values.size / _SAMPLE)))
    sample = values[::stride, ::stride]
    ordered = np.sort(sample[np.isfinite(sample)]).astype(np.float64)
    gaps, tail = np.diff(ordered), len(ordered) // _TAIL
    start, stop = 0, len(ordered)
    if tail:
        apart = (ordered[-1 - tail] - ordered[tail]) * _APART or np.inf
        below, above = np.flatnonzero(gaps[:tail] > apart), np.flatnonzero(gaps[-tail:] > apart)
        start = int(below[-1]) + 1 if len(below) else 0
        stop = len(ordered) - tail + int(above[0]) if len(above) else len(ordered)
    ordered = ordered[start:stop]
    return ordered[np.diff(ordered, prepend=-np.inf) > 0]


def _narrowed(used: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ends of the range and of its wide gaps, and their positions after narrowing."""
    gaps = np.diff(used)
    order = np.argsort(gaps)
    smaller = np.cumsum(np.append(0.0, gaps[order][:-1]))  # the sum of the gaps before each one in ``order``
    first_wide = int(np.flatnonzero((gaps[order] <= _WIDE * smaller) | (smaller == 0))[-1]) + 1
    wide = np.sort(order[first_wide:])
    if len(wide):
        rest = smaller[first_wide]
        gaps[wide] = rest * np.maximum(_WIDE * (_WIDE * rest / gaps[wide]) ** 2, _NARROW)
    places = np.concatenate([[0.0], np.cumsum(gaps)])
    starts, ends = np.concatenate([[0], wide + 1]), np.concatenate([wide, [len(used) - 1]])
    anchor = starts[np.argmax(places[ends] - places[starts])]  # the longest part stays where it is
    bends = np.unique(np.concatenate([starts, ends]))
    return used[bends], places[bends] - places[anchor] + used[anchor]


def _scale(low: float, high: float, whites: Sequence[int], rounding: float) -> tuple[float, float]:
    """Return the values of black and white."""
    if high - low <= rounding:
        return 0.0, float(next((white for white in whites if high <= white), max(high, 1.0)))
    white = max(whites, key=lambda white: _agreement(low, high, white))
    share = float(np.clip((_agreement(low, high, white) - _OWN) / (_USUAL - _OWN), 0, 1)) ** 2
    return low + share * (min(low, 0) - low), high + share * (max(high, white) - high)


def _agreement(low: float, high: float, white: float) -> float:
    """Return the overlap of the range from 0 to white with the used one: intersection over union."""
    shared = min(high, white) - max(low, 0)
    return max(shared, 0) / (max(high, white) - min(low, 0))
