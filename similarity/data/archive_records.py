"""The records of archives, and the notes on removed samples: in collections of their own, found by ids.

An archive is an ordinary dataset. People rename it, edit it, add to it and clear its info, so nothing that a way back
depends on is kept in it, and none is recognised by its name.
"""

import itertools
import uuid
from typing import Any

import fiftyone as fo
import fiftyone.core.odm as foo
import fiftyone.core.utils as fou
from bson import ObjectId
from pymongo.collection import Collection

from . import locks
from .raw import JOURNALED, Document

_RECORDS, _NOTES = "onlyone.archives", "onlyone.removed."
_LONGEST_NAME = 100  # FiftyOne's limit


def notes(key: str) -> Collection:
    """The notes on the samples of the archive ``key``, by sample id."""
    return foo.get_db_conn().get_collection(_NOTES + key, write_concern=JOURNALED)


def find(dataset: fo.Dataset, run_key: str) -> Document | None:
    """The record of the archive of a run; not ``ready`` where a killed process has only begun to make it."""
    return _records().find_one({"_id": _key(dataset, run_key)})


def find_by_store(store: fo.Dataset) -> Document | None:
    """The record of the archive that a dataset is; None if it is none."""
    return _records().find_one({"store_id": store._doc.id, "ready": True})


def begin(dataset: fo.Dataset, run_key: str) -> Document:
    """The record of an archive that is to be made: of one that a killed process has begun, or a new one."""
    _tidy()
    record = find(dataset, run_key)
    if record is not None and not record["ready"]:
        return record
    locks.check()
    key = _key(dataset, run_key)
    forget(key)  # of an archive that somebody deleted
    record = {
        "_id": key,
        "dataset_id": dataset._doc.id,
        "dataset": dataset.name,
        "run_key": run_key,
        "media": media(dataset),
        "fields": {},
        "making": f"onlyone-{uuid.uuid4().hex}",
        "store_id": None,
        "ready": False,
    }
    _records().insert_one(record)
    return record


def update(record: Document, **values: Any) -> None:
    """Write values into a record, here and in the database."""
    locks.check()
    record.update(values)
    _records().update_one({"_id": record["_id"]}, {"$set": values})


def forget(key: str) -> None:
    """Delete a record and its notes."""
    notes(key).drop()
    _records().delete_one({"_id": key})


def store(record: Document) -> fo.Dataset | None:
    """The archive dataset of a record; None if it is not made yet, or somebody deleted it."""
    name = name_of(record["store_id"])
    if name is None:
        return None
    found = fo.load_dataset(name)
    found._reload(hard=True)
    return found


def name_of(dataset_id: ObjectId) -> str | None:
    """The name of the dataset of an id; None if there is none."""
    found = foo.get_db_conn().datasets.find_one({"_id": dataset_id}, {"name": True})
    return found["name"] if found else None


def media(dataset: fo.Dataset) -> list[str | None]:
    """Media type and group field of a dataset, as a record keeps them."""
    return [dataset.media_type, dataset.group_field]


def born(dataset: fo.Dataset) -> dict[str, str | None]:
    """When each field was made, which it keeps when it is renamed; to the millisecond, as the database does."""
    times = {name: field.created_at for name, field in dataset.get_field_schema().items()}
    return {name: time and time.isoformat(timespec="milliseconds") for name, time in times.items()}


def free_name(start: str, ending: str) -> str:
    """A dataset name that nobody has, however long the start and however many datasets have the same one."""
    endings = itertools.chain([ending], (f"{ending}-{number}" for number in itertools.count(2)))
    names = (start[: _LONGEST_NAME - len(end)] + end for end in endings)
    return next(name for name in names if not _taken(name))


def _records() -> Collection:
    return foo.get_db_conn().get_collection(_RECORDS, write_concern=JOURNALED)


def _key(dataset: fo.Dataset, run_key: str) -> str:
    return f"{dataset._doc.id}.{run_key}"


def _taken(name: str) -> bool:
    either = {"$or": [{"name": name}, {"slug": fou.to_slug(name)}]}
    return foo.get_db_conn().datasets.count_documents(either, limit=1) > 0


def _tidy() -> None:
    """Forget archives that were deleted together with the datasets of their samples: FiftyOne tells nobody."""
    for record in _records().find():
        if name_of(record["dataset_id"]) is None and name_of(record["store_id"]) is None:
            forget(record["_id"])
