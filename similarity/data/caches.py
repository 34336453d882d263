"""Files that can be computed again from a dataset, such as its indexes; they are deleted some time after the dataset."""

import contextlib
import hashlib
import shutil
from pathlib import Path

import fiftyone as fo
import fiftyone.core.odm as odm
from bson import ObjectId
from pymongo import ReadPreference
from pymongo.errors import PyMongoError

from .home import home

KINDS = INDEXES, SWEEPS = "indexes", "sweeps"


def folder(kind: str, dataset: fo.Dataset) -> Path:
    """Return ``$ONLYONE_HOME/<kind>/<database>/<dataset id>``; it may not exist."""
    return _of_database(kind) / identity(dataset)


def identity(dataset: fo.Dataset) -> str:
    """Return the dataset's id in its database."""
    return str(dataset._doc.id)


def discard_orphans(dataset: fo.Dataset) -> None:
    """Delete the files of datasets that are not in the database any more; FiftyOne sends no event for a deletion.

    Args:
        dataset: a dataset in it: a database without it is not the intended one, or is just being restored
    """
    with contextlib.suppress(OSError, PyMongoError):  # the files just written are not to fail for this
        folders = [
            path for kind in KINDS for path in _of_database(kind).glob("*") if ObjectId.is_valid(path.name)
        ]
        # After the folders are listed: a dataset made from now on has none of them.
        documents = odm.get_db_conn().get_collection("datasets", read_preference=ReadPreference.PRIMARY)
        known = {str(found) for found in documents.distinct("_id")}
        for path in folders if identity(dataset) in known else ():
            if path.name not in known:
                shutil.rmtree(path, ignore_errors=True)  # Windows, where a reader has it open


def _of_database(kind: str) -> Path:
    """Return the folder of this database, named after its address: copies of a database have the same ids."""
    place = f"{fo.config.database_uri or fo.config.database_dir} {fo.config.database_name}"
    return home() / kind / hashlib.sha256(place.encode()).hexdigest()[:24]
