"""Checks for removal: the samples that a run left out, checked one by one against the live dataset."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fiftyone as fo

from ..engine.images import file_mark
from . import runs, seals
from .copies import READERS, digest
from .embeddings import FieldNames
from .raw import Document, documents, key

_ITS, _KEPTS = "its {}", "the {} of the sample that is kept for it"

EDITED = "its labels, tags or fields were changed after keep_first_per_cluster ran"


class Checks:
    """The checks of one removal.

    Args:
        sealed: the base of the decision, as :func:`seals.take` made it
        thorough: whether every file is read whole; else only those whose size or time has changed
    """

    def __init__(
        self,
        dataset: fo.Dataset,
        run_key: str,
        sealed: Mapping[str, Mapping[str, Any]],
        field: str,
        *,
        thorough: bool,
    ):
        names, beside = runs.Names(run_key), FieldNames(field)
        self._dataset, self._sealed, self._thorough = dataset, sealed, thorough
        self._kept, self._kept_id = names.kept, names.kept_id
        self._vector_field = dataset.get_field(field)
        self._vector, self._digest, self._file = (
            key(dataset, name) for name in (field, beside.digest, beside.file)
        )
        self._reference = frozenset(sealed["reference"])
        self._own = seals.Own.of(dataset)
        self._digests: dict[str, str | None] = {}

    def check(self, ids: Sequence[str]) -> tuple[list[Document], dict[str, str]]:
        """Check samples that the run left out.

        Returns:
            the raw documents of the samples that may be removed, and, for each other one that still exists, its id
            and the reason why not
        """
        found = [d for d in documents(self._dataset, ids) if d.get(self._kept) is False]
        kept_ids = {str(d[self._kept_id]) for d in found if d.get(self._kept_id)}
        keys = (self._kept, self._vector, self._digest, self._file, "filepath")
        kept = {str(d["_id"]): d for d in documents(self._dataset, kept_ids, keys)}
        if self._thorough:  # the files are digested ahead of their use, several at a time
            wanted = {d["filepath"] for d in (*found, *kept.values()) if d.get(self._digest) is not None}
            paths = sorted(wanted - set(self._digests))
            with ThreadPoolExecutor(READERS, thread_name_prefix="onlyone-digest") as pool:
                answers = zip(paths, pool.map(digest, paths), strict=True)
                self._digests |= {path: known for path, (known, _) in answers}
        fit, left = [], {}
        for document in sorted(found, key=lambda d: d["_id"]):
            reason = self._reason(document, kept.get(str(document.get(self._kept_id))))
            if reason is None:
                fit.append(document)
            else:
                left[str(document["_id"])] = reason
        return fit, left

    def _reason(self, document: Document, kept: Document | None) -> str | None:
        """Return why a sample may not be removed; None if it may."""
        sample_id = str(document["_id"])
        if sample_id not in self._sealed["vectors"]:
            return "it is not in the run: it was added after keep_first_per_cluster ran"
        if kept is None:
            return "the sample that is kept for it is not in the dataset any more"
        if kept.get(self._kept) is not True and str(kept["_id"]) not in self._reference:
            return "the sample that is kept for it is not kept any more"
        content = self._sealed["content"].get(sample_id)
        if content is None:
            return "it is not among the samples that keep_first_per_cluster left out"
        if content != self._own.digest(document):
            return EDITED
        for whose, one in ((_ITS, document), (_KEPTS, kept)):
            stored = one.get(self._vector)
            vector = None if stored is None else self._vector_field.to_python(stored)
            if seals.vector_digest(vector) != self._sealed["vectors"].get(str(one["_id"])):
                return f"{whose.format('embedding')} was computed again after keep_first_per_cluster ran"
        for whose, one in ((_KEPTS, kept), (_ITS, document)):
            changed = self._file_reason(one)
            if changed:
                return f"{whose.format('file')} {changed}"
        return None

    def _file_reason(self, document: Document) -> str | None:
        """Return how a sample's file differs from the embedded one; None if it is the same."""
        path, embedded = document["filepath"], document.get(self._digest)
        if not Path(path).is_file():
            return "is gone"
        mark = file_mark(path)
        if embedded is None:  # vectors not made by OnlyOne: the file is compared with that of the decision
            same = self._sealed["files"].get(str(document["_id"])) == mark
        elif not self._thorough and document.get(self._file) == mark:
            same = True
        else:
            if path not in self._digests:
                self._digests[path], _ = digest(path)
            same = self._digests[path] == embedded
        return None if same else "has changed since it was embedded"
