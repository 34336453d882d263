"""VGG16 embeddings into a field, for what is missing or has changed, saved as it goes."""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import fiftyone as fo
import numpy as np

from .. import ray
from ..data import embeddings
from ..data import samples as sm
from ..data.embeddings import FieldNames
from ..data.files import file_names
from ..data.locks import lock
from ..data.readings import Read, readings
from ..embed_options import EmbedOptions
from ..engine import images, vgg16
from ..progress import Progress, silent
from ..result import Result, Skipped, count, listed, skipped_lines, skipped_table
from .distant import DistantReader, check_nodes

FLUSH = 256  # samples between two writes: about ten seconds of work that a killed worker can lose


@dataclass(frozen=True, kw_only=True)
class EmbedResult(Result):
    """What ``compute_embeddings`` did.

    Attributes:
        embeddings_field: the field with the vectors
        samples: number of samples asked for
        embedded: how many got a new vector
        copies: how many of these are byte-identical to another one and cost no forward pass of their own
        up_to_date: how many had theirs already
        skipped: sample id -> reason, for each one that could not be read
        files: sample id -> its file's name, of the first of them
        provenance: what decides a vector: model, layer, weights, precision ...
        seconds: how long it took
        engine: the Ray cluster that embedded; None where this machine did
    """

    embeddings_field: str
    samples: int
    embedded: int
    copies: int
    up_to_date: int
    skipped: Skipped
    files: dict[str, str]
    provenance: dict[str, Any]
    seconds: float
    engine: str | None = None

    def summary(self) -> str:
        """The result in words."""
        timed = self.embedded and self.seconds
        rate = f" at {self.embedded / self.seconds:.1f} pictures a second" if timed else ""
        lines = [
            f"{count(self.samples, 'sample')}: {self.embedded:,} embedded{rate}, {self.up_to_date:,} up to date, "
            f"{len(self.skipped):,} skipped. The vectors are in the field {self.embeddings_field!r}."
        ]
        if self.engine:
            lines.append(f"Embedded on {self.engine}.")
        if self.copies:
            lines.append(
                f"{count(self.copies, 'picture')} of these cost nothing: their files equal another one's."
            )
        if self.provenance["weights"] == "untrained":
            lines.append("The weights are untrained: good for a trial, not for a decision.")
        if self.skipped:
            reasons = FieldNames(self.embeddings_field).error
            lines += ["", f"Skipped, with the reason in the field {reasons!r}:", *skipped_lines(self.skipped)]
        return "\n".join(lines)

    def tables(self) -> dict[str, list[dict[str, str]]]:
        """The skipped samples."""
        return skipped_table(self.skipped, self.files)


def embed(
    samples: fo.core.collections.SampleCollection, options: EmbedOptions, progress: Progress = silent
) -> EmbedResult:
    """Embed what is missing or has changed, and write it as it goes.

    Raises:
        ValueError: if the samples do not do, the field is somebody else's, or it holds vectors of another model
        vgg16.WeightsUnavailable: if the weights cannot be had
        Busy: if another embedding of the same field is under way
    """
    with lock(sm.dataset_of(samples), f"field-{options.embeddings_field}"):
        started = time.monotonic()
        samples = sm.flat(samples)
        dataset, names = sm.dataset_of(samples), FieldNames(options.embeddings_field)
        embeddings.refuse_foreign(dataset, names)
        paths = dict(zip(*sm.read(samples, "filepath"), strict=True))
        digests, stale = _look(samples, names, paths, options.recompute)
        agreed = embeddings.agree(dataset, names, options, paths, computing=bool(stale))
        tally, model = _Tally(), None
        if stale:
            progress("Loading the model", 0, len(stale))
            model = vgg16.load(layer=options.layer, weights=options.weights, precision=agreed["precision"])
        embeddings.declare(dataset, names, agreed, options.weights)
        engine = None
        if model is not None:
            files = {i: paths[i] for i in stale}
            with ray.cluster(options.ray) as on:
                read = partial(_read, options.max_pixels)
                if on:
                    engine = str(on)
                    check_nodes(on, list(files.values()), options, agreed["precision"])
                    known = {paths[i]: digest for i, digest in digests.items()}
                    read = DistantReader(on, model, known, options, len(files))
                for items in _readings(dataset, names, files, digests, options, read):
                    _write_each(dataset, names, vgg16.embed_stream(items, model), tally, len(stale), progress)
        return EmbedResult(
            embeddings_field=names.vectors,
            samples=len(paths),
            embedded=tally.embedded,
            copies=tally.embedded - len(tally.distinct),
            up_to_date=len(paths) - len(stale) + tally.unchanged,
            skipped=tally.skipped,
            files=file_names(dataset, listed(tally.skipped)),
            provenance=agreed,
            seconds=round(time.monotonic() - started, 3),
            engine=engine,
        )


@dataclass
class _Tally:
    """What became of the stale samples; ``distinct`` holds the digests of the files that took a forward pass."""

    embedded: int = 0
    unchanged: int = 0
    distinct: set[str | None] = field(default_factory=set)
    skipped: Skipped = field(default_factory=dict)


@dataclass(frozen=True)
class _Item:
    """A stale sample on its way through the model.

    Attributes:
        mark: of its file, before it was read
        pixels: only where the picture takes a forward pass
        vector: that of an equal file, where there is one
        computed: its own, where it was made where the file was read
        unchanged: whether the file's content is the one that was embedded
    """

    id: str
    mark: str | None
    digest: str | None
    error: str | None
    sharpness: float | None
    pixels: images.Pixels | None = None
    vector: np.ndarray | None = None
    computed: np.ndarray | None = None
    unchanged: bool = False


def _look(
    samples: fo.core.collections.SampleCollection, names: FieldNames, paths: Mapping[str, str], again: bool
) -> tuple[dict[str, str], list[str]]:
    """Tell which samples need their file read.

    Args:
        again: whether all do

    Returns:
        the digests of the embedded files, and the ids of the samples whose file must be read
    """
    if again or not all(
        sm.dataset_of(samples).has_sample_field(name) for name in (names.vectors, *names.beside)
    ):
        return {}, list(paths)
    ids, digests, marks = sm.read(samples, names.digest, names.file)
    vectorless = set(samples.exists(names.vectors, False).values("id"))
    known = {i: d for i, d in zip(ids, digests, strict=True) if d is not None and i not in vectorless}
    now = {i for i, mark in zip(ids, marks, strict=True) if mark and mark == images.file_mark(paths[i])}
    return known, [i for i in paths if i not in known or i not in now]


def _readings(
    dataset: fo.Dataset,
    names: FieldNames,
    stale: Mapping[str, str],
    digests: Mapping[str, str],
    options: EmbedOptions,
    read: Read,
) -> Iterator[Iterator[_Item]]:
    """Read the stale files, ``{sample id: path}``: the small ones in one go, each large one in a go of its own."""
    # Before any file is read: what changes from now on shows next time.
    marks = {sample_id: images.file_mark(path) for sample_id, path in stale.items()}
    twins = {digest: sample_id for sample_id, digest in digests.items() if sample_id not in stale}
    for reading in readings(dataset, names, stale, marks, read=read, again=options.recompute):
        yield (_item(dataset, names, i, picture, marks[i], digests.get(i), twins) for i, picture in reading)


def _read(max_pixels: int, paths: Iterable[str], large: bool) -> Iterator[images.Picture]:
    """Read files on this machine."""
    return images.read_many(paths, max_pixels=max_pixels, postpone=not large)


def _item(
    dataset: fo.Dataset,
    names: FieldNames,
    sample_id: str,
    picture: images.Picture,
    mark: str | None,
    embedded: str | None,
    twins: Mapping[str, str],
) -> _Item:
    """Tell how a picture gets its vector; only one whose content has none yet keeps its pixels."""
    told = _Item(sample_id, mark, picture.digest, picture.error, picture.sharpness)
    if picture.digest is not None and picture.digest == embedded:
        return replace(told, unchanged=True)
    if picture.digest in twins:
        twin = sm.everything(dataset).select(twins[picture.digest])
        return replace(told, vector=twin.values(names.vectors)[0])
    return replace(told, pixels=picture.pixels, computed=picture.vector)


def _write_each(
    dataset: fo.Dataset,
    names: FieldNames,
    stream: Iterable[tuple[_Item, np.ndarray | None]],
    tally: _Tally,
    total: int,
    progress: Progress,
) -> None:
    """Write what comes out of the model, 256 samples at a time."""
    pending: dict[str, dict[str, Any]] = {}
    try:
        for item, computed in stream:
            pending[item.id] = _values(names, item, item.computed if computed is None else computed, tally)
            if len(pending) >= FLUSH:
                _write(dataset, pending)
            progress("Embedding", tally.embedded + tally.unchanged + len(tally.skipped), total)
    finally:
        _write(dataset, pending)  # also when cancelled: what was computed stays


def _values(names: FieldNames, item: _Item, computed: np.ndarray | None, tally: _Tally) -> dict[str, Any]:
    """The values of a sample's fields."""
    if item.unchanged:
        tally.unchanged += 1
        return {names.file: item.mark, names.sharpness: item.sharpness}
    vector = item.vector if computed is None else computed
    values = {names.digest: item.digest, names.file: item.mark, names.sharpness: item.sharpness}
    if vector is None:
        error = tally.skipped[item.id] = item.error or "unreadable"
        return {names.vectors: None} | values | {names.digest: None, names.error: error}
    tally.embedded += 1
    if computed is not None:
        tally.distinct.add(item.digest)
    return {names.vectors: vector} | values | {names.error: None}


def _write(dataset: fo.Dataset, pending: dict[str, dict[str, Any]]) -> None:
    """Write what waits, and forget it."""
    values: dict[str, dict[str, Any]] = {}
    for sample_id, row in pending.items():
        for name, value in row.items():
            values.setdefault(name, {})[sample_id] = value
    sm.write(dataset, values)
    pending.clear()
