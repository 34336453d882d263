"""The progress callbacks of steps."""

import time
from collections.abc import Callable
from functools import partial

Progress = Callable[[str, int, int], None]
"""``progress(activity, done, total)``; may raise to cancel the step."""


def silent(activity: str, done: int, total: int) -> None:
    """Ignore progress."""


def about(progress: Progress, activity: str) -> Callable[[int, int], None]:
    """Return the ``progress(done, total)`` callback of engine functions for an ``activity``."""
    return partial(progress, activity)


def throttled(progress: Progress, seconds: float) -> Progress:
    """Pass on each new activity, and calls of the same one at most every ``seconds``."""
    last: dict[str, float] = {}

    def sometimes(activity: str, done: int, total: int) -> None:
        now = time.monotonic()
        if activity not in last or now - last[activity] >= seconds:
            last.clear()
            last[activity] = now
            progress(activity, done, total)

    return sometimes
