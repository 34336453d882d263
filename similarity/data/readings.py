"""Reading the files of samples in an order in which a file that ends the process costs only itself."""

from collections.abc import Callable, Iterable, Iterator, Mapping

import fiftyone as fo

from ..engine import images
from . import samples as sm
from .embeddings import FieldNames

ENDED = (
    "the process ended while it read this large file, perhaps for want of memory: it is left out until the file changes, or "
    "until compute_embeddings runs with recompute=True"
)
"""Reason why a sample has no embedding: written before a large file is read, and replaced once it has been."""

Reading = Iterator[tuple[str, images.Picture]]
"""Pairs of sample id and picture."""

Read = Callable[[Iterable[str], bool], Iterator[images.Picture]]
"""``read(paths, large)`` yields the pictures in order; where ``large`` is False, large ones are postponed."""


def readings(
    dataset: fo.Dataset,
    names: FieldNames,
    files: Mapping[str, str],
    marks: Mapping[str, str | None],
    *,
    read: Read,
    again: bool,
) -> Iterator[Reading]:
    """Read files: first all small ones, then each large one alone, noted in the database while it is read.

    The values of a reading must be saved before the next one is requested.

    Args:
        files: sample id -> file
        marks: sample id -> mark of the file, by :func:`images.file_mark`
        again: whether to read also files that ended the process before
    """
    deadly, large = set(), []
    if not again:
        noted = sm.everything(dataset).match(fo.ViewField(names.error) == ENDED)
        pairs = zip(*sm.read(noted, names.file), strict=True)
        deadly = {i for i, mark in pairs if mark is not None and mark == marks.get(i)}
    yield _small(files, deadly, large, read)
    for sample_id in large:
        yield _alone(dataset, names, sample_id, files[sample_id], marks[sample_id], read)


def _small(files: Mapping[str, str], deadly: set[str], large: list[str], read: Read) -> Reading:
    """Read all but the large files, whose sample ids are added to ``large``; the deadly ones get their reason."""
    pictures = read((path for sample_id, path in files.items() if sample_id not in deadly), False)
    for sample_id in files:
        picture = images.Picture(None, None, ENDED) if sample_id in deadly else next(pictures)
        if picture.postponed:
            large.append(sample_id)
        else:
            yield sample_id, picture


def _alone(
    dataset: fo.Dataset, names: FieldNames, sample_id: str, path: str, mark: str | None, read: Read
) -> Reading:
    """Read a large file, noted in the database meanwhile; an earlier reason of its sample is cleared.

    Without a digest the sample is not up to date, whatever its vector.
    """
    digest = sm.everything(dataset).select(sample_id).values(names.digest)[0]
    _write(dataset, sample_id, {names.digest: None, names.file: mark, names.error: ENDED})
    try:
        (picture,) = read([path], True)
    finally:
        _write(dataset, sample_id, {names.digest: digest, names.file: None, names.error: None})
    yield sample_id, picture


def _write(dataset: fo.Dataset, sample_id: str, values: Mapping[str, str | None]) -> None:
    sm.write(dataset, {name: {sample_id: value} for name, value in values.items()})
