"""The files of samples, their short names, and files that are written whole or not at all."""

import contextlib
import os
import re
import shutil
import stat
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from os import sep
from pathlib import Path

import fiftyone as fo

from ..result import Skipped, listed
from . import samples as sm
from .home import share

_PATTERN = 16_000  # bytes of a regular expression: about half of the most that MongoDB takes

PARTIAL = ".onlyone-partial-"
"""Prefix of the name of an incomplete file or folder."""


def files(dataset: fo.Dataset, ids: Sequence[str]) -> dict[str, str]:
    """Return sample id -> its file, without samples that are gone."""
    if not ids:
        return {}
    return dict(zip(*sm.everything(dataset).select(ids).values(["id", "filepath"]), strict=True))


def sizes(paths: Iterable[str]) -> dict[str, int]:
    """Return file -> its size in bytes, without those that are not there."""
    found = {}
    for path in paths:
        with contextlib.suppress(OSError):
            status = Path(path).stat()
            if stat.S_ISREG(status.st_mode):
                found[path] = status.st_size
    return found


def absolute(path: str) -> Path:
    """Return a path absolute, without ``..`` and with ``~`` resolved, but not symbolic links.

    Raises:
        ValueError: if it begins with ``~`` and the name of no user
    """
    try:
        return Path(os.path.normpath(Path(path).expanduser().absolute()))
    except RuntimeError as error:
        raise ValueError(f"{path} cannot be found: {error}") from error


class ShortNames(dict[str, str]):
    """Sample id -> its short name; a sample that is gone has its id."""

    def __missing__(self, sample_id: str) -> str:
        return sample_id


def file_names(dataset: fo.Dataset, ids: Sequence[str]) -> ShortNames:
    """Return sample id -> its file, with as much of its path as makes it unique in the dataset."""
    paths = {sample_id: path for sample_id, path in files(dataset, ids).items() if path}
    shown = unique_names(dataset, paths.values())
    return ShortNames({sample_id: shown[path] for sample_id, path in paths.items()})


def with_names(dataset: fo.Dataset, skipped: Skipped) -> dict[str, dict[str, str]]:
    """Return skipped samples, and the names of the first ones' files, as a ``SkippingResult`` takes them."""
    return {"skipped": skipped, "files": file_names(dataset, listed(skipped))}


def unique_names(dataset: fo.Dataset, paths: Iterable[str]) -> dict[str, str]:
    """Return file -> as much of its path as makes it unique among the files of the dataset, in all its slices."""
    wanted = set(paths)
    if not wanted:
        return {}
    bases = sorted({re.escape(_end(path, 1)) for path in wanted})
    longest, others = max(len(base.encode()) for base in bases), set()
    for some in sm.chunks(bases, max(1, _PATTERN // (longest + 1))):
        of_these_names = {"filepath": {"$regex": f"(?:^|{re.escape(sep)})(?:{'|'.join(some)})$"}}
        found = dataset._sample_collection.find(of_these_names, {"_id": False, "filepath": True})
        others.update(sample["filepath"] for sample in found)
    return short_names(wanted, others)


def short_names(paths: Iterable[str], others: Iterable[str] = ()) -> dict[str, str]:
    """Return file -> its name, with as many of the folders above as distinguish it from these and the other files."""
    names: dict[str, str] = {}
    unnamed, parts = set(paths), 1
    among = unnamed.union(others)
    while unnamed:
        ends = {path: _end(path, parts) for path in among}
        times = Counter(ends.values())
        names |= {path: ends[path] for path in unnamed if times[ends[path]] == 1 or ends[path] == path}
        unnamed -= names.keys()
        alike = {ends[path] for path in unnamed}
        among = {path for path in among if ends[path] in alike}
        parts += 1
    return names


def _end(path: str, parts: int) -> str:
    above = path.rsplit(sep, parts)
    return path[len(above[0]) + 1 :] if len(above) > parts else path


@contextlib.contextmanager
def written_beside(path: Path, inside: Path | None = None) -> Iterator[Path]:
    """Yield a new path for a file or folder that replaces ``path`` at the end, and is removed if anything fails.

    A reader sees the old one or the new one, whole.

    Args:
        path: a file, which is replaced, or a folder that does not exist or is empty; folders above it are made at the end
        inside (None): an existing folder on the file system of ``path``; by default the folder of ``path``
    """
    beside = (inside or path.parent) / f"{PARTIAL}{uuid.uuid4().hex[:8]}{path.suffix}"
    try:
        yield beside
        path.parent.mkdir(parents=True, exist_ok=True)
        if beside.is_dir() and path.is_dir():
            path.rmdir()  # fails if somebody has written something there since
        share(beside)
        beside.replace(path)
    except BaseException:
        if beside.is_dir():
            shutil.rmtree(beside, ignore_errors=True)
        beside.unlink(missing_ok=True)
        raise
