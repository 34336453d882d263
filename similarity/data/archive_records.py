"""The records of archives, and the notes on removed samples: in collections of their own, found by ids.

An archive is an ordinary dataset. People rename it, edit it, add to it and clear its info. So nothing that restoring
depends on is stored in it, and it is not recognised by its name.
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


def notes(record: Document) -> Collection:
    """Return the collection with the notes on an archive's samples, by sample id."""
    return foo.get_db_conn().get_collection(_NOTES + record["_id"], write_concern=JOURNALED)


def find(dataset: fo.Dataset, run_key: str) -> Document | None:
    """Find the record of a run's archive."""
    return _records().find_one({"_id": _key(dataset, run_key)})


def find_by_store(store: fo.Dataset) -> Document | None:
    """Find the record of a dataset that is an archive; None if it is none."""
    return _records().find_one({"store_id": store._doc.id})


def begin(dataset: fo.Dataset, run_key: str) -> Document:
    """Write the record of an archive to be made, or find the record of a process killed while it made the archive."""
    for record in _records().find():  # FiftyOne says nothing when it deletes the datasets of an archive
        if name_of(record["dataset_id"]) is None and name_of(record["store_id"]) is None:
            forget(record)
    known = find(dataset, run_key)
    if known is not None and known["store_id"] is None:
        return known
    locks.check()
    if known is not None:
        forget(known)  # its archive was deleted by somebody
    record = {
        "_id": _key(dataset, run_key),
        "dataset_id": dataset._doc.id,
        "dataset": dataset.name,
        "run_key": run_key,
        "making": f"onlyone-{uuid.uuid4().hex}",
        "store_id": None,
    }
    _records().insert_one(record)
    return record


def update(record: Document, **values: Any) -> None:
    """Write values into a record, here and in the database."""
    locks.check()
    record.update(values)
    _records().update_one({"_id": record["_id"]}, {"$set": values})


def forget(record: Document) -> None:
    """Delete a record and its notes."""
    notes(record).drop()
    _records().delete_one({"_id": record["_id"]})


def load(dataset_id: ObjectId | None) -> fo.Dataset | None:
    """Load the dataset of an id as it is now; None if there is none."""
    name = name_of(dataset_id)
    if name is None:
        return None
    found = fo.load_dataset(name)
    found._reload(hard=True)
    return found


def name_of(dataset_id: ObjectId | None) -> str | None:
    """Return the name of the dataset of an id; None if there is none."""
    found = foo.get_db_conn().datasets.find_one({"_id": dataset_id}, {"name": True})
    return found["name"] if found else None


def free_name(start: str, ending: str) -> str:
    """Find a free dataset name, for a start of any length, whatever names other datasets have."""
    endings = itertools.chain([ending], (f"{ending}-{number}" for number in itertools.count(2)))
    names = (start[: _LONGEST_NAME - len(end)] + end for end in endings)
    datasets = foo.get_db_conn().datasets
    return next(
        name
        for name in names
        if not datasets.find_one({"$or": [{"name": name}, {"slug": fou.to_slug(name)}]})
    )


def _records() -> Collection:
    return foo.get_db_conn().get_collection(_RECORDS, write_concern=JOURNALED)


def _key(dataset: fo.Dataset, run_key: str) -> str:
    return f"{dataset._doc.id}.{run_key}"
