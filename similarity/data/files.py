"""The files of samples, how people read their names, and files that are written whole or not at all."""

import contextlib
import shutil
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath

import fiftyone as fo

from . import samples as sm
from .home import share

PARTIAL = ".onlyone-partial-"
"""How the name of a file or folder begins that is not complete."""


def files(dataset: fo.Dataset, ids: Sequence[str]) -> dict[str, str]:
    """Sample id -> its file; samples that are gone are left out."""
    if not ids:
        return {}
    return dict(zip(*sm.everything(dataset).select(ids).values(["id", "filepath"]), strict=True))


class Names(dict[str, str]):
    """Sample id -> how people read it; a sample that is gone is read by its id."""

    def __missing__(self, sample_id: str) -> str:
        return sample_id


def short_names(paths: Mapping[str, str]) -> Names:
    """Sample id -> its file's name, with as many of the folders above as tell it from the other files'."""
    parts = {path: PurePath(path).parts for path in paths.values()}
    shown = dict.fromkeys(parts, 1)
    while True:
        names = {path: str(PurePath(*parts[path][-number:])) for path, number in shown.items()}
        times = Counter(names.values())
        alike = [path for path, name in names.items() if times[name] > 1 and shown[path] < len(parts[path])]
        if not alike:
            return Names({sample_id: names[path] for sample_id, path in paths.items()})
        for path in alike:
            shown[path] += 1


@contextlib.contextmanager
def written_beside(path: Path, inside: Path | None = None) -> Iterator[Path]:
    """A new path for a file or folder that takes the place of ``path`` at the end, and is removed if anything fails.

    A reader sees the old one or the new one, whole.

    Args:
        path: a file, which is replaced, or a folder that does not exist or is empty; folders above it are made at the end
        inside (None): an existing folder on the file system of ``path``; by default the one that ``path`` lies in
    """
    beside = (inside or path.parent) / f"{PARTIAL}{uuid.uuid4().hex[:8]}{path.suffix}"
    try:
        yield beside
        path.parent.mkdir(parents=True, exist_ok=True)
        if beside.is_dir() and path.is_dir():
            path.rmdir()  # fails if somebody has put something there since
        share(beside)
        beside.replace(path)
    except BaseException:
        if beside.is_dir():
            shutil.rmtree(beside, ignore_errors=True)
        beside.unlink(missing_ok=True)
        raise
