"""VGG16 embeddings into a field, for what is missing or has changed, saved as it goes."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import fiftyone as fo
import numpy as np

from ..data import embeddings
from ..data import samples as sm
from ..data.embeddings import FieldNames
from ..data.locks import lock
from ..data.readings import Reading, readings
from ..engine import images, vgg16
from ..options import EmbedOptions
from ..progress import Report, silent
from ..result import Result, Skipped, count, skipped_lines, skipped_table

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
        files: sample id -> file, of the skipped ones
        provenance: what decides a vector: model, layer, weights, precision ...
        seconds: how long it took
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

    def summary(self) -> str:
        """The result in words."""
        rate = (
            f" at {self.embedded / self.seconds:.1f} pictures a second"
            if self.embedded and self.seconds
            else ""
        )
        lines = [
            f"{count(self.samples, 'sample')}: {self.embedded:,} embedded{rate}, {self.up_to_date:,} up to date, "
            f"{len(self.skipped):,} skipped. The vectors are in the field {self.embeddings_field!r}."
        ]
        if self.copies:
            lines.append(
                f"{count(self.copies, 'picture')} of these cost nothing: their files equal another one's."
            )
        if self.provenance["weights"] == "untrained":
            lines.append("The weights are untrained: good for a trial, not for a decision.")
        if self.skipped:
            lines += [
                "",
                "Skipped, with the reason in the field "
                + repr(FieldNames(self.embeddings_field).error)
                + ":",
            ]
            lines += skipped_lines(self.skipped)
        return "\n".join(lines)

    def tables(self) -> dict[str, list[dict[str, str]]]:
        """The skipped samples."""
        return skipped_table(self.skipped, self.files)


def embed(
    samples: fo.core.collections.SampleCollection, options: EmbedOptions, report: Report = silent
) -> EmbedResult:
    """Embed what is missing or has changed, and write it as it goes.

    Raises:
        ValueError: if the samples do not do, the field is somebody else's, or it holds vectors of another model
        vgg16.WeightsUnavailable: if the weights cannot be had
        Busy: if another embedding of the same field is under way
    """
    with lock(samples._dataset, f"field-{options.embeddings_field}"):
        return _Embedding(sm.flat(samples), options, report).run()


@dataclass
class _Embedding:
    """One run of the step: what is known about the samples, and what waits to be written.

    Attributes:
        paths: sample id -> file, of all samples
        stale: ids of the samples whose file must be read
        digests: sample id -> digest of the file that its vector is of, as far as there is one
        embedded, unchanged: how many of the stale ones were embedded, or turned out not to have changed
        distinct: digests of the files that took a forward pass
        pending: sample id -> values that wait to be written
    """

    samples: fo.core.collections.SampleCollection
    options: EmbedOptions
    report: Report
    paths: dict[str, str] = field(default_factory=dict)
    stale: list[str] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)
    skipped: Skipped = field(default_factory=dict)
    embedded: int = 0
    unchanged: int = 0
    distinct: set[str] = field(default_factory=set)
    pending: dict[str, dict[str, Any]] = field(default_factory=dict)

    def run(self) -> EmbedResult:
        started = time.monotonic()
        self.names = FieldNames(self.options.embeddings_field)
        self.dataset = self.samples._dataset
        model = {name: getattr(self.options, name) for name in ("layer", "weights", "precision")}
        self.provenance = vgg16.provenance(**model)
        ids, paths = sm.read(self.samples, "filepath")
        self.paths = dict(zip(ids, paths, strict=True))
        known = embeddings.check(
            self.dataset, self.names, self.provenance, self.paths, replace=self.options.recompute
        )
        self._find_stale(known)
        if self.stale:
            self.report("Loading the model", 0, len(self.stale))
            loaded = vgg16.load(**model)
            if known != self.provenance:
                embeddings.clear(self.dataset, self.names)
            embeddings.declare(self.dataset, self.names, self.provenance, self.options.weights)
            self._embed_stale(loaded)
        return self._result(started)

    def _result(self, started: float) -> EmbedResult:
        return EmbedResult(
            embeddings_field=self.names.vectors,
            samples=len(self.paths),
            embedded=self.embedded,
            copies=self.embedded - len(self.distinct),
            up_to_date=len(self.paths) - len(self.stale) + self.unchanged,
            skipped=self.skipped,
            files={sample_id: self.paths[sample_id] for sample_id in self.skipped},
            provenance=self.provenance,
            seconds=round(time.monotonic() - started, 3),
        )

    def _find_stale(self, known: dict[str, Any] | None) -> None:
        told = all(self.dataset.has_sample_field(name) for name in self.names.beside)
        if known is None or self.options.recompute or not told:
            self.stale = list(self.paths)
            return
        ids, digests, files = sm.read(self.samples, self.names.digest, self.names.file)
        vectorless = set(self.samples.exists(self.names.vectors, False).values("id"))
        for sample_id, digest, file in zip(ids, digests, files, strict=True):
            if digest is not None and sample_id not in vectorless:
                self.digests[sample_id] = digest
                if file is not None and file == embeddings.file_mark(self.paths[sample_id]):
                    continue
            self.stale.append(sample_id)

    def _embed_stale(self, model: Any) -> None:
        files = {sample_id: self.paths[sample_id] for sample_id in self.stale}
        # Before any is read: what changes from now on shows next time.
        marks = {sample_id: embeddings.file_mark(path) for sample_id, path in files.items()}
        how = {"max_pixels": self.options.max_pixels, "again": self.options.recompute}
        for reading in readings(self.dataset, self.names, files, marks, **how):
            changed: list[str] = []
            try:
                stream = vgg16.embed_stream(self._changed_pictures(reading, changed, marks), model)
                for position, (picture, vector) in enumerate(stream):
                    if vector is not None:
                        self.distinct.add(picture.digest)
                    self._note(changed[position], marks, picture, vector)
            finally:
                self._flush()  # also when cancelled: what was computed stays

    def _changed_pictures(
        self, reading: Reading, changed: list[str], marks: dict[str, str | None]
    ) -> Iterator[images.Picture]:
        """Yield the pictures whose content has no vector yet, noting their ids in ``changed``."""
        twins = self._twins()
        for sample_id, picture in reading:
            if picture.digest is not None and picture.digest == self.digests.get(sample_id):
                self.unchanged += 1
                self._pend(sample_id, {self.names.file: marks[sample_id]})
            elif picture.digest in twins:
                self._note(sample_id, marks, picture, self._vector_of(twins[picture.digest]))
            else:
                changed.append(sample_id)
                yield picture

    def _twins(self) -> dict[str, str]:
        """Digest -> id of an up-to-date sample with that content, whose vector serves its copies too."""
        stale = set(self.stale)
        return {digest: sample_id for sample_id, digest in self.digests.items() if sample_id not in stale}

    def _vector_of(self, sample_id: str) -> np.ndarray:
        return sm.everything(self.dataset).select(sample_id).values(self.names.vectors)[0]

    def _note(
        self, sample_id: str, marks: dict[str, str | None], picture: images.Picture, vector: np.ndarray | None
    ) -> None:
        names = self.names
        if vector is None:
            self.skipped[sample_id] = picture.error or "unreadable"
            values = {
                names.vectors: None,
                names.digest: None,
                names.file: marks[sample_id],
                names.error: self.skipped[sample_id],
            }
        else:
            self.embedded += 1
            values = {
                names.vectors: vector,
                names.digest: picture.digest,
                names.file: marks[sample_id],
                names.error: None,
            }
        self._pend(sample_id, values)

    def _pend(self, sample_id: str, values: dict[str, Any]) -> None:
        self.pending[sample_id] = values
        done = self.embedded + self.unchanged + len(self.skipped)
        if len(self.pending) >= FLUSH:
            self._flush()
        self.report("Embedding", done, len(self.stale))

    def _flush(self) -> None:
        """Write what waits."""
        values: dict[str, dict[str, Any]] = {}
        for sample_id, row in self.pending.items():
            for name, value in row.items():
                values.setdefault(name, {})[sample_id] = value
        sm.write(self.dataset, values)
        self.pending.clear()
