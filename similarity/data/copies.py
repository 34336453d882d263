"""Digests of the files of samples, where another file may have the same bytes."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import fiftyone as fo
from fiftyone.core.collections import SampleCollection as Samples

from ..engine import images
from ..progress import Progress
from ..result import Skipped
from . import samples as sm
from .embeddings import FieldNames

READERS = 8  # files read at once: enough to keep a disk busy

MISSING, EMPTY = "its file is missing", "its file is empty"


@dataclass(frozen=True)
class Digests:
    """The files of samples.

    Attributes:
        digests: sample id -> digest of the file's bytes, in the order that decides which is first; None where no other
            file has its size
        marks: sample id -> size and time of the file before it was read
        skipped: sample id -> why its file cannot be compared
    """

    digests: dict[str, str | None]
    marks: dict[str, str]
    skipped: Skipped


def read_digests(samples: Samples, progress: Progress) -> Digests:
    """Digest the files of samples.

    A file is read only if another one has its size, and no current digest of it is known from an embedding or an
    earlier run.
    """
    ids, paths = sm.read(samples, "filepath")
    with ThreadPoolExecutor(READERS, thread_name_prefix="onlyone-digest") as pool:
        every = sorted(set(paths))
        marks = dict(zip(every, pool.map(images.file_mark, every), strict=True))
        reasons = {path: MISSING for path, mark in marks.items() if mark is None}
        reasons |= {path: EMPTY for path, mark in marks.items() if mark is not None and _size(mark) == "0"}
        sizes = Counter(_size(marks[path]) for path in paths if path not in reasons)
        wanted = {path for path in every if path not in reasons and sizes[_size(marks[path])] > 1}
        digests = {path: known for path, known in _known(samples, marks) if path in wanted}
        unknown = sorted(wanted - set(digests))
        # Closing cancels reads that have not begun.
        with contextlib.closing(pool.map(digest, unknown)) as answers:
            for done, (path, (found, reason)) in enumerate(zip(unknown, answers, strict=True)):
                progress("Reading files of equal size", done, len(unknown))
                if reason is None:
                    digests[path] = found
                else:
                    reasons[path] = reason
    good = [(i, path) for i, path in zip(ids, paths, strict=True) if path not in reasons]
    return Digests(
        {i: digests.get(path) for i, path in good},
        {i: marks[path] for i, path in good},
        {i: reasons[path] for i, path in zip(ids, paths, strict=True) if path in reasons},
    )


def _size(mark: str) -> str:
    return mark.split(" ", 1)[0]


def _known(samples: Samples, marks: Mapping[str, str | None]) -> Iterator[tuple[str, str]]:
    """Yield the digests, by file, that are stored beside embeddings and in earlier runs, of files that have not changed."""
    for name in samples.get_field_schema(ftype=fo.StringField):
        beside = FieldNames(sm.provenance(samples, name).get("beside", ""))
        if name == beside.digest and samples.has_sample_field(beside.file):
            _, paths, digests, then = sm.read(samples, "filepath", beside.digest, beside.file)
            for path, digest, mark in zip(paths, digests, then, strict=True):
                if digest is not None and mark == marks[path]:
                    yield path, digest


def digest(path: str) -> tuple[str | None, str | None]:
    """Return the digest of a file, or None and the reason why it has none."""
    try:
        return images.digest(path), None
    except images.UnreadableImage as error:
        return None, str(error)
