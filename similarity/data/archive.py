"""The dataset where removed samples wait, complete, until they are wanted back.

Samples move as raw documents, copied inside the database: nothing that FiftyOne or another plugin ever wrote on one is
translated on the way. A sample is copied, its copy compared, and only then deleted where it came from; so at any moment
it is in one of the two datasets, or, where a move was interrupted, in both.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import bson
import fiftyone as fo
import fiftyone.core.odm as foo
import fiftyone.core.utils as fou
from bson import ObjectId
from pymongo import DeleteOne, UpdateOne

from . import locks
from . import samples as sm
from .seals import documents

MARK = "onlyone_archive"
"""Key in the info of an archive dataset: of which dataset and run it is, and what belongs to it."""

REMOVAL = "onlyone_removal"
"""Field of the archived samples: what the runs and embeddings were when they were removed, and their file's mark."""

MOVE = 1_000  # samples moved at once: what is checked again, copied, compared and deleted in one go

_LONGEST_NAME = 100  # FiftyOne's limit
_UNFINISHED = "-new"

Document = dict[str, Any]


@dataclass(frozen=True)
class Archive:
    """The archive of one dataset and run.

    Attributes:
        source: the dataset that the samples were removed from
        run_key: the run that they were left out by
        store: the dataset that holds them
    """

    source: fo.Dataset
    run_key: str
    store: fo.Dataset

    @property
    def name(self) -> str:
        """Name of the dataset that holds the removed samples."""
        return self.store.name

    def ids(self) -> list[str]:
        """Ids of the samples in the archive, sorted."""
        return sorted(str(d["_id"]) for d in self.store._sample_collection.find({}, {"_id": True}))

    def settle(self) -> list[str]:
        """Finish what an interrupted move has left in both datasets: the sample in the dataset is the one that counts.

        Returns:
            ids of the samples of which the dataset has another one, with a life of its own: somebody brought it back by
            hand. Neither is touched
        """
        leftovers, strangers = [], []
        for ids in _batches(self.ids()):
            born = {d["_id"]: d.get("created_at") for d in documents(self.store, ids, ["created_at"])}
            for live in documents(self.source, ids, ["created_at"]):
                same = live.get("created_at") == born[live["_id"]]
                (leftovers if same else strangers).append(str(live["_id"]))
        self.forget(leftovers)
        return strangers

    def take(self, found: Sequence[Document], removal: Mapping[str, Mapping[str, Any]]) -> list[str]:
        """Move samples from the dataset into the archive.

        Args:
            found: the samples' raw documents, as they were when they were found fit to be removed
            removal: for each sample id, what is noted beside the archived sample

        Returns:
            ids of the samples that were moved: those that nobody has changed since they were found
        """
        ids = [document["_id"] for document in found]
        _copy(self.source, self.store, ids, {}, "replace")
        locks.check()
        notes = [UpdateOne({"_id": i}, {"$set": {REMOVAL: dict(removal[str(i)])}}) for i in ids]
        self.store._sample_collection.bulk_write(notes, ordered=False)
        copies = {d["_id"]: content(d) for d in documents(self.store, ids)}
        equal = [d for d in found if copies.get(d["_id"]) == content(d)]
        # Only the very version that was compared is deleted: a label drawn in this second stays where it was drawn.
        versions = [{"_id": d["_id"], "last_modified_at": d.get("last_modified_at")} for d in equal]
        if versions:
            locks.check()
            self.source._sample_collection.bulk_write([DeleteOne(v) for v in versions], ordered=False)
        still = {d["_id"] for d in documents(self.source, ids, ["_id"])}
        moved = [str(i) for i in ids if i not in still and i in copies]
        self.source.delete_samples(moved)  # what FiftyOne does beside: samples in memory, date of deletion
        self.forget([str(i) for i in still])
        return moved

    def give_back(self, ids: Sequence[str], unset: Iterable[str], our_tags: re.Pattern[str]) -> list[str]:
        """Copy samples into the dataset, compare, and take them off the archive.

        Args:
            ids: the samples; none of them is in the dataset
            unset: keys that do not come back
            our_tags: the tags that do not come back

        Returns:
            ids of the samples that came back
        """
        objects, left_out = [ObjectId(i) for i in ids], {*unset, REMOVAL}
        changes: Document = {"last_modified_at": datetime.now(UTC)}  # indexes look for what is newer
        ours = {"$regexMatch": {"input": "$$tag", "regex": f"^(?:{our_tags.pattern})$"}}
        changes["tags"] = {"$filter": {"input": "$tags", "as": "tag", "cond": {"$not": [ours]}}}
        changes |= dict.fromkeys(sorted(left_out), "$$REMOVE")
        _copy(self.store, self.source, objects, changes, "keepExisting")
        left_out.add("last_modified_at")
        here = {d["_id"]: content(d, left_out) for d in documents(self.source, objects)}
        back = []
        for document in documents(self.store, objects):
            document["tags"] = [tag for tag in document["tags"] if not our_tags.fullmatch(tag)]
            if here.get(document["_id"]) == content(document, left_out):
                back.append(str(document["_id"]))
        self.forget(back)
        return back

    def forget(self, ids: Sequence[str]) -> None:
        """Delete archived samples, which are in the dataset."""
        if ids:
            locks.check()
            self.store.delete_samples(list(ids))

    def check_schema(self) -> None:
        """Make room for every field that the dataset has now.

        Raises:
            ValueError: if the archive has a field of the same name and another type
        """
        merge_schema(self.store, self.source, dict(sm.everything(self.source).get_field_schema()), "keep")

    @property
    def folders(self) -> list[str]:
        """Quarantine folders with files of the archived samples."""
        return list(self.store.info[MARK].get("folders", []))

    def note_folders(self, folders: Iterable[str]) -> None:
        """Remember the quarantine folders."""
        locks.check()
        self.store.info[MARK] = {**self.store.info[MARK], "folders": sorted(set(folders))}
        self.store.save()

    def close(self) -> bool:
        """Delete the archive if there is nothing left that it is needed for; return whether it is gone."""
        if self.folders or self.store._sample_collection.count_documents({}, limit=1):
            return False
        locks.check()
        self.store.delete()
        return True


def find(dataset: fo.Dataset, run_key: str) -> Archive | None:
    """The archive of a dataset's run; None if nothing was removed, or everything is back."""
    for document in _marked({"dataset_id": str(dataset._doc.id), "run_key": run_key}):
        store = fo.load_dataset(document["name"])
        store._reload(hard=True)
        return _published(Archive(dataset, run_key, store))
    return None


def opened(dataset: fo.Dataset) -> Archive | None:
    """The archive that a dataset is; None if it is none.

    Raises:
        ValueError: if the dataset that its samples came from is gone
    """
    mark = dataset.info.get(MARK)
    if mark is None or mark["id"] != str(dataset._doc.id):
        return None
    found = foo.get_db_conn().datasets.find_one({"_id": ObjectId(mark["dataset_id"])}, {"name": True})
    if found is None:
        raise ValueError(
            f"The dataset {mark['dataset']!r}, which these samples were removed from, was deleted. They are all here: "
            f"clone {dataset.name!r} to go on with them"
        )
    return Archive(fo.load_dataset(found["name"]), mark["run_key"], dataset)


def create(samples: fo.core.collections.SampleCollection, run_key: str) -> Archive:
    """Make an empty archive for samples of a dataset.

    Raises:
        ValueError: if its name is taken, or the dataset has a field of the name that archives use
    """
    dataset = samples._dataset
    if dataset.has_sample_field(REMOVAL):
        raise ValueError(
            f"The dataset {dataset.name!r} has a field {REMOVAL!r}, which OnlyOne needs: rename it"
        )
    name = _name(dataset, run_key)
    _refuse_taken(name)
    locks.check()
    unfinished = name + _UNFINISHED
    if fo.dataset_exists(unfinished) and not fo.load_dataset(unfinished).persistent:
        fo.delete_dataset(unfinished)  # of a process that was killed at the next line
    store = samples.limit(0).clone(unfinished)
    store.add_sample_field(REMOVAL, fo.DictField, description="What was when the sample was removed")
    store.description = f"Samples that remove_duplicates took out of {dataset.name!r} (run {run_key!r})"
    store.info[MARK] = {
        "id": str(store._doc.id),
        "dataset_id": str(dataset._doc.id),
        "dataset": dataset.name,
        "run_key": run_key,
        "name": name,
    }
    store.save()
    return _published(Archive(dataset, run_key, store))


def _published(archive: Archive) -> Archive:
    """Give a new archive its name, last of all, so that one that is there is complete."""
    store, name = archive.store, archive.store.info[MARK]["name"]
    if store.name == name + _UNFINISHED:
        store.persistent = True
        store.name = name
    return archive


def _marked(wanted: Mapping[str, str]) -> Iterator[Document]:
    query = {f"info.{MARK}.{name}": value for name, value in wanted.items()}
    for document in foo.get_db_conn().datasets.find(query, {"name": True, "info": True}):
        if document["info"][MARK]["id"] == str(document["_id"]):  # a clone of an archive is none
            yield document


def _name(dataset: fo.Dataset, run_key: str) -> str:
    ending = f"-{run_key}-removed"
    return dataset.name[: _LONGEST_NAME - len(ending) - len(_UNFINISHED)] + ending


def _refuse_taken(name: str) -> None:
    slug = fou.to_slug(name)
    taken = foo.get_db_conn().datasets.find_one({"$or": [{"name": name}, {"slug": slug}]}, {"name": True})
    if taken is not None:
        raise ValueError(
            f"The dataset {taken['name']!r} exists and is not OnlyOne's, and removed samples would go to one of that name: "
            "rename it"
        )


def merge_schema(target: fo.Dataset, origin: fo.Dataset, schema: dict[str, fo.Field], verb: str) -> None:
    """Add the fields that ``target`` lacks; nothing is added if one of them has another type there.

    Raises:
        ValueError: naming the field
    """
    locks.check()
    try:
        target._merge_sample_field_schema(schema)
    except ValueError as error:
        raise ValueError(
            f"The dataset {target.name!r} cannot {verb} the samples of {origin.name!r} complete: a field has another "
            f"type there, so nothing was done ({error}). Rename that field in one of them, with rename_sample_field"
        ) from error


def content(document: Mapping[str, Any], left_out: Iterable[str] = ()) -> bytes:
    """What a raw document holds, to be compared: keys in order, without what says which dataset it is in."""
    omitted = {"_dataset_id", REMOVAL, *left_out}
    return bson.encode({name: document[name] for name in sorted(document) if name not in omitted})


def _copy(
    origin: fo.Dataset,
    target: fo.Dataset,
    ids: Sequence[ObjectId],
    changes: Mapping[str, Any],
    when_matched: str,
) -> None:
    stages = [
        {"$match": {"_id": {"$in": list(ids)}}},
        {"$set": {**changes, "_dataset_id": target._doc.id}},
        {"$merge": {"into": target._sample_collection_name, "on": "_id", "whenMatched": when_matched}},
    ]
    locks.check()
    origin._sample_collection.aggregate(stages)


def _batches(ids: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(ids), MOVE):
        yield ids[start : start + MOVE]
