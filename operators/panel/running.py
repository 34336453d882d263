"""Steps that a panel started: each is followed by every tab that shows its run."""

import threading
from collections.abc import Callable

import fiftyone as fo

from ...similarity.data.home import identity
from ...similarity.progress import Progress
from ...similarity.result import Result
from ..progress import Running

_runs: dict[tuple[str, str], Running] = {}
_starting = threading.Lock()


def start(dataset: fo.Dataset, run_key: str, label: str, work: Callable[[Progress], Result]) -> None:
    """Start a step on a run of a dataset; where one is at work on it already, that one is followed instead."""
    with _starting:
        at_work = find(dataset, run_key)
        if at_work is None or at_work.ended:
            _runs[identity(dataset), run_key] = Running(label, work)


def find(dataset: fo.Dataset, run_key: str) -> Running | None:
    """Return the step that was started last on a run of a dataset."""
    return _runs.get((identity(dataset), run_key))


def forget(dataset: fo.Dataset, run_key: str) -> None:
    """Forget the step, which has ended."""
    _runs.pop((identity(dataset), run_key), None)
