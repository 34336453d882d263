"""Steps that a panel started: each in a thread of the App's server, followed by every tab that shows its run."""

import math
import threading
import time
import uuid
from collections.abc import Callable

import fiftyone as fo

from ...similarity.data.caches import identity
from ...similarity.progress import Progress
from ...similarity.result import Result, count
from ..base import EXPECTED
from ..progress import Cancelled

_FEW = 4  # parts of an activity that are not worth counting
_SURE = 1.0  # seconds until a rate is told
_EMBEDDING = "Embedding"  # the activity that takes the time, and whose rate is remembered
_runs: dict[tuple[str, str], "Running"] = {}
_measured: list[float] = []  # pictures a second, the last time


class Running:
    """A step at work, or one that has ended.

    Args:
        label: the step, as people read it
        work: ``work(progress) -> result``

    Attributes:
        id: tells it from other ones
        ended: whether it has; then one of ``result``, ``problem`` (why it stopped, in words) and ``cancelled`` is set
    """

    def __init__(self, label: str, work: Callable[[Progress], Result]):
        self.id, self.label = uuid.uuid4().hex, label
        self.ended = self.cancelled = False
        self.result: Result | None = None
        self.problem: str | None = None
        self._work, self._stop = work, threading.Event()
        self._what, self._done, self._total = "Starting", 0, 0
        self._since, self._first = time.monotonic(), 0
        threading.Thread(target=self._run, daemon=True).start()

    def cancel(self) -> None:
        """Stop at the next progress; what is written by then stays."""
        self._stop.set()

    @property
    def share(self) -> float | None:
        """How much of the activity is done, in [0, 1]; None if that is not known."""
        return min(self._done / self._total, 1.0) if self._total >= _FEW else None

    @property
    def words(self) -> str:
        """What is being done: "Embedding: 312 of 1,000 pictures, 17 a second, 40 s left"."""
        if self._stop.is_set():
            return "Stopping"
        if self._total < _FEW:
            return self._what
        things = count(self._total, "picture") if self._embeds else f"{self._total:,}"
        said, rate = f"{self._what}: {self._done:,} of {things}", self._rate()
        if not rate or self._done >= self._total:
            return said
        return f"{said}, {_speed(rate)}, {duration((self._total - self._done) / rate)} left"

    @property
    def _embeds(self) -> bool:
        return self._what.endswith(_EMBEDDING)  # as one of several steps it has a number before it

    def _rate(self) -> float:
        """Things done a second; 0 if that cannot be told yet."""
        seconds = time.monotonic() - self._since
        return (self._done - self._first) / seconds if seconds >= _SURE else 0.0

    def _progress(self, what: str, done: int, total: int) -> None:
        if self._stop.is_set():
            raise Cancelled
        if what != self._what:
            self._since, self._first = time.monotonic(), done
        self._what, self._done, self._total = what, done, total
        if self._embeds and (rate := self._rate()):
            _measured[:] = [rate]

    def _run(self) -> None:
        try:
            self.result = self._work(self._progress)
        except Cancelled:
            self.cancelled = True
        except EXPECTED as error:
            self.problem = str(error)
        except Exception as error:  # nobody waits for the thread, so the panel has to say it
            self.problem = f"{type(error).__name__}: {error}"
            raise
        finally:
            self.ended = True


def start(dataset: fo.Dataset, run_key: str, label: str, work: Callable[[Progress], Result]) -> None:
    """Start a step on a run of a dataset; where one is at work on it already, that one is followed instead."""
    at_work = find(dataset, run_key)
    if at_work is None or at_work.ended:
        _runs[identity(dataset), run_key] = Running(label, work)


def find(dataset: fo.Dataset, run_key: str) -> Running | None:
    """The step that was started last on a run of a dataset."""
    return _runs.get((identity(dataset), run_key))


def forget(dataset: fo.Dataset, run_key: str) -> None:
    """Forget the step, which has ended."""
    _runs.pop((identity(dataset), run_key), None)


def estimate(pictures: int) -> str:
    """How long embedding takes at the rate measured last in this process."""
    if not _measured:
        return "how long it takes is shown after the first ones"
    return f"about {duration(pictures / _measured[0])} at the rate measured last"


def duration(seconds: float) -> str:
    """A time as people read it: "40 s", "12 min", "3 h"."""
    for unit, name in ((3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{math.ceil(seconds / unit):,} {name}"
    return f"{max(1, math.ceil(seconds))} s"


def _speed(rate: float) -> str:
    return f"{rate:,.0f} a second" if rate >= 1 else f"{60 * rate:.0f} a minute"
