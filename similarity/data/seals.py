"""The base of a decision, sealed when it is made, so that it can be told later whether it still holds.

Sample by sample rather than for the run as a whole: a change costs the samples concerned, not the others.
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

from . import runs
from . import samples as sm
from .embeddings import FieldNames, file_mark
from .raw import documents

_NOT_WRITTEN_BY_PEOPLE = {"id", "filepath", "metadata", "created_at", "last_modified_at"}


@dataclass(frozen=True)
class Own:
    """What on a sample is a person's, as far as it can be told: what OnlyOne did not write, vectors apart.

    Attributes:
        keys: keys of the raw document, by which the database knows the fields
        our_tags: a regular expression of the tags that OnlyOne writes
    """

    keys: tuple[str, ...]
    our_tags: re.Pattern[str]

    @classmethod
    def of(cls, dataset: fo.Dataset) -> "Own":
        """What is a person's in a dataset."""
        fields = {
            name: field
            for name, field in dataset.get_field_schema().items()
            if name not in _NOT_WRITTEN_BY_PEOPLE
            and not isinstance(field, fof.VectorField)
            and not sm.provenance(dataset, name)
        }
        keys = sorted(key(name, field) for name, field in fields.items())
        return cls(tuple(keys), our_tags(runs.keys(dataset)))

    def digest(self, document: Mapping[str, Any]) -> str:
        """A digest of a raw document's part that is a person's."""
        found = {name: document[name] for name in self.keys if document.get(name) is not None}
        found["tags"] = sorted(tag for tag in found.get("tags", ()) if not self.our_tags.fullmatch(tag))
        return _hex(bson.encode(found))


def key(name: str, field: fof.Field) -> str:
    """What the database calls a field."""
    return field.db_field or name


def our_tags(run_keys: Iterable[str]) -> re.Pattern[str]:
    """The tags that these runs write; a pattern that matches nothing where there are none."""
    names = [runs.Names(run_key) for run_key in run_keys]
    patterns = [pattern for name in names for pattern in (name.cluster_tags, name.keep_tags)]
    return re.compile("|".join(patterns) or r"(?!)")


def take(
    dataset: fo.Dataset, field: str, ids: Sequence[str], matrix: np.ndarray, dropped: Iterable[str]
) -> dict[str, dict[str, str | None]]:
    """Seal the samples of a decision.

    Args:
        dataset: where they are
        field: the field with their vectors
        ids: the ids of all of them
        matrix: ``(n, d)`` float32, their vectors
        dropped: the ids of those that are left out

    Returns:
        plain JSON values: digests of what is a person's on the dropped samples, digests of all vectors, and, where the
        embeddings have no digests of their files beside them, size and time of all files
    """
    own, dropped_ids = Own.of(dataset), list(dropped)
    return {
        "content": {
            str(document["_id"]): own.digest(document)
            for document in documents(dataset, dropped_ids, (*own.keys, "tags"))
        },
        "vectors": {
            sample_id: vector_digest(row) for sample_id, row in zip(ids, np.asarray(matrix), strict=True)
        },
        "files": {} if dataset.has_sample_field(FieldNames(field).digest) else _files(dataset, ids),
    }


def _files(dataset: fo.Dataset, ids: Sequence[str]) -> dict[str, str | None]:
    return {str(d["_id"]): file_mark(d["filepath"]) for d in documents(dataset, ids, ("filepath",))}


def vector_digest(vector: Any) -> str | None:
    """A digest of a vector's float32 values; None where there is none."""
    return None if vector is None else _hex(np.ascontiguousarray(vector, dtype=np.float32).tobytes())


def _hex(content: bytes) -> str:
    return blake2b(content, digest_size=8).hexdigest()


def json_digest(value: Any) -> str:
    """A digest of plain JSON values."""
    return _hex(json.dumps(value, sort_keys=True).encode())
