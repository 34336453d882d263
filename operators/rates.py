"""The rate of work: measured while it is done, and remembered for an estimate beforehand."""

import math
import time

from ..similarity.result import count

_SURE = 1.0  # seconds until a rate is known
_EMBEDDING = "Embedding"  # the activity that takes the time, and whose rate is remembered
_measured: list[float] = []  # pictures a second, the last time


class Meter:
    """The rate of the activity at hand.

    Attributes:
        activity, done, total: the latest state
    """

    def __init__(self) -> None:
        self.activity, self.done, self.total = "Starting", 0, 0
        self._since, self._first = time.monotonic(), 0

    def note(self, activity: str, done: int, total: int) -> None:
        """Note the state of an activity."""
        if activity != self.activity:
            self._since, self._first = time.monotonic(), done
        self.activity, self.done, self.total = activity, done, total
        if self._embeds and (rate := self._rate()):
            _measured[:] = [rate]

    @property
    def words(self) -> str:
        """The state in words: "Embedding: 312 of 1,000 pictures, 17 a second, 40 s left"."""
        things = count(self.total, "picture") if self._embeds else f"{self.total:,}"
        state, rate = f"{self.activity}: {self.done:,} of {things}", self._rate()
        if not rate or self.done >= self.total:
            return state
        speed = f"{rate:,.0f} a second" if rate >= 1 else f"{60 * rate:.0f} a minute"
        return f"{state}, {speed}, {duration((self.total - self.done) / rate)} left"

    @property
    def _embeds(self) -> bool:
        return self.activity.endswith(_EMBEDDING)  # as one of several steps it has a number before it

    def _rate(self) -> float:
        """Return the things a second; 0 while the rate is unknown."""
        seconds = time.monotonic() - self._since
        return (self.done - self._first) / seconds if seconds >= _SURE else 0.0


def estimate(pictures: int) -> str:
    """Return the time for embedding so many pictures, at the rate measured last in this process."""
    if not _measured:
        return "how long it takes is shown after the first ones"
    return f"about {duration(pictures / _measured[0])} at the rate measured last"


def duration(seconds: float) -> str:
    """Return a time as people read it: "40 s", "12 min", "3 h"."""
    for unit, name in ((3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{math.ceil(seconds / unit):,} {name}"
    return f"{max(1, math.ceil(seconds))} s"
