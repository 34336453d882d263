"""Digests of the state under a decision or an archived sample, to check later whether the state is the same.

They are per sample rather than for the whole run: a change affects only the samples concerned.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import bson
import fiftyone as fo
import fiftyone.core.fields as fof
import numpy as np

from ..engine.images import file_mark
from ..workflow import RECORDED
from . import runs
from . import samples as sm
from .embeddings import FieldNames
from .raw import documents, key
from .vectors import vector_fields

_NOT_WRITTEN_BY_PEOPLE = {"id", "filepath", "metadata", "created_at", "last_modified_at"}


def our_tags(run_keys: Iterable[str]) -> re.Pattern[str]:
    """Compile the pattern of the tags that these runs write; without runs it matches nothing."""
    return re.compile("|".join(runs.Names(run_key).tags for run_key in run_keys) or r"(?!)")


@dataclass(frozen=True)
class Own:
    """A person's part of a sample, as far as it is known: OnlyOne did not write it, and it is no vector.

    Attributes:
        keys: keys of the raw document
        our_tags: the pattern of the tags that are not a person's
    """

    keys: tuple[str, ...]
    our_tags: re.Pattern[str]

    @classmethod
    def of(cls, dataset: fo.Dataset) -> "Own":
        """Find a person's part by a dataset's fields and runs."""
        keys = (
            key(dataset, name)
            for name, field in dataset.get_field_schema().items()
            if name not in _NOT_WRITTEN_BY_PEOPLE
            and not isinstance(field, fof.VectorField)
            and not sm.provenance(dataset, name)
        )
        return cls(tuple(sorted(keys)), our_tags(runs.keys(dataset)))

    def digest(self, document: Mapping[str, Any]) -> str:
        """Digest a person's part of a raw document."""
        found = {name: document[name] for name in self.keys if document.get(name) is not None}
        found["tags"] = sorted(tag for tag in found.get("tags", ()) if not self.our_tags.fullmatch(tag))
        return _hex(bson.encode(found))


def take(
    dataset: fo.Dataset,
    field: str,
    ids: Sequence[str],
    vectors: Iterable[np.ndarray | None],
    dropped: Iterable[str],
) -> dict[str, dict[str, str | None]]:
    """Seal the samples of a decision.

    Args:
        vectors: their vectors; None for each where files were compared instead
        dropped: the ids of the samples that are left out

    Returns:
        plain JSON values: digests of a person's part of the dropped samples, digests of all vectors, and, where the
        embeddings have no digests of their files beside them, size and time of all files
    """
    own = Own.of(dataset)
    files = () if dataset.has_sample_field(FieldNames(field).digest) else ids
    return {
        "content": {str(d["_id"]): own.digest(d) for d in documents(dataset, dropped, (*own.keys, "tags"))},
        "vectors": {i: vector_digest(row) for i, row in zip(ids, vectors, strict=True)},
        "files": {str(d["_id"]): file_mark(d["filepath"]) for d in documents(dataset, files, ("filepath",))},
    }


def run_state(record: Mapping[str, Any]) -> str:
    """Digest a run's record, to notice that the run was done again."""
    return json_digest({step.name: record["steps"].get(step.name) for step in RECORDED})


def states(dataset: fo.Dataset) -> dict[str, dict[str, str]]:
    """Digest every run of OnlyOne, and the provenance of the vectors in each of its embeddings fields.

    Returns:
        ``{"runs": {run key: digest}, "vectors": {field: digest}}``
    """
    fields = {name: sm.provenance(dataset, name) for name in vector_fields(dataset)}
    for made_with in fields.values():
        made_with.pop("onlyone_version", None)
    return {
        "runs": {run_key: run_state(runs.load(dataset, run_key)) for run_key in runs.keys(dataset)},
        "vectors": {name: json_digest(made_with) for name, made_with in fields.items() if made_with},
    }


def vector_digest(vector: Any) -> str | None:
    """Digest a vector's float32 values; None where there is none."""
    return None if vector is None else _hex(np.ascontiguousarray(vector, dtype=np.float32).tobytes())


def json_digest(value: Any) -> str:
    """Digest plain JSON values."""
    return _hex(json.dumps(value, sort_keys=True).encode())


def _hex(content: bytes) -> str:
    return blake2b(content, digest_size=8).hexdigest()
