"""A step's progress: of a thread that the App's server follows, in a terminal, and in a delegated run's record."""

import contextlib
import math
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import fiftyone as fo

from ..similarity.data.locks import Busy
from ..similarity.engine.vgg16 import WeightsUnavailable
from ..similarity.progress import Progress, throttled
from .rates import Meter

INTERVAL = 0.25  # seconds between two progress messages about the same thing
RECORD_INTERVAL = 2.0  # seconds between two progress writes of a delegated run
ABANDONED = 10.0  # seconds without a reader: a closed tab's stream is not always closed with it
EXPECTED = (ValueError, Busy, WeightsUnavailable)  # errors that explain themselves
_FEW = 3  # parts of a step that need no bar
_at_work: dict[str, "Running"] = {}


class Cancelled(BaseException):
    """Raised inside of a cancelled step at its next progress, past every ``except Exception``."""


class Running:
    """A step at work in a thread of its own, or one that has ended.

    Args:
        label: the step, as people read it
        work: ``work(progress) -> result``

    Attributes:
        id: tells it from other ones
        meter: how far it is, and how fast
        ended: whether it has; then ``result`` or ``error`` is set, a :class:`Cancelled` where it was cancelled
    """

    def __init__(self, label: str, work: Callable[[Progress], Any]):
        self.id, self.label, self.meter = uuid.uuid4().hex, label, Meter()
        self.result: Any = None
        self.error: BaseException | None = None
        self._stop, self._end, self._unread_since = threading.Event(), threading.Event(), math.inf
        _at_work[self.id] = self
        threading.Thread(target=self._run, args=(work,), daemon=True).start()

    def cancel(self) -> None:
        """Stop at the next progress; everything written by then stays."""
        self._stop.set()

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self._end.is_set()

    @property
    def share(self) -> float | None:
        """How much of the activity is done, in [0, 1]; None where it has few parts."""
        return min(self.meter.done / self.meter.total, 1.0) if self.meter.total > _FEW else None

    @property
    def words(self) -> str:
        """The activity, its rate, and the time left."""
        if self._stop.is_set():
            return "Stopping"
        return self.meter.words if self.meter.total > _FEW else self.meter.activity

    @property
    def problem(self) -> str | None:
        """Why it stopped; None if it did not, or was cancelled."""
        if self.error is None or isinstance(self.error, Cancelled):
            return None
        kind = "" if isinstance(self.error, EXPECTED) else f"{type(self.error).__name__}: "
        return f"{kind}{self.error}"

    def stream(self) -> Iterator[None]:
        """Yield now and then until the step has ended.

        Closing the stream cancels the step. So does leaving it unread for :data:`ABANDONED` seconds: the server may drop a
        closed tab's stream without closing it.

        Raises:
            BaseException: of any type, by the step
        """
        try:
            while not self._end.wait(INTERVAL):
                self._unread_since = time.monotonic()
                yield
                self._unread_since = math.inf
        finally:
            self.cancel()
        if self.error is not None:
            raise self.error

    def _progress(self, activity: str, done: int, total: int) -> None:
        if self._stop.is_set() or time.monotonic() - self._unread_since > ABANDONED:
            raise Cancelled
        self.meter.note(activity, done, total)

    def _run(self, work: Callable[[Progress], Any]) -> None:
        try:
            self.result = work(self._progress)
        except (*EXPECTED, Cancelled) as error:
            self.error = error
        except BaseException as error:
            self.error = error
            raise  # for the server's log
        finally:
            del _at_work[self.id]
            self._end.set()


def cancel(running_id: str) -> None:
    """Cancel a step; one that has ended stays as it is."""
    found = _at_work.get(running_id)
    if found is not None:
        found.cancel()


@contextlib.contextmanager
def terminal() -> Iterator[Progress]:
    """Yield the progress callback that draws a bar for each activity, if ``fo.config.show_progress_bars`` is on."""
    shown, bars = "", contextlib.ExitStack()
    bar: fo.ProgressBar | None = None

    def progress(activity: str, done: int, total: int) -> None:
        nonlocal shown, bar
        if not fo.config.show_progress_bars:
            return
        if activity != shown:
            complete()
            shown, bar = activity, None
            print(f"{activity} ...", flush=True)  # noqa: T201 - for a terminal
        if bar is None and total > _FEW:
            bar = bars.enter_context(fo.ProgressBar(total=total, progress=True))
        if bar is not None:
            bar.set_iteration(min(done, total))

    def complete() -> None:
        if bar is not None:
            bar.set_iteration(bar.total)
        bars.close()

    with bars:
        yield progress
        complete()


def record(ctx) -> Progress:
    """Return the progress callback into a delegated run's record; ``fiftyone delegated info`` shows it, the App does not."""

    def progress(activity: str, done: int, total: int) -> None:
        ctx.set_progress(progress=done / max(total, 1), label=activity)

    return throttled(progress, RECORD_INTERVAL)
