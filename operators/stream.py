"""A step's progress callback as a stream that the App server can send on."""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

from ..similarity.progress import Report, throttled

INTERVAL = 0.25  # seconds between two progress messages about the same thing


class Cancelled(BaseException):
    """The stream was closed; raised inside the step at its next report, past every ``except Exception``."""


def stream(work: Callable[[Report], Any]) -> Iterator[tuple[str, Any]]:
    """Run ``work(report)`` in a thread; yield ``("progress", (what, done, total))``, at the end ``("result", value)``.

    A thread rather than steps written as generators: steps stay plain functions, and the server's thread is free to
    notice a closed tab. Closing the stream cancels the work at its next report.

    Raises:
        whatever the work raises
    """
    messages: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
    closed = threading.Event()
    thread = threading.Thread(target=_run, args=(work, _reporter(messages, closed), messages), daemon=True)
    thread.start()
    try:
        while True:
            kind, value = messages.get()
            if kind == "error":
                raise value
            yield kind, value
            if kind == "result":
                return
    finally:
        closed.set()


def _run(work: Callable[[Report], Any], report: Report, messages: queue.SimpleQueue) -> None:
    try:
        messages.put(("result", work(report)))
    except BaseException as error:  # handed to the reader, whatever it is
        messages.put(("error", error))


def _reporter(messages: queue.SimpleQueue, closed: threading.Event) -> Report:
    send = throttled(lambda *progress: messages.put(("progress", progress)), INTERVAL)

    def report(what: str, done: int, total: int) -> None:
        if closed.is_set():
            raise Cancelled
        send(what, done, total)

    return report
