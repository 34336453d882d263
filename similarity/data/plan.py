"""Which samples may be removed at this moment: what a run left out, checked one by one against the live dataset."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fiftyone as fo

from ..engine import images
from . import runs, seals
from . import samples as sm
from .archive import Document
from .embeddings import FieldNames, file_mark
from .vectors import vector_fields

_READERS = 8  # files read at once: enough to keep a disk busy

NOT_SEALED = "it is not among the samples that keep_first_per_cluster left out"
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


@dataclass(frozen=True)
class Keys:
    """Keys, in raw documents, of what the checks look at."""

    kept: str
    kept_id: str
    vector: str
    digest: str
    file: str

    @classmethod
    def of(cls, dataset: fo.Dataset, run_key: str, field: str) -> "Keys":
        """The keys for a run on the embeddings in a field."""
        names = runs.Names(run_key)
        beside = FieldNames(field)
        return cls(
            names.kept, names.kept_id, *(_key(dataset, n) for n in (field, beside.digest, beside.file))
        )

    def __iter__(self):
        return iter((*dataclasses.astuple(self), "filepath"))


def _key(dataset: fo.Dataset, name: str) -> str:
    found = dataset.get_field(name)
    return seals.key(name, found) if found is not None else name


@dataclass
class Checks:
    """The checks of one removal.

    Args:
        dataset: the live dataset
        run_key: the run
        sealed: what the decision was based on, as :func:`seals.take` made it
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
        self.keys = Keys.of(self.dataset, self.run_key, self.embeddings_field)
        self.own = seals.Own.of(self.dataset)
        self._vector_field = self.dataset.get_field(self.embeddings_field)

    def check(self, ids: Sequence[str]) -> tuple[list[Document], dict[str, str]]:
        """Look at samples that the run left out.

        Returns:
            the raw documents of those that may be removed, and, for each of the others that is still there, its id and
            the reason why not
        """
        found = [d for d in seals.documents(self.dataset, ids) if d.get(self.keys.kept) is False]
        kept = self._kept(found)
        if self.thorough:
            self._read_files([*found, *kept.values()])
        fit, left = [], {}
        for document in sorted(found, key=lambda d: d["_id"]):
            reason = self._reason(document, kept.get(str(document.get(self.keys.kept_id))))
            if reason is None:
                fit.append(document)
            else:
                left[str(document["_id"])] = reason
        return fit, left

    def _kept(self, found: Iterable[Document]) -> dict[str, Document]:
        ids = {str(d[self.keys.kept_id]) for d in found if d.get(self.keys.kept_id)}
        return {str(d["_id"]): d for d in seals.documents(self.dataset, ids, self.keys)}

    def _reason(self, document: Document, kept: Document | None) -> str | None:
        """Why a sample stays; None if it may go."""
        sealed = self.sealed["content"].get(str(document["_id"]))
        if kept is None:
            return NO_KEPT
        if kept.get(self.keys.kept) is not True:
            return KEPT_DROPPED
        if sealed is None:
            return NOT_SEALED
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
        stored = document.get(self.keys.vector)
        vector = None if stored is None else self._vector_field.to_python(stored)
        return seals.vector_digest(vector) == self.sealed["vectors"].get(str(document["_id"]))

    def _file_reason(self, document: Document, gone: str, changed: str) -> str | None:
        path, embedded = document["filepath"], document.get(self.keys.digest)
        if not Path(path).is_file():
            return gone
        if (
            embedded is None
        ):  # vectors from elsewhere: nobody knows what was embedded, but what was there then
            return changed if self.sealed["files"].get(str(document["_id"])) != file_mark(path) else None
        if not self.thorough and document.get(self.keys.file) == file_mark(path):
            return None
        return changed if self._digest(path) != embedded else None

    def _read_files(self, found: Iterable[Document]) -> None:
        """Digest files ahead of their use, several at a time."""
        wanted = {d["filepath"] for d in found if d.get(self.keys.digest) is not None}
        paths = sorted(wanted - set(self._digests))
        with ThreadPoolExecutor(_READERS, thread_name_prefix="onlyone-digest") as pool:
            self._digests |= zip(paths, pool.map(_digest, paths), strict=True)

    def _digest(self, path: str) -> str | None:
        if path not in self._digests:
            self._digests[path] = _digest(path)
        return self._digests[path]


def _digest(path: str) -> str | None:
    try:
        return images.digest(path)
    except images.UnreadableImage:
        return None


def left_out(samples: fo.core.collections.SampleCollection, run_key: str) -> list[str]:
    """Ids of the samples of a collection that the run leaves out, sorted."""
    names = runs.Names(run_key)
    return sorted(samples.match(fo.ViewField(names.kept) == False).values("id"))  # noqa: E712


def removal_note(dataset: fo.Dataset, documents: Iterable[Document]) -> dict[str, dict[str, Any]]:
    """What is noted beside archived samples: the runs, embeddings and files as they are now; by sample id."""
    at_removal = {"runs": run_states(dataset), "vectors": vector_states(dataset)}
    return {
        str(document["_id"]): at_removal | {"file": file_mark(document["filepath"])} for document in documents
    }


def run_states(dataset: fo.Dataset) -> dict[str, str]:
    """For each run of OnlyOne, what tells it from itself done again."""
    states = {}
    for run_key in runs.keys(dataset):
        steps = runs.load(dataset, run_key)["steps"]
        states[run_key] = seals.json_digest({name: steps.get(name) for name in ("cluster", "keep")})
    return states


def vector_states(dataset: fo.Dataset) -> dict[str, str]:
    """For each embeddings field of OnlyOne, what its vectors were made with."""
    states = {}
    for name in vector_fields(dataset):
        made_with = sm.provenance(dataset, name)
        if made_with:
            made_with.pop("onlyone_version", None)
            states[name] = seals.json_digest(made_with)
    return states
