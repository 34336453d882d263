"""The archive: a dataset of removed samples, complete, from which they can be restored.

Samples move as raw documents, copied inside the database: no value of FiftyOne or of another plugin is converted. A sample
is copied, its copy compared, and only then deleted from its origin. So at any moment it is in one of the two datasets,
or, after an interrupted move, in both.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import fiftyone as fo
from bson import ObjectId
from fiftyone.core.collections import SampleCollection as Samples
from pymongo import ReplaceOne
from pymongo.collection import Collection

from ..engine.images import file_mark
from . import archive_fields as fields
from . import archive_records as records
from . import locks, raw, seals
from . import samples as sm
from .raw import Document, content, documents

MOVE = 1_000  # samples checked again, copied, compared and deleted together

LOST = "somebody deleted it from the archive"
_ADDED = "somebody added it to the archive; it was not removed from the dataset"
_NO_FILE = "its filepath was cleared in the archive"
_TAKEN = "another sample of the dataset has its file, and a unique index allows one: delete either of them"


@dataclass(frozen=True)
class Archive:
    """The archive of one dataset and run.

    Attributes:
        source: the dataset that the samples were removed from
        store: the dataset that holds them
        record: its run, and the source's fields and media type when samples were removed
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
        return records.notes(self.record)

    def ids(self) -> list[str]:
        """List the ids of the removed samples in the archive, sorted, without samples that a person added to it."""
        return sorted(_ids(self._notes) & _ids(self.store._sample_collection))

    def inventory(self) -> dict[str, str]:
        """Return, by id, why samples of the archive, lost ones too, cannot be restored; ``""`` for restorable ones."""
        noted = _ids(self._notes)
        stored = self.store._sample_collection.find({}, {"filepath": True})
        paths = {str(d["_id"]): d.get("filepath") for d in stored}
        away = noted - paths.keys()
        lost = away - {str(d["_id"]) for d in documents(self.source, away, ["_id"])}
        taken = self._taken([path for path in paths.values() if path])
        return {
            **{i: (_TAKEN if path in taken else "") if path else _NO_FILE for i, path in paths.items()},
            **dict.fromkeys(paths.keys() - noted, _ADDED),
            **dict.fromkeys(lost, LOST),
        }

    def _taken(self, paths: Sequence[str]) -> set[str]:
        """Return the files of which the dataset has samples, where a unique index allows one of each."""
        samples = self.source._sample_collection
        indexes = samples.index_information().values()
        if not any(one.get("unique") and dict(one["key"]).keys() == {"filepath"} for one in indexes):
            return set()
        among = ({"filepath": {"$in": some}} for some in sm.chunks(paths, MOVE))
        return {found["filepath"] for some in among for found in samples.find(some, {"filepath": True})}

    def notes(self) -> dict[str, Document]:
        """Return, by sample id, path and mark of the file, and the states of runs and vectors at the removal."""
        return {str(note.pop("_id")): note for note in self._notes.find({})}

    def settle(self) -> set[str]:
        """Finish an interrupted move that left samples in both datasets: the one in the dataset counts.

        Returns:
            ids of samples of which the dataset has another one, made anew by hand; neither is touched
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

    def take(self, found: Sequence[Document]) -> list[str]:
        """Move samples from the dataset into the archive.

        Args:
            found: the samples' raw documents, as checked for the removal

        Returns:
            ids of the moved samples: those that nobody has changed since the check

        Raises:
            ValueError: if the archive was deleted meanwhile; these samples are in the dataset then
        """
        ids, states = [document["_id"] for document in found], seals.states(self.source)
        paths = {d["_id"]: {"path": d["filepath"], "file": file_mark(d["filepath"])} for d in found}
        writes = [ReplaceOne({"_id": i}, states | paths[i], upsert=True) for i in ids]
        self._notes.bulk_write(writes, ordered=False)
        raw.copy(self.source, self.store, ids, {}, "replace")
        copies = {d["_id"]: content(d) for d in documents(self.store, ids)}
        equal = [d for d in found if copies.get(d["_id"]) == content(d)]
        self._require([d["_id"] for d in equal])
        locks.check()  # not below: a move interrupted there by the loss of a lock would be undone
        try:
            raw.delete(self.source, equal)
            still = self._in_source(ids)
            moved = [i for i in ids if i not in still and i in copies]
            self._require(moved)
        except Exception:
            here = self._in_source(ids)
            raw.insert(self.source, [d for d in equal if d["_id"] not in here])
            raise
        self.source.delete_samples([str(i) for i in moved])  # for samples in memory, and the date of deletion
        self._forget(sorted(still))
        return [str(i) for i in moved]

    def _in_source(self, ids: Iterable[ObjectId]) -> set[ObjectId]:
        return {d["_id"] for d in documents(self.source, ids, ["_id"])}

    def _require(self, ids: Sequence[ObjectId]) -> None:
        """Refuse if the archive dataset is gone, or does not hold these samples, counted now."""
        there = records.name_of(self.record["store_id"]) is not None
        among = {"_id": {"$in": list(ids)}}
        if not there or self.store._sample_collection.count_documents(among) != len(ids):
            raise ValueError(
                f"The archive of the run {self.run_key!r} was changed or deleted while samples were moved there: the last "
                f"ones stay in {self.source.name!r}. Run remove_duplicates again"
            )

    def give_back(self, ids: Sequence[str], fields: Iterable[str], run_keys: Iterable[str]) -> list[str]:
        """Copy samples into the dataset, compare, and delete them from the archive.

        Args:
            ids: the samples; none of them is in the dataset
            fields: the fields that are not restored
            run_keys: the runs whose tags are not restored

        Returns:
            ids of the restored samples
        """
        objects, our_tags = [ObjectId(i) for i in ids], seals.our_tags(run_keys)
        left_out = {"last_modified_at", *(raw.key(self.store, name) for name in fields)}
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

    def close(self) -> bool:
        """Delete the archive if it has no samples; return whether it is gone."""
        if self.store._sample_collection.count_documents({}, limit=1):
            return False
        locks.check()
        self.store.delete()
        records.forget(self.record)
        return True


def find(dataset: fo.Dataset, run_key: str) -> Archive | None:
    """Find the archive of a run; None if nothing was removed, everything is restored, or somebody deleted it."""
    record = records.find(dataset, run_key)
    store = records.load(record["store_id"]) if record else None
    return Archive(dataset, store, record) if record and store is not None else None


def is_one(dataset: fo.Dataset) -> bool:
    """Tell whether a dataset is an archive."""
    return records.find_by_store(dataset) is not None


def opened(dataset: fo.Dataset) -> Archive | None:
    """Return a dataset as an archive; None if it is none.

    Raises:
        ValueError: if the dataset that its samples came from is gone
    """
    record = records.find_by_store(dataset)
    if record is None:
        return None
    source = records.load(record["dataset_id"])
    if source is None:
        raise ValueError(
            f"The dataset {record['dataset']!r}, which these samples were removed from, was deleted. They are all here: "
            f"clone {dataset.name!r} to go on with them"
        )
    return Archive(source, dataset, record)


def ready(samples: Samples, run_key: str) -> Archive:
    """Return the archive of a dataset's samples, with all of their fields.

    A missing one is made; one that a killed process began is finished.

    Raises:
        ValueError: as :func:`archive_fields.add_to_store` does
    """
    dataset = samples._dataset
    found = find(dataset, run_key)
    if found is None:
        record = records.begin(dataset, run_key)
        making, facts = record["making"], fields.facts(dataset)
        store = fo.load_dataset(making) if fo.dataset_exists(making) else samples.limit(0).clone(making)
        records.update(record, store_id=store._doc.id, **facts)
        found = Archive(dataset, store, record)
    if found.name == found.record["making"]:
        found.store.description = (
            f"Samples that remove_duplicates took out of {dataset.name!r} (run {run_key!r})"
        )
        found.store.persistent = True
        found.store.name = records.free_name(dataset.name, f"-{run_key}-removed")
    fields.add_to_store(dataset, found.store, found.record)
    return found


def batches(ids: Sequence[str]) -> list[Sequence[str]]:
    """Divide ids into batches that are moved together."""
    return sm.chunks(ids, MOVE)


def _ids(collection: Collection) -> set[str]:
    return {str(d["_id"]) for d in collection.find({}, {"_id": True})}
