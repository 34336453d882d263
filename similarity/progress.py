"""How a step says how far it is."""

import time
from collections.abc import Callable
from functools import partial

Report = Callable[[str, int, int], None]
"""``report(what, done, total)``; may raise to cancel the step."""


def silent(what: str, done: int, total: int) -> None:
    """Report to nobody."""


def about(report: Report, what: str) -> Callable[[int, int], None]:
    """The ``progress(done, total)`` callback that engine functions take, reporting ``what``."""
    return partial(report, what)


def throttled(report: Report, seconds: float) -> Report:
    """Pass on what is new, and of the same thing one report in ``seconds``."""
    last: dict[str, float] = {}

    def sometimes(what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if what not in last or now - last[what] >= seconds:
            last.clear()
            last[what] = now
            report(what, done, total)

    return sometimes
