"""A step's progress: as a stream that the App's server sends on, in a terminal, and in a delegated run's record."""

import contextlib
import math
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import fiftyone as fo

from ..similarity.progress import Progress, throttled
from .rates import Meter

INTERVAL = 0.25  # seconds between two progress messages about the same thing
RECORD_INTERVAL = 2.0  # seconds between two progress writes of a delegated run
ABANDONED = 10.0  # seconds without a reader: a closed tab's stream is not always closed with it
_FEW = 3  # parts of a step that need no bar


class Cancelled(BaseException):
    """The stream was closed; raised inside the step at its next progress, past every ``except Exception``."""


def stream(work: Callable[[Progress], Any]) -> Iterator[tuple[str, Any]]:
    """Run ``work(progress)`` in a thread; yield ``("progress", (activity, done, total))``, at the end ``("result", value)``.

    Closing the stream cancels the work at its next progress. So does leaving it unread for :data:`ABANDONED` seconds: the
    server may drop a closed tab's stream without closing it.

    Raises:
        Exception: of any type, by the work
    """
    messages: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
    meter = Meter()

    def put(activity: str, done: int, total: int) -> None:
        messages.put(("progress", (meter.words if total > _FEW else activity, done, total)))

    send = throttled(put, INTERVAL)
    closed, busy_since = False, math.inf  # the reader is busy with a message since then; never while it waits

    def progress(activity: str, done: int, total: int) -> None:
        if closed or time.monotonic() - busy_since > ABANDONED:
            raise Cancelled
        meter.note(activity, done, total)
        send(activity, done, total)

    def run() -> None:
        try:
            messages.put(("result", work(progress)))
        except BaseException as error:  # handed to the reader, whatever it is
            messages.put(("error", error))

    threading.Thread(target=run, daemon=True).start()
    try:
        kind = "progress"
        while kind == "progress":
            kind, value = messages.get()
            if kind == "error":
                raise value
            busy_since = time.monotonic()
            yield kind, value
            busy_since = math.inf
    finally:
        closed = True


@contextlib.contextmanager
def terminal() -> Iterator[Progress]:
    """The progress callback that draws a bar for each activity, if ``fo.config.show_progress_bars`` is on."""
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
    """The progress callback into a delegated run's record, which ``fiftyone delegated info`` shows; the App does not."""

    def progress(activity: str, done: int, total: int) -> None:
        ctx.set_progress(progress=done / max(total, 1), label=activity)

    return throttled(progress, RECORD_INTERVAL)
