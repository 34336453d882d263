"""Folders that steps write into: refused early where they do not do, and either complete or not there."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import fiftyone as fo

from ..data.files import PARTIAL, written_beside
from ..data.home import PLUGIN

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_SPARE = 64 * 2**20  # bytes left free beside the pictures: labels, tables and the report


@dataclass(frozen=True)
class Target:
    """A folder that does not exist yet, or is empty.

    Attributes:
        path: where it will be: absolute, with ``~`` and symbolic links resolved
        anchor: the nearest folder above it that exists: on the same file system, and where the partial folder is made
    """

    path: Path
    anchor: Path

    def check_space(self, needed: int) -> None:
        """Refuse what the disk has no room for.

        Args:
            needed: bytes to be written

        Raises:
            ValueError: naming what is needed and what is free
        """
        free = shutil.disk_usage(self.anchor).free
        if needed + _SPARE > free:
            raise ValueError(
                f"There is not enough room in {self.anchor}: the pictures need {size(needed)} and {size(free)} are free. "
                "Choose another folder, or link the pictures instead of copying them"
            )

    @contextlib.contextmanager
    def writing(self) -> Iterator[Path]:
        """A folder that takes the place of the target at the end, and is removed if anything fails.

        A killed process leaves its folder, hidden and never under the target's name; the next export there removes it.
        """
        _remove_abandoned(self.anchor)
        with contextlib.ExitStack() as stack, written_beside(self.path, self.anchor) as partial:
            stack.callback(os.close, _make(partial))  # after the folder has its name
            yield partial


def target(folder: str) -> Target:
    """The folder to write into.

    Args:
        folder: absolute, relative to the working directory, or beginning with ``~``

    Raises:
        ValueError: if it is not empty, is a file, lies where FiftyOne serves files over HTTP, or cannot be written to
    """
    path = Path(os.path.realpath(Path(folder).expanduser()))
    anchor = next(parent for parent in path.parents if os.path.lexists(parent))
    _refuse_occupied(path, anchor)
    refuse_served(path)
    if not os.access(anchor, os.W_OK | os.X_OK):
        raise ValueError(
            f"Nothing can be written in {anchor}: choose another folder, or change its permissions"
        )
    return Target(path, anchor)


def _refuse_occupied(path: Path, anchor: Path) -> None:
    if not anchor.is_dir():
        raise ValueError(f"{anchor} is a file, so there can be no folder {path}: choose another one")
    if not os.path.lexists(path):
        return
    if not path.is_dir():
        raise ValueError(f"{path} is a file: name a folder that is new or empty")
    if any(path.iterdir()):
        raise ValueError(f"The folder {path} is not empty: name one that is new or empty")
    if path.is_mount():
        raise ValueError(f"{path} is the root of a file system: name a new folder in it")


def refuse_served(path: Path) -> None:
    """Refuse the plugin's folder and the plugins folder: FiftyOne's server hands out every file in them.

    Raises:
        ValueError: if the path lies in one of them
    """
    for served in (PLUGIN, Path(fo.config.plugins_dir)):
        if served.exists() and any(
            place.exists() and place.samefile(served) for place in (path, *path.parents)
        ):
            raise ValueError(
                f"{path} lies in {served}, where FiftyOne's server shows every file to the network: choose another folder"
            )


def _make(partial: Path) -> int:
    """Make a folder, with a lock that says that its maker is alive; until then another export may remove it."""
    while True:
        try:
            partial.mkdir(exist_ok=True)
        except OSError as error:
            raise ValueError(
                f"Nothing can be written in {partial.parent}: {error.strerror}. Choose another folder"
            ) from error
        lock = os.open(os.devnull, os.O_RDONLY) if fcntl is None else _lock(partial)
        if lock is not None:
            return lock


def _lock(folder: Path) -> int | None:
    """Lock a folder until the descriptor is closed; None if it has gone or somebody else holds it."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        folder.stat()
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _remove_abandoned(anchor: Path) -> None:
    """Remove the partial folders of processes that were killed."""
    for partial in anchor.glob(f"{PARTIAL}*") if fcntl is not None else ():
        lock = _lock(partial)
        if lock is not None:
            shutil.rmtree(partial, ignore_errors=True)
            os.close(lock)


def size(number: int) -> str:
    """A number of bytes as text: "3.2 GB"."""
    value = float(number)
    for unit in ("bytes", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} GB"
