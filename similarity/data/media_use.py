"""Which files the samples of any dataset in the database name."""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import fiftyone.core.odm as foo
from bson import ObjectId

from ..progress import Report

_CHUNK = 10_000
_THREADS = 16  # on a network file system, asking for a file's number is all waiting

Inode = tuple[int, int]
"""Device and number of a file: the same for every path, link or spelling that leads to it."""


def users(
    wanted: Collection[Inode], leaving: Mapping[ObjectId, Collection[ObjectId]], progress: Report
) -> dict[Inode, str]:
    """The files among ``wanted`` that a sample names, with the name of a dataset that it is in.

    Every text field that holds an absolute path counts, and inside labels those whose name ends in "path", such as a
    mask's. Compared are the files, not their paths: a symbolic link, a hard link, another spelling or mount of the same
    file all count.

    Args:
        wanted: the files to look for
        leaving: dataset id -> ids of its samples that do not count
        progress: told how far it is
    """
    database, found = foo.get_db_conn(), {}
    datasets = list(database.datasets.find({"sample_collection_name": {"$regex": r"^samples\."}}))
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="onlyone-stat") as pool:
        for done, dataset in enumerate(datasets):
            progress("Looking who else names the files", done, len(datasets))
            paths = _paths(database, dataset, leaving.get(dataset["_id"], ()))
            while chunk := list(islice(paths, _CHUNK)):
                used = set(pool.map(inode, chunk)) & set(wanted)
                found |= dict.fromkeys(used, dataset["name"])
    return found


def inode(path: str) -> Inode | None:
    """The numbers that tell the file from every other one; None if there is no file."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _paths(database: Any, dataset: dict[str, Any], leaving: Collection[ObjectId]) -> Iterator[str]:
    """Every path that a dataset's samples and frames name."""
    media = set((dataset.get("app_config") or {}).get("media_fields") or ())
    for kind in ("sample", "frame"):
        collection, fields = dataset.get(f"{kind}_collection_name"), dataset.get(f"{kind}_fields") or ()
        if collection:
            keys = dict.fromkeys(["filepath", *_text_keys(fields, media)], True)
            for document in database[collection].find({}, keys):
                if document["_id"] not in leaving:
                    yield from filter(os.path.isabs, _texts(document))


def _text_keys(fields: Iterable[dict[str, Any]], media: set[str], root: str = "") -> Iterator[str]:
    """Database keys of the fields that can hold a path."""
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
