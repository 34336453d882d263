"""VGG16 embeddings into a field, of new and changed files, saved batch by batch."""

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
from ..data.files import with_names
from ..data.locks import lock
from ..data.readings import Reading, readings
from ..embed_options import EmbedOptions
from ..engine import images, vgg16
from ..progress import Progress, silent
from ..result import Skipped, SkippingResult, count
from .distant import DistantReader, check_nodes

FLUSH = 256  # samples between two writes: about ten seconds of work that a killed worker can lose


@dataclass(frozen=True, kw_only=True)
class EmbedResult(SkippingResult):
    """The account of ``compute_embeddings``.

    Attributes:
        embeddings_field: the field with the vectors
        samples: number of samples asked for
        embedded: how many got a new vector
        copies: how many of these are byte-identical to another one and cost no forward pass of their own
        up_to_date: how many had theirs already
        provenance: the facts that decide a vector: model, layer, weights, precision ...
        seconds: how long it took
        engine: the Ray cluster that embedded; None where this machine did
    """

    embeddings_field: str
    samples: int
    embedded: int
    copies: int
    up_to_date: int
    provenance: dict[str, Any]
    seconds: float
    engine: str | None = None

    def lines(self) -> list[str]:
        """Return the result in words."""
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
            lines.append(f"The reasons of the skipped ones are in the field {reasons!r}.")
        return lines


def check(samples: sm.Samples, options: EmbedOptions) -> dict[str, Any]:
    """Return the provenance that the vectors will have; refuse, before a picture is read, options that would mix vectors.

    Raises:
        ValueError, WeightsUnavailable: as :func:`embed` does
    """
    samples, names = sm.flat(samples), FieldNames(options.embeddings_field)
    dataset = sm.dataset_of(samples)
    embeddings.refuse_foreign(dataset, names)
    ids = samples.values("id") if options.recompute else ()
    return embeddings.agree(dataset, names, options, ids, computing=False)


def embed(samples: sm.Samples, options: EmbedOptions, progress: Progress = silent) -> EmbedResult:
    """Embed new and changed files, and write the vectors batch by batch.

    Raises:
        ValueError: if the samples cannot be used, the field is somebody else's, or it holds vectors of another model
        vgg16.WeightsUnavailable: if the weights cannot be had
        Busy: if another embedding of the same field is under way
    """
    with lock(sm.dataset_of(samples), f"field-{options.embeddings_field}"):
        started = time.monotonic()
        check(samples, options)
        samples = sm.flat(samples)
        dataset, names = sm.dataset_of(samples), FieldNames(options.embeddings_field)
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
            marks = {i: images.file_mark(path) for i, path in files.items()}  # later changes show next time
            twins = {digest: sample_id for sample_id, digest in digests.items() if sample_id not in files}
            with ray.cluster(options.ray) as on:
                read = partial(_read, options.max_pixels)
                if on:
                    engine = str(on)
                    check_nodes(on, list(files.values()), options, agreed["precision"])
                    known = {paths[i]: digest for i, digest in digests.items()}
                    read = DistantReader(on, model, known, options, len(files))
                for reading in readings(dataset, names, files, marks, read=read, again=options.recompute):
                    items = _items(dataset, names, reading, marks, digests, twins)
                    _write_each(dataset, names, vgg16.embed_stream(items, model), tally, len(stale), progress)
        return EmbedResult(
            embeddings_field=names.vectors,
            samples=len(paths),
            embedded=tally.embedded,
            copies=tally.embedded - len(tally.distinct),
            up_to_date=len(paths) - len(stale) + tally.unchanged,
            **with_names(dataset, tally.skipped),
            provenance=agreed,
            seconds=round(time.monotonic() - started, 3),
            engine=engine,
        )


@dataclass
class _Tally:
    """Numbers of the stale samples by outcome; ``distinct`` holds the digests of the files that took a forward pass."""

    embedded: int = 0
    unchanged: int = 0
    distinct: set[str | None] = field(default_factory=set)
    skipped: Skipped = field(default_factory=dict)


@dataclass(frozen=True, eq=False, kw_only=True)
class _Item(images.Picture):
    """The picture of a stale sample on its way through the model, with pixels only where it takes a forward pass.

    Attributes:
        mark: of its file, before it was read
        twin: the vector of an equal file, where there is one
        unchanged: whether the file's content is the one that was embedded
    """

    id: str
    mark: str | None
    twin: np.ndarray | None = None
    unchanged: bool = False


def _look(
    samples: sm.Samples, names: FieldNames, paths: Mapping[str, str], again: bool
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


def _read(max_pixels: int, paths: Iterable[str], large: bool) -> Iterator[images.Picture]:
    """Read files on this machine."""
    return images.read_many(paths, max_pixels=max_pixels, postpone=not large)


def _items(
    dataset: fo.Dataset,
    names: FieldNames,
    reading: Reading,
    marks: Mapping[str, str | None],
    digests: Mapping[str, str],
    twins: Mapping[str, str],
) -> Iterator[_Item]:
    """Tell how each picture gets its vector; only one whose content has none yet keeps its pixels.

    Args:
        marks: sample id -> mark of its file, before it was read
        digests: sample id -> digest of the file that it was embedded from
        twins: digest -> id of a sample with its vector
    """
    for sample_id, picture in reading:
        item = _Item(**vars(picture), id=sample_id, mark=marks[sample_id])
        if picture.digest is not None and picture.digest == digests.get(sample_id):
            yield replace(item, pixels=None, vector=None, unchanged=True)
        elif picture.digest in twins and (twin := _vector(dataset, names, twins[picture.digest])) is not None:
            yield replace(item, pixels=None, vector=None, twin=twin)
        else:
            yield item


def _vector(dataset: fo.Dataset, names: FieldNames, sample_id: str) -> np.ndarray | None:
    """Return the vector of a sample; None if it is gone."""
    return next(iter(sm.everything(dataset).select(sample_id).values(names.vectors)), None)


def _write_each(
    dataset: fo.Dataset,
    names: FieldNames,
    stream: Iterable[tuple[_Item, np.ndarray | None]],
    tally: _Tally,
    total: int,
    progress: Progress,
) -> None:
    """Write the vectors as the model makes them, 256 samples at a time."""
    pending: dict[str, dict[str, Any]] = {}
    try:
        for item, computed in stream:
            values = _values(names, item, item.vector if computed is None else computed, tally)
            for name, value in values.items():
                pending.setdefault(name, {})[item.id] = value
            if len(pending[names.file]) >= FLUSH:
                sm.write(dataset, pending)
                pending.clear()
            progress("Embedding", tally.embedded + len(tally.skipped), total - tally.unchanged)
    finally:
        sm.write(dataset, pending)  # also when cancelled: the computed vectors stay


def _values(names: FieldNames, item: _Item, computed: np.ndarray | None, tally: _Tally) -> dict[str, Any]:
    """Return the values of a sample's fields."""
    if item.unchanged:
        tally.unchanged += 1
        return {names.file: item.mark, names.sharpness: item.sharpness}
    vector = item.twin if computed is None else computed
    values = {names.digest: item.digest, names.file: item.mark, names.sharpness: item.sharpness}
    if vector is None:
        error = tally.skipped[item.id] = item.error or "unreadable"
        return {names.vectors: None} | values | {names.digest: None, names.error: error}
    tally.embedded += 1
    if computed is not None:
        tally.distinct.add(item.digest)
    return {names.vectors: vector} | values | {names.error: None}
