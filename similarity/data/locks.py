"""One lock per dataset and name, held by a process and freed by the operating system when it dies."""

import contextlib
import os
from collections.abc import Iterator

from .home import home

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt


class Busy(RuntimeError):
    """Another operator is at work on the same dataset and name."""


@contextlib.contextmanager
def lock(dataset, name: str) -> Iterator[None]:
    """Hold the lock ``name`` of a dataset; its runs and fields are then as the last holder left them.

    A file lock rather than a database record: a killed worker's lock is freed at once, without a waiting time that would
    have to be guessed. It holds among the processes that share ``$ONLYONE_HOME``.

    Raises:
        Busy: at once, if somebody else holds it
    """
    path = home() / "locks" / f"{dataset._doc.id}-{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        if not _acquire(file.fileno()):
            raise Busy(
                f"Another OnlyOne operator is at work on {name!r} of the dataset {dataset.name!r}. Wait for it to finish, "
                "or stop it, then try again"
            )
        _see_latest(dataset)
        yield  # closing the file frees the lock


def _see_latest(dataset) -> None:
    """FiftyOne keeps a dataset's fields, runs and their results in the process; another one may have written since."""
    dataset._reload(hard=True)
    dataset._run_cache.clear()


def _acquire(descriptor: int) -> bool:
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            os.lseek(descriptor, 0, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    except OSError:
        return False
    return True
