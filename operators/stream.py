"""A step's progress callback as a stream that the App server can send on."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from ..similarity.progress import Report, throttled

INTERVAL = 0.25  # seconds between two progress messages about the same thing
ABANDONED = 10.0  # seconds without a reader: a closed tab's stream is not always closed with it


class Cancelled(BaseException):
    """The stream was closed; raised inside the step at its next report, past every ``except Exception``."""


def stream(work: Callable[[Report], Any]) -> Iterator[tuple[str, Any]]:
    """Run ``work(report)`` in a thread; yield ``("progress", (what, done, total))``, at the end ``("result", value)``.

    A thread rather than steps written as generators: steps stay plain functions, and the server's thread is free to
    notice a closed tab. Closing the stream cancels the work at its next report, and so does leaving it unread for
    :data:`ABANDONED` seconds: the server may drop a closed tab's stream without closing it.

    Raises:
        whatever the work raises
    """
    messages: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
    reader = _Reader()
    thread = threading.Thread(target=_run, args=(work, _reporter(messages, reader), messages), daemon=True)
    thread.start()
    try:
        while True:
            kind, value = messages.get()
            if kind == "error":
                raise value
            reader.busy_since = time.monotonic()
            yield kind, value
            reader.busy_since = None
            if kind == "result":
                return
    finally:
        reader.closed = True


class _Reader:
    """What the working thread may know of who reads the stream."""

    def __init__(self) -> None:
        self.closed = False
        self.busy_since: float | None = None  # with the last message; None while waiting for the next

    def is_gone(self) -> bool:
        busy_since = self.busy_since
        return self.closed or (busy_since is not None and time.monotonic() - busy_since > ABANDONED)


def _run(work: Callable[[Report], Any], report: Report, messages: queue.SimpleQueue) -> None:
    try:
        messages.put(("result", work(report)))
    except BaseException as error:  # handed to the reader, whatever it is
        messages.put(("error", error))


def _reporter(messages: queue.SimpleQueue, reader: _Reader) -> Report:
    send = throttled(lambda *progress: messages.put(("progress", progress)), INTERVAL)

    def report(what: str, done: int, total: int) -> None:
        if reader.is_gone():
            raise Cancelled
        send(what, done, total)

    return report
