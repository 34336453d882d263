"""The only readers and writers of samples: fields and tags in bulk, matched by id."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import fiftyone as fo
import fiftyone.core.fields as fof
import fiftyone.core.media as fom
import fiftyone.core.stages as fos
from bson import ObjectId
from pymongo import UpdateMany, UpdateOne

from . import locks
from .pictures import flat as flat

Samples = fo.core.collections.SampleCollection
"""A dataset, or a view of one."""

CHUNK = 10_000  # ids in one database operation: far below MongoDB's 16 MB even with 40 bytes an id

_OPERATIONS = 100  # in one message, before which the locks are checked

_GROUP = "deduplication"  # of OnlyOne's fields in the App's sidebar

_ORDERING = (
    fos.SortBy,
    fos.SortBySimilarity,
    fos.GeoNear,
    fos.Shuffle,
    fos.Take,
    fos.GroupBy,
    fos.Concat,
    fos.Mongo,
)
_ORDERING_IF_ASKED = (fos.Select, fos.SelectBy, fos.SelectGroups)


def dataset_of(samples: Samples) -> fo.Dataset:
    """Return the dataset of a view, or the dataset itself."""
    return samples._dataset


def everything(dataset: fo.Dataset) -> Samples:
    """Return all pictures of a dataset, of every slice if it is grouped: the collection for writes and saved views."""
    if dataset.media_type == fom.GROUP:
        return dataset.select_group_slices(media_type=fom.IMAGE)
    return dataset


def exact_count(samples: Samples) -> int:
    """Count the samples of a view, or of a dataset in all its slices, one by one.

    FiftyOne's ``count()`` of all samples is MongoDB's estimate, which can be 0 for a full dataset after the server was
    killed.
    """
    if isinstance(samples, fo.Dataset):
        return samples._sample_collection.count_documents({})
    return samples.count("id")


def is_ordered(samples: Samples) -> bool:
    """Return whether a stage of the view gives its samples an order of their own."""
    stages = getattr(samples, "_stages", [])
    return any(
        isinstance(stage, _ORDERING)
        or (isinstance(stage, _ORDERING_IF_ASKED) and getattr(stage, "ordered", False))
        for stage in stages
    )


def read(samples: Samples, *fields: str) -> tuple[list[Any], ...]:
    """Return the samples' ids and the values of ``fields``, in the order that decides which is first.

    This is the view's order where one of its stages orders it, else the order of the sample ids, which deleting and
    restoring samples does not change.

    Returns:
        a list of ids and one list per field, all aligned
    """
    columns = samples.values(["id", *fields])
    first: dict[str, int] = {}
    for row, sample_id in enumerate(columns[0]):
        first.setdefault(sample_id, row)  # a concatenated view may hold a sample twice
    rows = list(first.values()) if is_ordered(samples) else [first[sample_id] for sample_id in sorted(first)]
    return tuple([column[row] for row in rows] for column in columns)


def where(samples: Samples, field: str, value: Any) -> Samples:
    """Return the samples that have a value in a field."""
    return samples.match(fo.ViewField(field) == value)


def settled(samples: Samples, *names: str) -> Samples:
    """Return the same samples, by id where a stage of the view reads one of ``names``, which are about to be rewritten."""
    if isinstance(samples, fo.Dataset) or not any(name in str(samples._serialize()) for name in names):
        return samples
    return everything(samples._dataset).select(read(samples)[0], ordered=is_ordered(samples))


def provenance(samples: Samples, field: str) -> dict[str, Any]:
    """Return the provenance in a field's info; empty if OnlyOne did not write the field."""
    found = samples.get_field(field)
    return dict((found.info or {}).get("onlyone", {})) if found is not None else {}


def declare_field(
    dataset: fo.Dataset, name: str, kind: type[fof.Field], description: str, info: Mapping[str, Any]
) -> None:
    """Create a missing field, and write its description and info."""
    locks.check()
    told = {"onlyone": dict(info)}
    if not dataset.has_sample_field(name):
        # In one operation: a kill leaves no orphan.
        dataset.add_sample_field(name, kind, description=description, info=told)
        dataset.app_config._add_path_to_sidebar_group(name, _GROUP, dataset=dataset)
        dataset.save()
        return
    field = dataset.get_field(name)
    field.description, field.info = description, told
    field.save()


def tidy_sidebar(dataset: fo.Dataset) -> None:
    """Delete the group of the fields once it has none, and the list of groups if it then equals FiftyOne's default."""
    groups = dataset.app_config.sidebar_groups or []
    left = [group for group in groups if group.name != _GROUP or group.paths]
    if len(left) < len(groups):
        usual = fo.DatasetAppConfig.default_sidebar_groups(dataset)
        dataset.app_config.sidebar_groups = left if left != usual else None
        dataset.save()


def write(dataset: fo.Dataset, values: Mapping[str, Mapping[str, Any]]) -> None:
    """Write ``{field: {sample id: value}}`` in bulk; None clears. Other samples are not touched.

    One operation for each sample, so that a killed write leaves no sample with half of its values; FiftyOne's
    ``set_values`` uses one for each value.
    """
    fields = {name: dataset.get_field(name) for name in values}
    sample_ids = list(dict.fromkeys(sample_id for by_id in values.values() for sample_id in by_id))
    for ids in chunks(sample_ids):
        now = datetime.now(UTC)
        operations = []
        for sample_id in ids:
            row = {
                name: None if by_id[sample_id] is None else fields[name].to_mongo(by_id[sample_id])
                for name, by_id in values.items()
                if sample_id in by_id
            }
            operations.append(
                UpdateOne({"_id": ObjectId(sample_id)}, {"$set": {**row, "last_modified_at": now}})
            )
        locks.check()
        dataset._bulk_write(operations, ids=ids)


def replace(dataset: fo.Dataset, values: Mapping[str, Mapping[str, Any]]) -> None:
    """Write ``{field: {sample id: value}}``, and clear these fields of every other sample.

    A sample whose values stay is not touched, so that nobody sees it without them meanwhile.
    """
    ids, *columns = read(everything(dataset), *values)
    wanted = [[by_id.get(sample_id) for sample_id in ids] for by_id in values.values()]
    old, new = zip(*columns, strict=True), zip(*wanted, strict=True)
    rows = [row for row, (before, after) in enumerate(zip(old, new, strict=True)) if before != after]
    write(
        dataset,
        {name: {ids[row]: column[row] for row in rows} for name, column in zip(values, wanted, strict=True)},
    )


def tag(dataset: fo.Dataset, members: Mapping[str, Iterable[str]]) -> None:
    """Add ``{tag: sample ids}``."""
    _update(dataset, [(ids, {"$addToSet": {"tags": name}}) for name, ids in members.items()])


def untag(dataset: fo.Dataset, pattern: str) -> None:
    """Remove the tags that match ``pattern`` in full everywhere."""
    query = {"$regex": f"^(?:{pattern})$"}
    change = {"$pull": {"tags": query}, "$set": {"last_modified_at": datetime.now(UTC)}}
    locks.check()
    dataset._bulk_write([UpdateMany({"tags": query}, change)])


def replace_tags(
    dataset: fo.Dataset, members: Mapping[str, Iterable[str]], among: Iterable[str] | None = None
) -> None:
    """Add ``{tag: sample ids}``, and remove these tags from every other sample, or from the others ``among`` some.

    They are added first, so that a kill leaves none without its tag; a sample that has its tag is not touched.
    """
    tagged = {name: set(everything(dataset).match_tags(name).values("id")) for name in members}
    if among is not None:
        tagged = {name: having.intersection(among) for name, having in tagged.items()}
    tag(dataset, {name: [i for i in ids if i not in tagged[name]] for name, ids in members.items()})
    others = {name: tagged[name].difference(ids) for name, ids in members.items()}
    _update(dataset, [(ids, {"$pull": {"tags": name}}) for name, ids in others.items()])


def _update(dataset: fo.Dataset, changes: Iterable[tuple[Iterable[str], Mapping[str, Any]]]) -> None:
    """Change samples, ``(ids, change)``, within the database, atomically.

    Writing whole tag lists would lose the tags that a person adds at that moment.
    """
    now = {"$set": {"last_modified_at": datetime.now(UTC)}}
    operations = [
        UpdateMany({"_id": {"$in": some}}, {**change, **now})
        for ids, change in changes
        for some in chunks([ObjectId(sample_id) for sample_id in ids])
    ]
    for some in chunks(operations, _OPERATIONS):
        locks.check()
        dataset._bulk_write(some)


def chunks(items: Sequence[Any], size: int = CHUNK) -> list[Sequence[Any]]:
    """Divide items so that a database operation for some of them stays small enough."""
    return [items[start : start + size] for start in range(0, len(items), size)]
