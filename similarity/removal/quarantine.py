"""Which files of removed samples may be moved aside, and where to."""

import os
import shutil
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import fiftyone.core.utils as fou

from ..data import seals
from ..data.archive import REMOVAL, Archive
from ..data.embeddings import file_mark
from ..exports.targets import refuse_served, size
from ..progress import Report
from . import journal, media_use
from .journal import Journal

_SPARE = 2**20  # bytes left free beside the files: journal and folders

GONE = "the file is not there"
LINK = "it is a link, not a file"
CHANGED = "it has changed since its sample was removed"
FIXED = "its folder cannot be changed (read-only)"


@dataclass(frozen=True)
class Move:
    """One file on its way aside.

    Attributes:
        origin: where it is
        target: where it goes
        size: in bytes
    """

    origin: Path
    target: Path
    size: int


@dataclass
class Plan:
    """What is moved, and what is not.

    Attributes:
        moves: the files that are moved
        journals: those of the quarantine folders that they go to, not written yet
        left: path -> why the file stays
        away: how many files are in quarantine already
    """

    moves: list[Move] = field(default_factory=list)
    journals: list[Journal] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)
    away: int = 0


def plan(archive: Archive, folder: str | None, strangers: Collection[str], report: Report) -> Plan:
    """Find the files of an archive's samples that nobody else uses, and a place for them.

    Nothing is written.

    Args:
        archive: the removed samples
        folder: the quarantine folder; None for one beside the files, on each of their file systems
        strangers: ids of archived samples that are in the dataset too
        report: told how far it is

    Raises:
        ValueError: if there is no folder that does, or no room in it
    """
    found, known = Plan(), [j for j in map(journal.read, map(Path, archive.folders)) if j is not None]
    away = {origin for j in known for origin in j.entries if os.path.lexists(j.folder / j.entries[origin])}
    inodes: dict[str, media_use.Inode] = {}
    for path, mark in _files(archive, strangers).items():
        reason = _reason(path, mark)
        if reason == GONE and path in away:
            found.away += 1
        elif reason is not None:
            found.left[path] = reason
        else:
            inodes[path] = media_use.inode(path)
    used = media_use.users(set(inodes.values()), archive.store, report) if inodes else {}
    free = {path: number for path, number in inodes.items() if number not in used}
    found.left |= {p: f"a sample of the dataset {used[i]!r} uses it" for p, i in inodes.items() if i in used}
    for chosen, paths in _folders(archive, folder, free).items():
        _add(found, archive, chosen, paths)
    return found


def _files(archive: Archive, strangers: Collection[str]) -> dict[str, str | None]:
    """The archived samples' files, and their marks of when the samples were removed."""
    ids = set(archive.ids()) - set(strangers)
    return {
        document["filepath"]: document.get(REMOVAL, {}).get("file")
        for document in seals.documents(archive.store, sorted(ids), ["filepath", REMOVAL])
    }


def _reason(path: str, mark: str | None) -> str | None:
    """Why a file stays, as far as it can be told from itself; None if it may be moved."""
    if Path(path).is_symlink():
        return LINK
    if not Path(path).is_file():
        return GONE
    if file_mark(path) != mark:
        return CHANGED
    if not os.access(Path(path).parent, os.W_OK | os.X_OK):
        return FIXED
    return None


def _folders(
    archive: Archive, folder: str | None, inodes: Mapping[str, media_use.Inode]
) -> dict[Path, list[str]]:
    """A quarantine folder for every file: the one asked for, or one on each file system."""
    if not inodes:
        return {}
    if folder is not None:
        return {Path(os.path.realpath(Path(folder).expanduser())): list(inodes)}
    devices: dict[int, list[str]] = {}
    for path, (device, _) in inodes.items():
        devices.setdefault(device, []).append(path)
    name = f"onlyone-quarantine-{fou.to_slug(archive.source.name)}-{archive.run_key}"
    return {_beside(paths, device, name): paths for device, paths in devices.items()}


def _beside(paths: Iterable[str], device: int, name: str) -> Path:
    """A folder beside the one that all the files are in; inside it, hidden, where that cannot be.

    Beside rather than inside, so that nobody who lists the pictures finds them there.
    """
    common = Path(os.path.commonpath([str(Path(path).parent) for path in paths]))
    outside = common.parent
    if outside == common:
        raise ValueError("The files have no folder in common to put a quarantine beside: name a folder")
    if (
        outside.parent != outside
        and outside.stat().st_dev == device
        and os.access(outside, os.W_OK | os.X_OK)
    ):
        return outside / name
    return common / f".{name}"


def _add(found: Plan, archive: Archive, folder: Path, paths: list[str]) -> None:
    """Plan the moves into one quarantine folder."""
    kept = _open(archive, folder)
    moves = [Move(Path(path), kept.add(path), Path(path).stat().st_size) for path in sorted(paths)]
    check_room(folder, [(move.origin, move.size) for move in moves])
    found.moves += moves
    found.journals.append(kept)


def _open(archive: Archive, folder: Path) -> Journal:
    """The journal of a quarantine folder of this archive's, or a new one.

    Raises:
        ValueError: if the folder is something else, or FiftyOne serves it over HTTP, or it cannot be written to
    """
    refuse_served(folder)
    dataset_id = str(archive.source._doc.id)
    known = journal.read(folder)
    if known is not None and (known.dataset_id, known.run_key) != (dataset_id, archive.run_key):
        raise ValueError(
            f"{folder} is the quarantine of {known.dataset!r} (run {known.run_key!r}): name another folder"
        )
    if known is None and not journal.is_free(folder):
        raise ValueError(f"{folder} exists and is not a quarantine of OnlyOne's: name a new or empty folder")
    anchor = existing(folder)
    if not anchor.is_dir() or not os.access(anchor, os.W_OK | os.X_OK):
        raise ValueError(
            f"Nothing can be written in {anchor} (read-only, or not a folder): name another folder"
        )
    return known or Journal(folder, dataset_id, archive.source.name, archive.run_key)


def check_room(folder: Path, files: Iterable[tuple[Path, int]]) -> None:
    """Refuse files that have to be copied and do not fit.

    Args:
        folder: where they go; may not exist yet
        files: path and size in bytes of each

    Raises:
        ValueError: naming what is needed and what is free
    """
    anchor = existing(folder)
    device, free = anchor.stat().st_dev, shutil.disk_usage(anchor).free
    needed = sum(number for path, number in files if path.lstat().st_dev != device)
    if needed and needed + _SPARE > free:
        raise ValueError(
            f"There is not enough room in {anchor}: the files need {size(needed)} and {size(free)} are free. Nothing was "
            "moved"
        )


def existing(folder: Path) -> Path:
    """The nearest folder above a path, or itself, that exists."""
    return next(place for place in (folder, *folder.parents) if os.path.lexists(place))
