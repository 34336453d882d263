"""Progress bars in a terminal or notebook."""

from types import TracebackType

import fiftyone as fo


class TerminalProgress:
    """A report callback that draws a progress bar for each thing done; a context manager.

    It follows ``fo.config.show_progress_bars``.
    """

    def __init__(self) -> None:
        self._what = ""
        self._bar: fo.ProgressBar | None = None

    def __enter__(self) -> "TerminalProgress":
        return self

    def __exit__(
        self, kind: type | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close(complete=kind is None)

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show ``done`` of ``total``."""
        if not fo.config.show_progress_bars:
            return
        if what != self._what:
            self._close(complete=True)
            self._what = what
            print(f"{what} ...", flush=True)  # noqa: T201 - this is what a terminal is for
        if total > 3:  # a step of a few parts needs no bar
            self._draw(done, total)

    def _draw(self, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = fo.ProgressBar(total=total, progress=True)
            self._bar.__enter__()
        self._bar.set_iteration(min(done, total))

    def _close(self, complete: bool) -> None:
        if self._bar is not None:
            if complete:
                self._bar.set_iteration(self._bar.total)
            self._bar.__exit__(None, None, None)
            self._bar = None
