"""VGG16 embeddings into a field, for what is missing or has changed, saved as it goes."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np

from .. import runs
from .. import samples as sm
from ..engine import images, vgg16
from ..locks import lock
from ..options import EmbedOptions
from ..progress import Report, silent
from ..result import Result, Skipped, count, skipped_lines, skipped_table

FLUSH = 256  # samples between two writes: about ten seconds of work that a killed worker can lose


@dataclass(frozen=True)
class FieldNames:
    """The embeddings field and the fields that stand beside it."""

    vectors: str

    @property
    def digest(self) -> str:
        """Field: digest of the bytes of the file that was embedded."""
        return f"{self.vectors}_digest"

    @property
    def file(self) -> str:
        """Field: size and modification time of that file, to tell quickly that it has not changed."""
        return f"{self.vectors}_file"

    @property
    def error(self) -> str:
        """Field: why a sample has no embedding."""
        return f"{self.vectors}_error"


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
        paths: sample id -> file, of the skipped ones
        provenance: what decides a vector: model, layer, weights, precision ...
        seconds: how long it took
    """

    embeddings_field: str
    samples: int
    embedded: int
    copies: int
    up_to_date: int
    skipped: Skipped
    paths: dict[str, str]
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
        return skipped_table(self.skipped, self.paths)


def embed(
    samples: fo.core.collections.SampleCollection, options: EmbedOptions, report: Report = silent
) -> EmbedResult:
    """Embed what is missing or has changed, and write it as it goes.

    Raises:
        ValueError: if the samples do not do, the field is somebody else's, or it holds vectors of another model
        vgg16.WeightsUnavailable: if the weights cannot be had
        Busy: if another embedding of the same field is under way
    """
    samples = sm.flat(samples)
    with lock(samples._dataset, f"field-{options.embeddings_field}"):
        return _Embedding(samples, options, report).run()


@dataclass
class _Embedding:
    """One run of the step: what is known about the samples, and what waits to be written."""

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
        self.provenance = vgg16.provenance(
            layer=self.options.layer, weights=self.options.weights, precision=self.options.precision
        )
        model = None
        known = self._check_field()
        self._find_stale(known)
        if self.stale:
            self.report("Loading the model", 0, len(self.stale))
            model = vgg16.load(
                layer=self.options.layer, weights=self.options.weights, precision=self.options.precision
            )
            self._declare_fields(replace=known is not None and known != self.provenance)
            self._embed_stale(model)
        return EmbedResult(
            embeddings_field=self.names.vectors,
            samples=len(self.paths),
            embedded=self.embedded,
            copies=self.embedded - len(self.distinct),
            up_to_date=len(self.paths) - len(self.stale) + self.unchanged,
            skipped=self.skipped,
            paths={sample_id: self.paths[sample_id] for sample_id in self.skipped},
            provenance=self.provenance,
            seconds=round(time.monotonic() - started, 3),
        )

    def _check_field(self) -> dict[str, Any] | None:
        """The provenance of the vectors that the field holds; None if it is new."""
        name = self.names.vectors
        if not self.dataset.has_sample_field(name):
            return None
        info = sm.provenance(self.dataset, name)
        known = {key: info[key] for key in self.provenance if key in info}
        if not known:
            raise ValueError(
                f"The field {name!r} exists and OnlyOne did not write it: choose another embeddings_field, or rename it"
            )
        differing = [key for key in self.provenance if known.get(key) != self.provenance[key]]
        if differing and not self.options.recompute:
            key = differing[0]
            raise ValueError(
                f"The field {name!r} holds vectors with {key} {known.get(key)!r}, not {self.provenance[key]!r}, and one "
                "field never mixes them. Choose another embeddings_field, or recompute=True to replace them all"
            )
        return known

    def _find_stale(self, known: dict[str, Any] | None) -> None:
        ids, paths = sm.read(self.samples, "filepath")
        self.paths = dict(zip(ids, paths, strict=True))
        if known is None or self.options.recompute or not self.dataset.has_sample_field(self.names.file):
            self.stale = ids
            return
        _, digests, files = sm.read(self.samples, self.names.digest, self.names.file)
        vectorless = set(self.samples.exists(self.names.vectors, False).values("id"))
        for sample_id, path, digest, file in zip(ids, paths, digests, files, strict=True):
            if sample_id in vectorless or digest is None:
                self.stale.append(sample_id)
            elif file is None or file != _file_mark(path):
                self.stale.append(sample_id)
                self.digests[sample_id] = digest

    def _declare_fields(self, replace: bool) -> None:
        names = self.names
        if replace:
            present = [
                n
                for n in (names.vectors, names.digest, names.file, names.error)
                if self.dataset.has_sample_field(n)
            ]
            self.dataset.delete_sample_fields(present)
        info = {
            **self.provenance,
            "weights_source": self.options.weights,
            "dimension": vgg16.LAYERS[self.options.layer],
            "onlyone_version": runs.VERSION,
        }
        model = f"VGG16 {self.options.layer} embeddings ({self.provenance['weights']} weights)"
        sm.declare_field(self.dataset, names.vectors, fo.VectorField, model, info)
        for name, text in (
            (names.digest, "Digest of the bytes of the embedded file"),
            (names.file, "Size and modification time of the embedded file"),
            (names.error, "Why the sample has no embedding"),
        ):
            sm.declare_field(self.dataset, name, fo.StringField, text, {"beside": names.vectors})

    def _embed_stale(self, model: Any) -> None:
        changed: list[str] = []
        marks: dict[str, str | None] = {}
        try:
            stream = vgg16.embed_stream(self._changed_pictures(changed, marks), model)
            for position, (picture, vector) in enumerate(stream):
                self._note(changed[position], marks, picture, vector)
        finally:
            self._flush()  # also when cancelled: what was computed stays

    def _changed_pictures(self, changed: list[str], marks: dict[str, str | None]) -> Iterator[images.Picture]:
        """Read the stale files; yield those whose content has no vector yet, noting their ids in ``changed``."""
        for sample_id in self.stale:
            marks[sample_id] = _file_mark(
                self.paths[sample_id]
            )  # before reading: a later change shows next time
        pictures = images.read_many(self.paths[sample_id] for sample_id in self.stale)
        for sample_id, picture in zip(self.stale, pictures, strict=True):
            if picture.digest is not None and picture.digest == self.digests.get(sample_id):
                self.unchanged += 1
                self._pend(sample_id, {self.names.file: marks[sample_id]})
                continue
            changed.append(sample_id)
            yield picture

    def _note(
        self, sample_id: str, marks: dict[str, str | None], picture: images.Picture, vector: np.ndarray | None
    ) -> None:
        names = self.names
        if vector is None:
            self.skipped[sample_id] = picture.error or "unreadable"
            values = {
                names.vectors: None,
                names.digest: None,
                names.file: None,
                names.error: self.skipped[sample_id],
            }
        else:
            self.embedded += 1
            self.distinct.add(picture.digest or sample_id)
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
        """Write what waits.

        The vector before its digest before the file mark: whichever write a kill comes after, the next run sees either a
        vector that belongs to its digest, or a sample to embed again.
        """
        for name in (self.names.vectors, self.names.error, self.names.digest, self.names.file):
            values = {sample_id: row[name] for sample_id, row in self.pending.items() if name in row}
            if values:
                sm.write(self.dataset, {name: values})
        self.pending.clear()


def _file_mark(path: str) -> str | None:
    """Size and modification time of a file, as text; None if there is none."""
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return f"{status.st_size} bytes, {status.st_mtime_ns} ns"
