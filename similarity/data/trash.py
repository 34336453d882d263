"""The system's trash: which files may go there, and their way."""

import importlib.util
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from bson import ObjectId

from ..progress import Report
from . import locks, media_use
from .embeddings import file_mark

LINK = "it is a link, not a file"
CHANGED = "it has changed since its sample was removed"


def require() -> None:
    """Refuse where the package that knows the system's trash is missing.

    Raises:
        ValueError: saying how it is installed
    """
    if importlib.util.find_spec("send2trash") is None:
        raise ValueError('files="trash" needs the package Send2Trash: pip install send2trash')


def plan(
    marks: Mapping[str, str | None],
    leaving: Mapping[ObjectId, Collection[ObjectId]],
    progress: Report,
) -> tuple[dict[str, int], dict[str, str]]:
    """Which files may go to the trash.

    Args:
        marks: path -> the file's mark when its sample was removed; a file that is not there any more is passed over
        leaving: dataset id -> ids of its samples that do not count as users of a file
        progress: told how far it is

    Returns:
        the paths of those that may, with their sizes in bytes, and for each of the others the reason why not
    """
    found = {path: number for path in marks if (number := media_use.inode(path)) is not None}
    used = media_use.users(set(found.values()), leaving, progress) if found else {}
    sizes, left = {}, {}
    for path, number in found.items():
        if number in used:
            left[path] = f"a sample of the dataset {used[number]!r} names it"
        elif Path(path).is_symlink():
            left[path] = LINK
        elif file_mark(path) != marks[path]:
            left[path] = CHANGED
        else:
            sizes[path] = Path(path).stat().st_size
    return sizes, left


def send(paths: Iterable[str], progress: Report) -> dict[str, str]:
    """Move files to the trash.

    Returns:
        for each file that could not be moved and is where it was, the reason why
    """
    from send2trash import send2trash

    left, paths = {}, list(paths)
    for done, path in enumerate(paths):
        progress("Moving files to the trash", done, len(paths))
        locks.check()
        try:
            send2trash(path)
        except OSError as error:
            if Path(path).exists():
                left[path] = f"the system's trash does not take it ({error.strerror or error})"
    return left
