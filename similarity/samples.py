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
from pymongo import UpdateMany

from .engine import vectors as engine_vectors

CHUNK = 10_000  # ids in one database operation: far below MongoDB's 16 MB even with 40 bytes an id

_ORDERING = (fos.SortBy, fos.SortBySimilarity, fos.Shuffle, fos.Take, fos.GroupBy, fos.Concat, fos.Mongo)
_ORDERING_IF_ASKED = (fos.Select, fos.SelectBy, fos.SelectGroups)


def flat(collection: fo.core.collections.SampleCollection) -> fo.core.collections.SampleCollection:
    """The plain image samples that a collection stands for.

    The active slice of a grouped dataset, all members of a ``group_by`` view, the collection itself otherwise.

    Raises:
        ValueError: if the collection has no whole pictures of its own (patches, frames, clips, video, 3D), or is empty;
            the message says what to do instead
    """
    if collection._is_patches:
        raise ValueError(
            "OnlyOne compares whole pictures, and this view holds patches of them. Run it on the dataset, or export the "
            "patches as pictures first (view.export(dataset_type=fo.types.ImageClassificationDirectoryTree))"
        )
    if collection._is_frames or collection._is_clips:
        raise ValueError(
            "This view's samples are generated from videos. Make pictures of the frames first: "
            "dataset.to_frames(sample_frames=True).clone('frames')"
        )
    if collection._is_dynamic_groups:
        collection = collection.flatten()
    if collection.media_type == fom.GROUP:
        collection = collection.select_group_slices(collection.group_slice)
    _check_media(collection)
    return collection


def _check_media(collection: fo.core.collections.SampleCollection) -> None:
    media = collection.media_type
    if media == fom.VIDEO:
        raise ValueError(
            "OnlyOne compares pictures, and these samples are videos. Make pictures of their frames first: "
            "dataset.to_frames(sample_frames=True).clone('frames')"
        )
    if media not in (fom.IMAGE, None):
        raise ValueError(f"OnlyOne compares pictures, and these samples are of media type {media!r}")
    if not collection.limit(1).count():
        raise ValueError(
            "There are no samples here: add samples to the dataset, or choose another view or selection"
        )


def everything(dataset: fo.Dataset) -> fo.core.collections.SampleCollection:
    """All pictures of a dataset, of every slice if it is grouped: what writes and saved views go through."""
    if dataset.media_type == fom.GROUP:
        return dataset.select_group_slices(media_type=fom.IMAGE)
    return dataset


def is_ordered(samples: fo.core.collections.SampleCollection) -> bool:
    """Whether a stage of the view gives its samples an order of their own."""
    stages = getattr(samples, "_stages", [])
    return any(
        isinstance(stage, _ORDERING)
        or (isinstance(stage, _ORDERING_IF_ASKED) and getattr(stage, "ordered", False))
        for stage in stages
    )


def read(samples: fo.core.collections.SampleCollection, *fields: str) -> tuple[list[Any], ...]:
    """The samples' ids and the values of ``fields``, in the order that decides who is first.

    That is the view's order where one of its stages orders it, and else the order of the sample ids, which deleting and
    restoring samples does not change.

    Returns:
        a list of ids and one list per field, all aligned
    """
    columns = samples.values(["id", *fields])
    if is_ordered(samples) or not columns[0]:
        return tuple(columns)
    order = sorted(range(len(columns[0])), key=columns[0].__getitem__)
    return tuple([column[i] for i in order] for column in columns)


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
    skipped: dict[str, str]

    @property
    def digest(self) -> str:
        """A digest of ids and vectors that does not depend on their order."""
        state = hashlib.sha256()
        for i in np.argsort(np.array(self.ids)):
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
    ids, values, errors = _vector_columns(samples, field)
    size = _dimension(samples, field, values)
    good, rows, skipped = [], [], {}
    for sample_id, value, error in zip(ids, values, errors, strict=True):
        reason = _reason_to_skip(value, error, size)
        if reason:
            skipped[sample_id] = reason
        else:
            good.append(sample_id)
            rows.append(value)
    if not good:
        raise ValueError(
            f"None of the {len(ids):,} samples has a usable vector in {field!r} (first reason: "
            f"{next(iter(skipped.values()))}). Run compute_embeddings on them"
        )
    return Vectors(good, np.asarray(rows, dtype=np.float32), skipped)


def _vector_columns(samples: fo.core.collections.SampleCollection, field: str) -> tuple[list[Any], ...]:
    error_field = f"{field}_error"
    if samples.has_sample_field(error_field):
        return read(samples, field, error_field)
    ids, values = read(samples, field)
    return ids, values, [None] * len(ids)


def _dimension(
    samples: fo.core.collections.SampleCollection, field: str, values: Sequence[Any]
) -> int | None:
    told = provenance(samples, field).get("dimension")
    sizes = Counter(len(value) for value in values if value is not None)
    return told or (sizes.most_common(1)[0][0] if sizes else None)


def _reason_to_skip(value: Any, error: str | None, size: int | None) -> str | None:
    if value is None:
        return error or "no embedding: run compute_embeddings"
    if len(value) != size:
        return f"its vector has {len(value)} values instead of {size}"
    return engine_vectors.problem(np.asarray(value, dtype=np.float32))


def provenance(samples: fo.core.collections.SampleCollection, field: str) -> dict[str, Any]:
    """What a field's info says OnlyOne wrote there; empty if OnlyOne did not."""
    found = samples.get_field(field)
    return dict((found.info or {}).get("onlyone", {})) if found is not None else {}


def declare_field(
    dataset: fo.Dataset, name: str, kind: type[fof.Field], description: str, info: Mapping[str, Any]
) -> None:
    """Create a field if need be, and write what it holds into its description and info."""
    dataset.add_sample_field(name, kind)
    field = dataset.get_field(name)
    field.description, field.info = description, {"onlyone": dict(info)}
    field.save()


def write(dataset: fo.Dataset, values: Mapping[str, Mapping[str, Any]]) -> None:
    """Write ``{field: {sample id: value}}`` in bulk; None clears. Other samples are not touched."""
    samples = everything(dataset)
    for field, by_id in values.items():
        items = list(by_id.items())
        for start in range(0, len(items), CHUNK):
            samples.set_values(field, dict(items[start : start + CHUNK]), key_field="id", progress=False)


def retag(dataset: fo.Dataset, pattern: str | None, members: Mapping[str, Iterable[str]]) -> None:
    """Remove the tags that match ``pattern`` in full everywhere, then add ``{tag: sample ids}``.

    Single tags are pulled and added in the database, atomically: writing whole tag lists would lose what a person tags
    at the same moment.
    """
    now = datetime.now(UTC)
    if pattern is not None:
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
        dataset._bulk_write(additions)


def _chunks(items: list[Any]) -> list[list[Any]]:
    return [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]
