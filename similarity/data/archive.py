"""The dataset where removed samples wait, complete, until they are wanted back.

Samples move as raw documents, copied inside the database: nothing that FiftyOne or another plugin ever wrote on one is
translated on the way. A sample is copied, its copy compared, and only then deleted where it came from; so at any moment
it is in one of the two datasets, or, where a move was interrupted, in both.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import fiftyone as fo
from bson import ObjectId
from pymongo import ReplaceOne
from pymongo.collection import Collection

from . import archive_records as records
from . import locks, raw
from . import samples as sm
from .raw import Document, content, documents

MOVE = 1_000  # samples moved at once: checked again, copied, compared and deleted in one go

ADDED = "somebody added it to the archive; it was not removed from the dataset"
LOST = "somebody deleted it from the archive"
NO_FILE = "its filepath was cleared in the archive"


@dataclass(frozen=True)
class Archive:
    """The archive of one dataset and run.

    Attributes:
        source: the dataset that the samples were removed from
        store: the dataset that holds them
        record: of which run it is, and the source's fields and media type when samples were removed
    """

    source: fo.Dataset
    store: fo.Dataset
    record: Document

    @property
    def name(self) -> str:
        """Name of the dataset that holds the removed samples."""
        return self.store.name

    @property
    def run_key(self) -> str:
        """The run that left the samples out."""
        return self.record["run_key"]

    @property
    def _notes(self) -> Collection:
        return records.notes(self.record["_id"])

    def ids(self) -> list[str]:
        """Ids of the removed samples in the archive, sorted; not of those that a person added to it."""
        return sorted(_ids(self._notes) & _ids(self.store._sample_collection))

    def inventory(self) -> dict[str, str]:
        """Id of every sample that is in the archive or should be -> why it cannot be restored; empty where it can."""
        noted = _ids(self._notes)
        stored = self.store._sample_collection.find({}, {"filepath": True})
        paths = {str(d["_id"]): d.get("filepath") for d in stored}
        away = noted - paths.keys()
        lost = away - {str(d["_id"]) for d in documents(self.source, away, ["_id"])}
        return {
            **{i: "" if path else NO_FILE for i, path in paths.items()},
            **dict.fromkeys(paths.keys() - noted, ADDED),
            **dict.fromkeys(lost, LOST),
        }

    def notes(self) -> dict[str, Document]:
        """The notes that were taken when samples were removed, by sample id."""
        return {str(note.pop("_id")): note for note in self._notes.find({})}

    def filled(self, keys: Mapping[str, str], ids: Sequence[str]) -> set[str]:
        """The names in ``keys``, a mapping to keys of raw documents, that one of the archived samples has a value for."""
        found: set[str] = set()
        for batch in batches(list(ids)):
            among = {"_id": {"$in": [ObjectId(i) for i in batch]}}
            for name in keys.keys() - found:
                if self.store._sample_collection.find_one(
                    {**among, keys[name]: {"$ne": None}}, {"_id": True}
                ):
                    found.add(name)
        return found

    def settle(self) -> set[str]:
        """Finish an interrupted move that left samples in both datasets: the one in the dataset counts.

        Returns:
            ids of the samples of which the dataset has another one, with a life of its own: somebody brought it back by
            hand. Neither is touched
        """
        leftovers, strangers = [], set()
        for ids in batches(sorted(_ids(self.store._sample_collection))):
            born = {d["_id"]: d.get("created_at") for d in documents(self.store, ids, ["created_at"])}
            for live in documents(self.source, ids, ["created_at"]):
                if live.get("created_at") == born[live["_id"]]:
                    leftovers.append(live["_id"])
                else:
                    strangers.add(str(live["_id"]))
        self._forget(leftovers)
        return strangers

    def take(self, found: Sequence[Document], notes: Mapping[str, Mapping[str, Any]]) -> list[str]:
        """Move samples from the dataset into the archive.

        Args:
            found: the samples' raw documents, as they were when they were found fit to be removed
            notes: for each sample id, what :meth:`notes` returns later

        Returns:
            ids of the samples that were moved: those that nobody has changed since they were found

        Raises:
            ValueError: if the archive was deleted meanwhile; these samples are in the dataset then
        """
        ids = [document["_id"] for document in found]
        writes = [ReplaceOne({"_id": i}, dict(notes[str(i)]), upsert=True) for i in ids]
        self._notes.bulk_write(writes, ordered=False)
        raw.copy(self.source, self.store, ids, {}, "replace")
        copies = {d["_id"]: content(d) for d in documents(self.store, ids)}
        equal = [d for d in found if copies.get(d["_id"]) == content(d)]
        store = self.store._sample_collection
        self._require(store, [d["_id"] for d in equal])
        locks.check()  # not below: what the loss of a lock interrupts there would be put back
        try:
            raw.delete(self.source, equal)
            still = {d["_id"] for d in documents(self.source, ids, ["_id"])}
            moved = [i for i in ids if i not in still and i in copies]
            self._require(store, moved)
        except Exception:
            here = {d["_id"] for d in documents(self.source, ids, ["_id"])}
            raw.insert(self.source, [d for d in equal if d["_id"] not in here])
            raise
        self.source.delete_samples([str(i) for i in moved])  # for samples in memory, and the date of deletion
        self._forget(sorted(still))
        return [str(i) for i in moved]

    def _require(self, store: Collection, ids: Sequence[ObjectId]) -> None:
        """Refuse to go on where the archive dataset is gone, or does not hold these samples, counted now."""
        there = records.name_of(self.record["store_id"])
        if there is None or store.count_documents({"_id": {"$in": list(ids)}}) != len(ids):
            raise ValueError(
                f"The archive of the run {self.run_key!r} was changed or deleted while samples were moved there: the last "
                f"ones stay in {self.source.name!r}. Run remove_duplicates again"
            )

    def give_back(self, ids: Sequence[str], unset: Iterable[str], our_tags: re.Pattern[str]) -> list[str]:
        """Copy samples into the dataset, compare, and take them off the archive.

        Args:
            ids: the samples; none of them is in the dataset
            unset: keys that do not come back
            our_tags: the tags that do not come back

        Returns:
            ids of the samples that came back
        """
        objects, left_out = [ObjectId(i) for i in ids], {*unset, "last_modified_at"}
        tags = {"$ifNull": ["$tags", []]}  # a person may have cleared them
        ours = {"$regexMatch": {"input": "$$tag", "regex": f"^(?:{our_tags.pattern})$"}}
        changes: Document = {
            **dict.fromkeys(sorted(left_out), "$$REMOVE"),
            "last_modified_at": datetime.now(UTC),  # indexes look for newer ones
            "tags": {"$filter": {"input": tags, "as": "tag", "cond": {"$not": [ours]}}},
        }
        raw.copy(self.store, self.source, objects, changes, "keepExisting")
        here = {d["_id"]: content(d, left_out) for d in documents(self.source, objects)}
        back = []
        for document in documents(self.store, objects):
            document["tags"] = [tag for tag in document.get("tags") or () if not our_tags.fullmatch(tag)]
            if here.get(document["_id"]) == content(document, left_out):
                back.append(document["_id"])
        self._forget(back)
        return [str(i) for i in back]

    def _forget(self, ids: Sequence[ObjectId]) -> None:
        """Delete archived samples, which are in the dataset."""
        if ids:
            locks.check()
            self.store.delete_samples([str(i) for i in ids])
            self._notes.delete_many({"_id": {"$in": list(ids)}})

    def check(self, fields: Iterable[str]) -> None:
        """Refuse, before anything is written, a dataset that samples cannot move to or from any more.

        Args:
            fields: the fields of the archive that matter

        Raises:
            ValueError: if the dataset's media type has changed, or a field was renamed in it since samples were removed
        """
        media, then, born = self.record["media"], self.record["fields"], records.born(self.source)
        if media != records.media(self.source):
            raise ValueError(
                f"The dataset {self.source.name!r} is of media type {self.source.media_type!r} now, and was of {media[0]!r} "
                f"when samples were removed, so nothing was done. They are all in {self.name!r}: clone it to go on with them"
            )
        new = {
            (made, str(self.source.get_field(name))): name for name, made in born.items() if name not in then
        }
        for name in fields:
            other = new.get((then.get(name), str(self.store.get_field(name))))
            if name not in born and other:
                raise ValueError(
                    f"The field {name!r} is called {other!r} in the dataset {self.source.name!r} now, so nothing was done. "
                    f"Rename it in the archive too: fo.load_dataset({self.name!r}).rename_sample_field({name!r}, {other!r})"
                )

    def merge_schema(self) -> None:
        """Give the archive every field that the dataset has now.

        Raises:
            ValueError: as :meth:`check` does, or if a field has another type in the archive
        """
        self.check(self.store.get_field_schema())
        merge_schema(self.store, self.source, dict(sm.everything(self.source).get_field_schema()), "keep")
        records.update(self.record, fields=records.born(self.source))

    def close(self) -> bool:
        """Delete the archive if no sample is in it; return whether it is gone."""
        if self.store._sample_collection.count_documents({}, limit=1):
            return False
        locks.check()
        self.store.delete()
        records.forget(self.record["_id"])
        return True


def find(dataset: fo.Dataset, run_key: str) -> Archive | None:
    """The archive of a dataset's run; None if nothing was removed, everything is back, or somebody deleted it."""
    record = records.find(dataset, run_key)
    store = records.store(record) if record and record["ready"] else None
    return Archive(dataset, store, record) if record and store is not None else None


def opened(dataset: fo.Dataset) -> Archive | None:
    """The archive that a dataset is; None if it is none.

    Raises:
        ValueError: if the dataset that its samples came from is gone
    """
    record = records.find_by_store(dataset)
    if record is None:
        return None
    name = records.name_of(record["dataset_id"])
    if name is None:
        raise ValueError(
            f"The dataset {record['dataset']!r}, which these samples were removed from, was deleted. They are all here: "
            f"clone {dataset.name!r} to go on with them"
        )
    return Archive(fo.load_dataset(name), dataset, record)


def create(samples: fo.core.collections.SampleCollection, run_key: str) -> Archive:
    """Make an empty archive for samples of a dataset, or finish one that a killed process has begun."""
    dataset = samples._dataset
    record = records.begin(dataset, run_key)
    store, making = records.store(record), record["making"]
    if store is None:
        store = fo.load_dataset(making) if fo.dataset_exists(making) else samples.limit(0).clone(making)
        records.update(record, store_id=store._doc.id)
    store.description = f"Samples that remove_duplicates took out of {dataset.name!r} (run {run_key!r})"
    store.persistent = True
    if store.name == making:
        store.name = records.free_name(dataset.name, f"-{run_key}-removed")
    records.update(record, fields=records.born(dataset), ready=True)
    return Archive(dataset, store, record)


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


def batches(ids: list[str]) -> list[list[str]]:
    """The ids in the portions that are moved at once."""
    return [ids[start : start + MOVE] for start in range(0, len(ids), MOVE)]


def _ids(collection: Collection) -> set[str]:
    return {str(d["_id"]) for d in collection.find({}, {"_id": True})}
