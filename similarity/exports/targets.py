"""Folders that steps write into: refused early if they are unusable, and either complete or not there."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..data.files import PARTIAL, absolute, written_beside
from ..data.home import served_folder
from ..data.processes import has_ended, this_process

_OWNER = ".onlyone-owner"  # in a partial folder: the process that writes it


@dataclass(frozen=True)
class Target:
    """A folder that does not exist yet, or is empty.

    Attributes:
        path: where it will be: absolute, with ``~`` and symbolic links resolved
        anchor: the nearest folder above it that exists: on the same file system, and where the partial folder is made
    """

    path: Path
    anchor: Path

    @contextlib.contextmanager
    def writing(self) -> Iterator[Path]:
        """Yield a folder that takes the place of the target at the end, and is removed if anything fails.

        A killed process leaves its folder, hidden and never under the target's name; the next export there from the same
        machine removes it.

        Raises:
            ValueError: in place of an OSError, naming the file and the remedy; nothing is left there then
        """
        _remove_abandoned(self.anchor)
        try:
            with written_beside(self.path, self.anchor) as partial:
                partial.mkdir()
                owner = partial / _OWNER
                owner.write_text(json.dumps(this_process()), encoding="utf-8")
                yield partial
                owner.unlink()
        except OSError as error:
            raise _stopped(self.path, error) from error


def target(folder: str) -> Target:
    """Return the folder to write into.

    Args:
        folder: absolute, relative to the working directory, or beginning with ``~``

    Raises:
        ValueError: if it is not empty, is a file, lies where FiftyOne serves files over HTTP, or cannot be written to
    """
    path = _resolved(folder)
    anchor = next((parent for parent in path.parents if os.path.lexists(parent)), path)
    _refuse_unfit(path, anchor)
    if os.path.lexists(path):
        if not path.is_dir():
            raise ValueError(f"{path} is a file: name a folder that is new or empty")
        if any(path.iterdir()):
            raise ValueError(f"The folder {path} is not empty: name one that is new or empty")
        if path.is_mount():
            raise ValueError(f"{path} is the root of a file system: name a new folder in it")
    return Target(path, anchor)


def _stopped(path: Path, error: OSError) -> ValueError:
    place = error.filename2 or error.filename or path
    return ValueError(
        f"Writing {path} stopped at {place} ({error.strerror or error}), and nothing was left there: free disk space, mend "
        "that file, or choose another folder"
    )


def make(folder: Path) -> None:
    """Make a folder and those above it.

    Raises:
        ValueError: in place of an OSError, naming the place and the remedy
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _stopped(folder, error) from error


def folder(named: str) -> Path:
    """Return the folder to write folders into: as :func:`target` says, but it may hold others.

    Raises:
        ValueError: as :func:`target` does
    """
    path = _resolved(named)
    _refuse_unfit(path, next(place for place in (path, *path.parents) if os.path.lexists(place)))
    return path


def _resolved(named: str) -> Path:
    return Path(os.path.realpath(absolute(named)))


def _refuse_unfit(path: Path, anchor: Path) -> None:
    if not anchor.is_dir():
        raise ValueError(f"{anchor} is a file, so there can be no folder {path}: choose another one")
    served = served_folder(path)
    if served:
        raise ValueError(
            f"{path} lies in {served}, where FiftyOne's server shows every file to the network: choose another folder"
        )
    if not os.access(anchor, os.W_OK | os.X_OK):
        raise ValueError(
            f"Nothing can be written in {anchor}: choose another folder, or change its permissions"
        )


def _remove_abandoned(anchor: Path) -> None:
    """Remove the partial folders of processes that were killed."""
    for owner in anchor.glob(f"{PARTIAL}*/{_OWNER}"):
        with contextlib.suppress(OSError, ValueError):  # somebody else has just removed it
            if has_ended(json.loads(owner.read_text(encoding="utf-8"))):
                shutil.rmtree(owner.parent, ignore_errors=True)
