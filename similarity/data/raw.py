"""Raw documents of samples: read, compared, copied and deleted as stored, with every key."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import bson
import fiftyone as fo
from bson import ObjectId
from pymongo import DeleteOne, WriteConcern
from pymongo.collection import Collection

from . import locks
from . import samples as sm

Document = dict[str, Any]

JOURNALED = WriteConcern(j=True)
"""A write is on the disk when it is acknowledged: for everything that restoring depends on."""


def key(samples: sm.Samples, name: str) -> str:
    """Return the name of a field in the database; of a field that does not exist, its own."""
    field = samples.get_field(name)
    return (field and field.db_field) or name


def documents(
    dataset: fo.Dataset, ids: Iterable[str | ObjectId], keys: Iterable[str] | None = None
) -> Iterator[Document]:
    """Yield the raw documents of the samples that exist, in no order, all keys when None."""
    projection = None if keys is None else dict.fromkeys(keys, True)
    for chunk in sm.chunks([ObjectId(sample_id) for sample_id in ids]):
        yield from dataset._sample_collection.find({"_id": {"$in": chunk}}, projection)


def content(document: Mapping[str, Any], left_out: Iterable[str] = ()) -> bytes:
    """Return the content of a raw document for comparison: keys in order, without the id of its dataset."""
    omitted = {"_dataset_id", *left_out}
    return bson.encode({name: document[name] for name in sorted(document) if name not in omitted})


def copy(
    origin: fo.Dataset,
    target: fo.Dataset,
    ids: Sequence[ObjectId],
    changes: Mapping[str, Any],
    when_matched: str,
) -> None:
    """Copy samples inside the database, under their ids.

    Args:
        changes: key -> expression of MongoDB's ``$set``, for the copies
        when_matched: ``"replace"`` or ``"keepExisting"``, for samples that the target has
    """
    stages = [
        {"$match": {"_id": {"$in": list(ids)}}},
        {"$set": {**changes, "_dataset_id": target._doc.id}},
        {"$merge": {"into": target._sample_collection_name, "on": "_id", "whenMatched": when_matched}},
    ]
    locks.check()
    _journaled(origin).aggregate(stages)


def insert(dataset: fo.Dataset, found: Sequence[Document]) -> None:
    """Insert samples again into the dataset that they were read from."""
    if found:
        _journaled(dataset).insert_many(found, ordered=False)


def delete(dataset: fo.Dataset, found: Sequence[Document]) -> None:
    """Delete samples, each only in exactly this version: a sample with a label drawn meanwhile stays."""
    versions = [{"_id": d["_id"], "last_modified_at": d.get("last_modified_at")} for d in found]
    if versions:
        _journaled(dataset).bulk_write([DeleteOne(version) for version in versions], ordered=False)


def _journaled(dataset: fo.Dataset) -> Collection:
    return dataset._sample_collection.with_options(write_concern=JOURNALED)
