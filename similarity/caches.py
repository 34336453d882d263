"""Files that can be computed again from a dataset, such as its indexes: when a dataset is deleted, they go too, later."""

import functools
import shutil
from pathlib import Path

import fiftyone as fo
import fiftyone.core.odm as odm
from bson import ObjectId

from .home import home

KINDS = INDEXES, SWEEPS = "indexes", "sweeps"


def folder(kind: str, dataset: fo.Dataset) -> Path:
    """Return ``$ONLYONE_HOME/<kind>/<database id>/<dataset id>``; it may not exist."""
    return home() / kind / _database() / str(dataset._doc.id)


def discard_orphans() -> None:
    """Delete the files of datasets that are not in the database any more; FiftyOne says nothing when it deletes one."""
    folders = [
        path
        for kind in KINDS
        for path in (home() / kind / _database()).glob("*")
        if ObjectId.is_valid(path.name)
    ]
    # After the folders are listed: a dataset that is made from now on has none of them.
    datasets = {str(found) for found in odm.get_db_conn().datasets.distinct("_id")}
    for path in folders:
        if path.name not in datasets:
            shutil.rmtree(path, ignore_errors=True)  # Windows, where a reader has it open


@functools.cache
def _database() -> str:
    """The id that FiftyOne gave the database: several databases may share ``$ONLYONE_HOME``."""
    return str(odm.get_db_conn().config.find_one({}, ["_id"], sort=[("_id", -1)])["_id"])
