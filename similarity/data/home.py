"""OnlyOne's folder outside of the database, its permissions, and the caches in it.

A cache, such as an index, can be computed again from its dataset, and is deleted some time after the dataset.
"""

import contextlib
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import fiftyone as fo
import fiftyone.constants as foc
import fiftyone.core.odm as odm
from bson import ObjectId
from pymongo import ReadPreference
from pymongo.errors import PyMongoError

KINDS = INDEXES, SWEEPS = "indexes", "sweeps"

PLUGIN = Path(__file__).resolve().parents[2]


def home() -> Path:
    """Return ``$ONLYONE_HOME``, by default ``onlyone`` beside FiftyOne's configuration file; may not exist.

    Raises:
        ValueError: if it is inside the plugin's folder or FiftyOne's plugins folder, which FiftyOne serves
            over HTTP to everyone who can reach the App
    """
    config = os.environ.get("FIFTYONE_CONFIG_PATH") or foc.FIFTYONE_CONFIG_PATH
    named = os.environ.get("ONLYONE_HOME") or Path(config).with_name("onlyone")
    path = Path(named).expanduser().absolute()
    served = served_folder(path.resolve())
    if served:
        raise ValueError(
            f"ONLYONE_HOME is {path}, inside {served}, which FiftyOne serves over HTTP; set it to another folder"
        )
    return path


def served_folder(path: Path) -> Path | None:
    """Return the plugin's folder or the plugins folder, whose files FiftyOne's server serves, if a path is in it.

    Args:
        path: absolute, with symbolic links resolved; need not exist
    """
    for served in (PLUGIN, Path(fo.config.plugins_dir)):
        places = [place for place in (path, *path.parents) if os.path.exists(place)]  # noqa: PTH110 - no error
        if served.exists() and any(place.samefile(served) for place in places):
            return served
    return None


class HomeError(ValueError):
    """A file or folder below ``$ONLYONE_HOME`` cannot be read or written."""


class Missing(HomeError):
    """A file or folder below ``$ONLYONE_HOME`` does not exist."""


@contextlib.contextmanager
def in_home(path: Path) -> Iterator[None]:
    """Name the path and the remedy where the file system refuses an operation on ``path``.

    Raises:
        HomeError: in place of an OSError
    """
    try:
        yield
    except OSError as error:
        place, reason = error.filename or path, error.strerror or error
        raise (Missing if isinstance(error, FileNotFoundError) else HomeError)(
            f"OnlyOne cannot use {place} ({reason}): free disk space there, give this user the right to read and write, or "
            "set ONLYONE_HOME to another folder"
        ) from error


def make_folder(path: Path) -> None:
    """Make a folder and the missing ones above it, with the sharing of the existing folder above."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    share(path)


def share(path: Path) -> None:
    """Give the group, or everyone, access to a new file or folder if they have access to its parent folder.

    A sticky folder such as ``/tmp`` does not count as shared: users must not change each other's files there.
    """
    above = path.parent.stat().st_mode
    if above & stat.S_ISVTX:
        return
    writers = above & (stat.S_IWGRP | stat.S_IWOTH)
    mode = path.stat().st_mode
    allowed = writers | writers << 1 | (writers >> 1 if stat.S_ISDIR(mode) else 0)
    with contextlib.suppress(PermissionError):  # another user has made it at this moment
        path.chmod(stat.S_IMODE(mode | allowed))


def cache(kind: str, dataset: fo.Dataset) -> Path:
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
