"""The system's trash: which files may be moved there, because no sample of any dataset names them, and the move."""

import importlib.util
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.core.odm as foo
from bson import ObjectId

from ..engine.images import file_mark
from ..progress import Progress
from . import locks

_CHUNK = 10_000
_THREADS = 16  # on a network file system, reading a file's number is all waiting

Inode = tuple[int, int]
"""Device and number of a file: the same for every path, link or spelling of it."""


def require() -> None:
    """Refuse where the package for the system's trash is missing.

    Raises:
        ValueError: names the command that installs it
    """
    if importlib.util.find_spec("send2trash") is None:
        raise ValueError('files="trash" needs the package Send2Trash: pip install send2trash')


def plan(
    marks: Mapping[str, str | None],
    leaving: Iterable[tuple[fo.Dataset, Collection[str]]],
    progress: Progress,
) -> tuple[dict[str, int], dict[str, str]]:
    """Find the files that may be moved to the trash.

    Args:
        marks: path -> the file's mark when its sample was removed; a file that does not exist any more is left out
        leaving: datasets, each with the ids of its samples that do not count as users of a file

    Returns:
        the paths of those files, with their sizes in bytes, and for each other file the reason why not
    """
    found = {path: number for path in marks if (number := _inode(path)) is not None}
    apart = {dataset._doc.id: set(map(ObjectId, ids)) for dataset, ids in leaving}
    used = _users(set(found.values()), apart, progress) if found else {}
    sizes, left = {}, {}
    for path, number in found.items():
        if number in used:
            left[path] = f"a sample of the dataset {used[number]!r} names it"
        elif Path(path).is_symlink():
            left[path] = "it is a link, not a file"
        elif file_mark(path) != marks[path]:
            left[path] = "it has changed since its sample was removed"
        else:
            sizes[path] = Path(path).stat().st_size
    return sizes, left


def send(paths: Iterable[str], progress: Progress) -> dict[str, str]:
    """Move files to the trash.

    Returns:
        for each file that could not be moved and is unchanged, the reason why
    """
    from send2trash import send2trash

    left, paths = {}, list(paths)
    for done, path in enumerate(paths):
        progress("Moving files to the trash", done, len(paths))
        locks.check()
        try:
            send2trash(path)
        except OSError as error:
            if Path(path).exists():
                left[path] = f"the system's trash does not take it ({error.strerror or error})"
    return left


def _users(
    wanted: set[Inode], leaving: Mapping[ObjectId, Collection[ObjectId]], progress: Progress
) -> dict[Inode, str]:
    """Find the files among ``wanted`` that a sample of any dataset names, each with the name of such a dataset.

    Every text field with an absolute path counts, and inside labels fields whose name ends in "path", such as a mask's.
    Files are compared, not their paths: a symbolic link, a hard link, another spelling or mount of the same file all
    count.
    """
    database, found = foo.get_db_conn(), {}
    datasets = list(database.datasets.find({"sample_collection_name": {"$regex": r"^samples\."}}))
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="onlyone-stat") as pool:
        for done, dataset in enumerate(datasets):
            progress("Looking who else names the files", done, len(datasets))
            paths = _paths(database, dataset, leaving.get(dataset["_id"], ()))
            while chunk := list(islice(paths, _CHUNK)):
                used = set(pool.map(_inode, chunk)) & wanted
                found |= dict.fromkeys(used, dataset["name"])
    return found


def _inode(path: str) -> Inode | None:
    """Return the numbers that identify a file; None if there is no file."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _paths(database: Any, dataset: dict[str, Any], leaving: Collection[ObjectId]) -> Iterator[str]:
    """Yield every path that a dataset's samples and frames name."""
    media = set((dataset.get("app_config") or {}).get("media_fields") or ())
    for kind in ("sample", "frame"):
        collection, fields = dataset.get(f"{kind}_collection_name"), dataset.get(f"{kind}_fields") or ()
        if collection:
            keys = dict.fromkeys(["filepath", *_text_keys(fields, media)], True)
            for document in database[collection].find({}, keys):
                if document["_id"] not in leaving:
                    yield from filter(os.path.isabs, _texts(document))


def _text_keys(fields: Iterable[dict[str, Any]], media: set[str], root: str = "") -> Iterator[str]:
    """Yield the database keys of the fields that can hold a path."""
    for field in fields:
        name = field.get("db_field") or field["name"]
        kinds = f"{field['ftype']} {field.get('subfield')}"
        if "StringField" in kinds and (not root or name.endswith("path") or root + name in media):
            yield root + name
        yield from _text_keys(field.get("fields") or (), media, f"{root}{name}.")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)
