"""The only readers and writers of samples: fields and tags in bulk, matched by id."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import fiftyone as fo
import fiftyone.core.fields as fof
import fiftyone.core.media as fom
import fiftyone.core.stages as fos
import numpy as np
from bson import ObjectId
from pymongo import UpdateMany, UpdateOne

from ..engine import vectors as engine_vectors
from ..result import Skipped
from . import locks, stored_vectors
from .pictures import flat as flat

CHUNK = 10_000  # ids in one database operation: far below MongoDB's 16 MB even with 40 bytes an id

_ORDERING = (
    fos.SortBy,
    fos.SortBySimilarity,
    fos.GeoNear,
    fos.Shuffle,
    fos.Take,
    fos.GroupBy,
    fos.Concat,
    fos.Mongo,
)
_ORDERING_IF_ASKED = (fos.Select, fos.SelectBy, fos.SelectGroups)


def everything(dataset: fo.Dataset) -> fo.core.collections.SampleCollection:
    """All pictures of a dataset, of every slice if it is grouped: what writes and saved views go through."""
    if dataset.media_type == fom.GROUP:
        return dataset.select_group_slices(media_type=fom.IMAGE)
    return dataset


def exact_count(dataset: fo.Dataset) -> int:
    """How many samples a dataset has, of all slices, counted one by one.

    FiftyOne's ``count()`` of a dataset is MongoDB's estimate, which can be 0 for a full one after the server was killed.
    """
    return dataset._sample_collection.count_documents({})


def is_ordered(samples: fo.core.collections.SampleCollection) -> bool:
    """Whether a stage of the view gives its samples an order of their own."""
    stages = getattr(samples, "_stages", [])
    return any(
        isinstance(stage, _ORDERING)
        or (isinstance(stage, _ORDERING_IF_ASKED) and getattr(stage, "ordered", False))
        for stage in stages
    )


def read(
    samples: fo.core.collections.SampleCollection, *fields: str, raw: bool = False
) -> tuple[list[Any], ...]:
    """The samples' ids and the values of ``fields``, in the order that decides who is first.

    That is the view's order where one of its stages orders it, and else the order of the sample ids, which deleting and
    restoring samples does not change.

    Args:
        raw (False): whether values come as the database holds them

    Returns:
        a list of ids and one list per field, all aligned
    """
    columns = samples.values(["id", *fields], _raw=raw)
    first: dict[str, int] = {}
    for row, sample_id in enumerate(columns[0]):
        first.setdefault(sample_id, row)  # a concatenated view may hold a sample twice
    rows = list(first.values()) if is_ordered(samples) else [first[sample_id] for sample_id in sorted(first)]
    return tuple([column[row] for row in rows] for column in columns)


def settled(
    samples: fo.core.collections.SampleCollection, *names: str
) -> fo.core.collections.SampleCollection:
    """The same samples, by id where a stage of the view reads one of ``names``, which are about to be rewritten."""
    if isinstance(samples, fo.Dataset) or not any(name in str(samples._serialize()) for name in names):
        return samples
    return everything(samples._dataset).select(read(samples)[0], ordered=is_ordered(samples))


@dataclass(frozen=True)
class Vectors:
    """The usable vectors of a collection.

    Attributes:
        ids: the ids of the samples that have one, in the order that decides who is first
        matrix: their vectors, ``(n, d)`` float32
        skipped: for each sample without a usable vector, its id and the reason
    """

    ids: list[str]
    matrix: np.ndarray
    skipped: Skipped

    @property
    def digest(self) -> str:
        """A digest of ids and vectors that does not depend on their order."""
        state = hashlib.sha256()
        for i in sorted(range(len(self.ids)), key=self.ids.__getitem__):
            state.update(self.ids[i].encode())
            state.update(self.matrix[i].tobytes())
        return state.hexdigest()


def vector_fields(collection: fo.core.collections.SampleCollection) -> list[str]:
    """Names of the sample fields that can hold vectors."""
    schema = collection.get_field_schema()
    return [name for name, field in schema.items() if _holds_vectors(field)]


def _holds_vectors(field: fof.Field) -> bool:
    return isinstance(field, fof.VectorField) or (
        isinstance(field, fof.ListField) and isinstance(field.field, fof.FloatField)
    )


def holds_others_vectors(collection: fo.core.collections.SampleCollection, field: str) -> bool:
    """Return whether a field holds vectors that OnlyOne did not make."""
    return field in vector_fields(collection) and "weights_digest" not in provenance(collection, field)


def check_vector_field(collection: fo.core.collections.SampleCollection, field: str) -> None:
    """Refuse a field that is missing or holds no vectors.

    Raises:
        ValueError: naming the field, the fields that would do, and the operator that makes one
    """
    candidates = vector_fields(collection)
    if field in candidates:
        return
    problem = "holds no vectors" if collection.has_sample_field(field) else "does not exist"
    known = (
        f"fields with vectors: {', '.join(candidates)}"
        if candidates
        else "no field of the dataset holds vectors"
    )
    raise ValueError(f"The field {field!r} {problem} ({known}). Run compute_embeddings to make it")


def read_vectors(samples: fo.core.collections.SampleCollection, field: str) -> Vectors:
    """Read the vectors of ``field``; what is missing, not finite, of length zero or of another size is skipped.

    The right size is the one the field's provenance names, or else the most common one.

    Raises:
        ValueError: if the field does not do, or no sample has a usable vector
    """
    check_vector_field(samples, field)
    ids, stored, errors = _vector_columns(samples, field)
    size = _dimension(samples, field, stored)
    matrix = np.empty((sum(value is not None for value in stored), size or 0), dtype=np.float32)
    skipped, rows = {}, []
    for i, value in enumerate(stored):
        stored[i] = None  # what is decoded is not held twice
        reason = _fill(matrix, len(rows), stored_vectors.decode(value), errors[i])
        if reason is None:
            rows.append(i)
        else:
            skipped[ids[i]] = reason
    matrix = matrix[: len(rows)]
    lengths = engine_vectors.norms(matrix)
    good = np.isfinite(lengths) & (lengths > 0)
    for at in np.flatnonzero(~good):
        skipped[ids[rows[at]]] = f"its vector {engine_vectors.problem(matrix[at])}"
    if not good.any():
        reason = next(iter(skipped.values()), "they are gone")
        raise ValueError(
            f"None of the {len(ids):,} samples has a usable vector in {field!r} (first reason: {reason}). "
            "Run compute_embeddings on them"
        )
    return Vectors(
        [ids[rows[at]] for at in np.flatnonzero(good)], matrix if good.all() else matrix[good], skipped
    )


def _fill(matrix: np.ndarray, row: int, vector: np.ndarray | None, error: str | None) -> str | None:
    """Write a vector into a row; else why it cannot be one. Whether it can be compared is seen there."""
    if vector is None:
        return error or "no embedding: run compute_embeddings"
    if vector.ndim != 1 or vector.dtype.kind not in "fiu":
        return "its vector is not a list of numbers"
    if len(vector) != matrix.shape[1]:
        return f"its vector has {len(vector)} values instead of {matrix.shape[1]}"
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is skipped
        matrix[row] = vector
    return None


def _vector_columns(samples: fo.core.collections.SampleCollection, field: str) -> tuple[list[Any], ...]:
    """Ids, vectors as they are stored, and errors."""
    error_field = f"{field}_error"
    if provenance(samples, error_field).get("beside") == field:
        return read(samples, field, error_field, raw=True)
    ids, stored = read(samples, field, raw=True)
    return ids, stored, [None] * len(ids)


def _dimension(
    samples: fo.core.collections.SampleCollection, field: str, stored: Sequence[Any]
) -> int | None:
    told = provenance(samples, field).get("dimension")
    if told:
        return told
    sizes = Counter(np.size(stored_vectors.decode(value)) for value in stored if value is not None)
    return sizes.most_common(1)[0][0] if sizes else None


def provenance(samples: fo.core.collections.SampleCollection, field: str) -> dict[str, Any]:
    """What a field's info says OnlyOne wrote there; empty if OnlyOne did not."""
    found = samples.get_field(field)
    return dict((found.info or {}).get("onlyone", {})) if found is not None else {}


def declare_field(
    dataset: fo.Dataset, name: str, kind: type[fof.Field], description: str, info: Mapping[str, Any]
) -> None:
    """Create a field if need be, and write what it holds into its description and info."""
    locks.check()
    told = {"onlyone": dict(info)}
    if not dataset.has_sample_field(name):
        dataset.add_sample_field(
            name, kind, description=description, info=told
        )  # at once: a kill leaves no orphan
        return
    field = dataset.get_field(name)
    field.description, field.info = description, told
    field.save()


def write(dataset: fo.Dataset, values: Mapping[str, Mapping[str, Any]]) -> None:
    """Write ``{field: {sample id: value}}`` in bulk; None clears. Other samples are not touched.

    One operation for each sample, so that a killed write leaves no sample with half of its values; FiftyOne's
    ``set_values`` takes one for each value.
    """
    fields = {name: dataset.get_field(name) for name in values}
    sample_ids = list(dict.fromkeys(sample_id for by_id in values.values() for sample_id in by_id))
    for ids in _chunks(sample_ids):
        now = datetime.now(UTC)
        operations = []
        for sample_id in ids:
            row = {
                name: None if by_id[sample_id] is None else fields[name].to_mongo(by_id[sample_id])
                for name, by_id in values.items()
                if sample_id in by_id
            }
            operations.append(
                UpdateOne({"_id": ObjectId(sample_id)}, {"$set": {**row, "last_modified_at": now}})
            )
        locks.check()
        dataset._bulk_write(operations, ids=ids)


def retag(dataset: fo.Dataset, pattern: str | None, members: Mapping[str, Iterable[str]]) -> None:
    """Remove the tags that match ``pattern`` in full everywhere, then add ``{tag: sample ids}``.

    Single tags are pulled and added in the database, atomically: writing whole tag lists would lose what a person tags
    at the same moment.
    """
    now = datetime.now(UTC)
    if pattern is not None:
        locks.check()
        dataset._bulk_write(
            [
                UpdateMany(
                    {"tags": {"$regex": f"^(?:{pattern})$"}},
                    {"$pull": {"tags": {"$regex": f"^(?:{pattern})$"}}, "$set": {"last_modified_at": now}},
                )
            ]
        )
    additions = [
        UpdateMany(
            {"_id": {"$in": chunk}},
            {"$addToSet": {"tags": tag}, "$set": {"last_modified_at": now}},
        )
        for tag, ids in members.items()
        for chunk in _chunks([ObjectId(sample_id) for sample_id in ids])
    ]
    if additions:
        locks.check()
        dataset._bulk_write(additions)


def _chunks(items: list[Any]) -> list[list[Any]]:
    return [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]
