"""Steps that a panel started: each in a thread of the App's server, followed by every tab that shows its run."""

import threading
import uuid
from collections.abc import Callable

import fiftyone as fo

from ...similarity.data.home import identity
from ...similarity.progress import Progress
from ...similarity.result import Result
from ..base import EXPECTED
from ..progress import Cancelled
from ..rates import Meter

_FEW = 4  # parts of an activity that are not worth counting
_runs: dict[tuple[str, str], "Running"] = {}


class Running:
    """A step at work, or one that has ended.

    Args:
        label: the step, as people read it
        work: ``work(progress) -> result``

    Attributes:
        id: tells it from other ones
        meter: how far it is, and how fast
        ended: whether it has; then one of ``result``, ``problem`` (why it stopped, in words) and ``cancelled`` is set
    """

    def __init__(self, label: str, work: Callable[[Progress], Result]):
        self.id, self.label = uuid.uuid4().hex, label
        self.ended = self.cancelled = False
        self.result: Result | None = None
        self.problem: str | None = None
        self._work, self._stop = work, threading.Event()
        self.meter = Meter()
        threading.Thread(target=self._run, daemon=True).start()

    def cancel(self) -> None:
        """Stop at the next progress; what is written by then stays."""
        self._stop.set()

    @property
    def share(self) -> float | None:
        """How much of the activity is done, in [0, 1]; None if that is not known."""
        meter = self.meter
        return min(meter.done / meter.total, 1.0) if meter.total >= _FEW else None

    @property
    def words(self) -> str:
        """What is being done, how fast, and how much time is left."""
        if self._stop.is_set():
            return "Stopping"
        return self.meter.words if self.meter.total >= _FEW else self.meter.activity

    def _progress(self, what: str, done: int, total: int) -> None:
        if self._stop.is_set():
            raise Cancelled
        self.meter.note(what, done, total)

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
