"""Picture files on their way into a folder: checked first, then copied or linked under names that do not collide."""

import os
import re
import shutil
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..data.files import sizes
from ..progress import Progress
from ..result import count, size
from .targets import Target

COPY, HARDLINK, SYMLINK, NONE = "copy", "hardlink", "symlink", "none"

_LONGEST, _LONGEST_EXTENSION = 240, 15  # bytes; file systems take 255 in all
_SHOWN = 5
_SPARE = 64 * 2**20  # bytes left free beside the pictures: labels, tables and the report
_UNFIT = re.compile(r"^(?=\.)|[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class UniqueNames:
    """Names of files in one folder.

    Two of them differ in more than case, Unicode normalisation or extension: case-insensitive file systems, and label
    files that are named after their picture, cannot tell such names apart. None holds a control character or a line
    separator, which label files of one line a picture, tables and XML cannot; none is hidden, which importers leave out.

    Args:
        folders (False): whether the names are those of folders, which have no extension
    """

    def __init__(self, folders: bool = False) -> None:
        self._folders = folders
        self._taken: set[str] = set()
        self._repeats: dict[str, int] = {}

    def name(self, original: str, prefix: str = "") -> str:
        """Return ``original`` with the prefix, and with ``-2``, ``-3`` ... before its extension if it is taken."""
        original = _UNFIT.sub("_", original)
        extension = "" if self._folders else Path(original).suffix
        if len(extension.encode()) > _LONGEST_EXTENSION:
            extension = ""
        stem = original.removesuffix(extension)
        name = start = _shortened(prefix + stem, "")
        repeat = self._repeats.get(name_key(start), 1)
        while name_key(name) in self._taken:
            repeat += 1
            name = _shortened(prefix + stem, f"-{repeat}")
        self._repeats[name_key(start)] = repeat
        self._taken.add(name_key(name))
        return name + extension


def _shortened(stem: str, ending: str) -> str:
    return stem.encode()[: _LONGEST - len(ending)].decode(errors="ignore") + ending


def name_key(stem: str) -> str:
    """Return the form by which file systems that ignore case, or normalise Unicode, tell names apart."""
    return unicodedata.normalize("NFC", stem).casefold()


def check(paths: Iterable[str], target: Target, media: str) -> None:
    """Find before anything is written whether every file is there, and whether copies of them fit.

    Args:
        paths: the files
        media: ``"copy"``, ``"hardlink"`` or ``"symlink"``; ``"none"`` where the files are read only

    Raises:
        ValueError: if files are missing, or the disk is too full for the copies
    """
    wanted = list(paths)
    found = sizes(wanted)
    missing = [path for path in wanted if path not in found]
    if missing:
        shown = "".join(f"\n- {path}" for path in missing[:_SHOWN])
        rest = f"\n- and {len(missing) - _SHOWN:,} more" if len(missing) > _SHOWN else ""
        raise ValueError(
            f"{count(len(missing), 'file is', 'files are')} missing, so nothing was written. Put them back, or take their "
            f"samples out of the view:{shown}{rest}"
        )
    needed, free = sum(found[path] for path in wanted), shutil.disk_usage(target.anchor).free
    if media == COPY and needed + _SPARE > free:
        raise ValueError(
            f"The disk of {target.anchor} is too full: the pictures need {size(needed)} and {size(free)} are free. "
            "Choose another folder, or link the pictures instead of copying them"
        )


def place(files: Sequence[tuple[str, Path]], media: str, progress: Progress) -> None:
    """Copy or link files, and make the folders that they go into.

    Args:
        files: ``(file, new path)``; the new paths are distinct and taken by nobody
        media: ``"copy"``, ``"hardlink"`` or ``"symlink"``; ``"none"`` where there are no files

    Raises:
        ValueError: if a file cannot be hard-linked there
    """
    put = {COPY: shutil.copyfile, HARDLINK: _hardlink, SYMLINK: os.symlink}.get(media)
    words = "Copying the pictures" if media == COPY else "Linking the pictures"
    for folder in {new.parent for _, new in files}:
        folder.mkdir(parents=True, exist_ok=True)
    for done, (original, new) in enumerate(files):
        progress(words, done, len(files))
        put(original, new)


def _hardlink(original: str, new: Path) -> None:
    try:
        os.link(os.path.realpath(original), new)  # of a symbolic link: to the picture itself
    except OSError as error:
        raise ValueError(
            f"{original} cannot be hard-linked to {new} ({error.strerror}): hard links need one file system that supports "
            "them. Choose a folder on the pictures' own disk, or copies or symbolic links"
        ) from error
