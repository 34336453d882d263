"""Which samples may be removed at this moment: those that a run left out, checked one by one against the live dataset."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.core.fields as fof
import fiftyone.core.labels as fol

from ..engine import images
from ..workflow import CLUSTER, KEEP
from . import runs, seals
from . import samples as sm
from .embeddings import FieldNames, file_mark
from .raw import Document, documents
from .vectors import vector_fields

_READERS = 8  # files read at once: enough to keep a disk busy

NOT_IN_RUN = "it is not in the run: it was added after keep_first_per_cluster ran"
NOT_LEFT_OUT = "it is not among the samples that keep_first_per_cluster left out"
EDITED = "its labels, tags or fields were changed after keep_first_per_cluster ran"
NO_KEPT = "the sample that is kept for it is not in the dataset any more"
KEPT_DROPPED = "the sample that is kept for it is not kept any more"
RECOMPUTED = "its embedding was computed again after keep_first_per_cluster ran"
KEPT_RECOMPUTED = (
    "the embedding of the sample that is kept for it was computed again after keep_first_per_cluster ran"
)
FILE_GONE = "its file is gone"
KEPT_FILE_GONE = "the file of the sample that is kept for it is gone"
FILE_CHANGED = "its file has changed since it was embedded"
KEPT_FILE_CHANGED = "the file of the sample that is kept for it has changed since it was embedded"


@dataclass
class Checks:
    """The checks of one removal.

    Args:
        dataset: the live dataset
        run_key: the run
        sealed: the base of the decision, as :func:`seals.take` made it
        embeddings_field: the field with the vectors
        thorough: whether every file is read whole; else only those whose size or time has changed
    """

    dataset: fo.Dataset
    run_key: str
    sealed: Mapping[str, Mapping[str, Any]]
    embeddings_field: str
    thorough: bool
    _digests: dict[str, str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names, beside = runs.Names(self.run_key), FieldNames(self.embeddings_field)
        self.vector_field = self.dataset.get_field(self.embeddings_field)
        if self.vector_field is None:
            raise ValueError(
                f"The field {self.embeddings_field!r} with the vectors of the run {self.run_key!r} is gone: rename it back, "
                "or run cluster_duplicates again"
            )
        self.kept, self.kept_id = names.kept, names.kept_id
        self.vector = seals.key(self.embeddings_field, self.vector_field)
        self.digest, self.file = (_key(self.dataset, name) for name in (beside.digest, beside.file))
        self.own = seals.Own.of(self.dataset)

    def check(self, ids: Sequence[str]) -> tuple[list[Document], dict[str, str]]:
        """Look at samples that the run left out.

        Returns:
            the raw documents of those that may be removed, and, for each of the others that is still there, its id and
            the reason why not
        """
        found = [d for d in documents(self.dataset, ids) if d.get(self.kept) is False]
        kept = self._kept(found)
        if self.thorough:
            self._read_files([*found, *kept.values()])
        fit, left = [], {}
        for document in sorted(found, key=lambda d: d["_id"]):
            reason = self._reason(document, kept.get(str(document.get(self.kept_id))))
            if reason is None:
                fit.append(document)
            else:
                left[str(document["_id"])] = reason
        return fit, left

    def _kept(self, found: Iterable[Document]) -> dict[str, Document]:
        ids = {str(d[self.kept_id]) for d in found if d.get(self.kept_id)}
        keys = (self.kept, self.vector, self.digest, self.file, "filepath")
        return {str(d["_id"]): d for d in documents(self.dataset, ids, keys)}

    def _reason(self, document: Document, kept: Document | None) -> str | None:
        """Why a sample stays; None if it may go."""
        sample_id = str(document["_id"])
        sealed = self.sealed["content"].get(sample_id)
        if sample_id not in self.sealed["vectors"]:
            return NOT_IN_RUN
        if kept is None:
            return NO_KEPT
        if kept.get(self.kept) is not True:
            return KEPT_DROPPED
        if sealed is None:
            return NOT_LEFT_OUT
        if sealed != self.own.digest(document):
            return EDITED
        if not self._same_vector(document):
            return RECOMPUTED
        if not self._same_vector(kept):
            return KEPT_RECOMPUTED
        return self._file_reason(kept, KEPT_FILE_GONE, KEPT_FILE_CHANGED) or self._file_reason(
            document, FILE_GONE, FILE_CHANGED
        )

    def _same_vector(self, document: Document) -> bool:
        stored = document.get(self.vector)
        vector = None if stored is None else self.vector_field.to_python(stored)
        return seals.vector_digest(vector) == self.sealed["vectors"].get(str(document["_id"]))

    def _file_reason(self, document: Document, gone: str, changed: str) -> str | None:
        path, embedded = document["filepath"], document.get(self.digest)
        if not Path(path).is_file():
            return gone
        if embedded is None:  # vectors from elsewhere: the file is compared with the one of that time
            return changed if self.sealed["files"].get(str(document["_id"])) != file_mark(path) else None
        if not self.thorough and document.get(self.file) == file_mark(path):
            return None
        if path not in self._digests:
            self._digests[path] = _digest(path)
        return changed if self._digests[path] != embedded else None

    def _read_files(self, found: Iterable[Document]) -> None:
        """Digest files ahead of their use, several at a time."""
        wanted = {d["filepath"] for d in found if d.get(self.digest) is not None}
        paths = sorted(wanted - set(self._digests))
        with ThreadPoolExecutor(_READERS, thread_name_prefix="onlyone-digest") as pool:
            self._digests |= zip(paths, pool.map(_digest, paths), strict=True)


def _key(dataset: fo.Dataset, name: str) -> str:
    found = dataset.get_field(name)
    return seals.key(name, found) if found is not None else name


def _digest(path: str) -> str | None:
    try:
        return images.digest(path)
    except images.UnreadableImage:
        return None


def left_out(samples: fo.core.collections.SampleCollection, run_key: str) -> list[str]:
    """Ids of the samples of a collection that the run leaves out, sorted."""
    names = runs.Names(run_key)
    return sorted(samples.match(fo.ViewField(names.kept) == False).values("id"))  # noqa: E712


@dataclass(frozen=True)
class Removed:
    """A sample that is removed, or would be: its file, the file's mark and bytes, and how many labels it carries."""

    id: str
    path: str
    mark: str | None
    bytes: int
    labels: int


def removed(dataset: fo.Dataset, found: Iterable[Document]) -> list[Removed]:
    """The samples of raw documents."""
    schema = dataset.get_field_schema(embedded_doc_type=fol.Label)
    gone = []
    for document in found:
        path = document["filepath"]
        labels = sum(_labels(document.get(seals.key(name, kind)), kind) for name, kind in schema.items())
        gone.append(Removed(str(document["_id"]), path, file_mark(path), _bytes(path), labels))
    return gone


def _labels(value: Any, field: fof.Field) -> int:
    """How many labels the value of a field is."""
    if not value:
        return 0
    kind = field.document_type
    return len(value[kind._LABEL_LIST_FIELD] or ()) if issubclass(kind, fol._HasLabelList) else 1


def _bytes(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0


def removal_notes(dataset: fo.Dataset, found: Iterable[Document]) -> dict[str, Document]:
    """The notes on samples that are removed: runs, embeddings and the file's mark as they are now; by sample id."""
    at_removal = {"runs": run_states(dataset), "vectors": vector_states(dataset)}
    return {
        str(d["_id"]): at_removal | {"path": d["filepath"], "file": file_mark(d["filepath"])} for d in found
    }


def run_states(dataset: fo.Dataset) -> dict[str, str]:
    """For each run of OnlyOne, a digest that tells it from itself done again."""
    states = {}
    for run_key in runs.keys(dataset):
        steps = runs.load(dataset, run_key)["steps"]
        states[run_key] = seals.json_digest({name: steps.get(name) for name in (CLUSTER.name, KEEP.name)})
    return states


def vector_states(dataset: fo.Dataset) -> dict[str, str]:
    """For each embeddings field of OnlyOne, a digest of the provenance of its vectors."""
    states = {}
    for name in vector_fields(dataset):
        made_with = sm.provenance(dataset, name)
        if made_with:
            made_with.pop("onlyone_version", None)
            states[name] = seals.json_digest(made_with)
    return states
