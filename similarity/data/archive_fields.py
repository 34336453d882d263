"""The fields of a dataset and of the archive of its removed samples, made equal before samples move."""

from collections.abc import Collection, Iterable, Sequence

import fiftyone as fo
from bson import ObjectId

from . import archive_records as records
from . import locks
from . import samples as sm
from .raw import Document, key

_BASIC = ("id", "filepath", "tags", "metadata", "created_at", "last_modified_at")


def add_to_store(source: fo.Dataset, store: fo.Dataset, record: Document) -> None:
    """Add every field of the dataset to its archive.

    Raises:
        ValueError: if the dataset's media type has changed, or a field has another name or type in the archive
    """
    _check(source, store, record, store.get_field_schema())
    _merge(store, source, dict(sm.everything(source).get_field_schema()))
    records.update(record, fields=_born(source))


def add_to_source(
    source: fo.Dataset, store: fo.Dataset, record: Document, ids: Sequence[str], stale: Collection[str]
) -> set[str]:
    """Add to a dataset the fields of its archive that it lacks and in which a restored sample has a value.

    Args:
        ids: the restored samples
        stale: fields that are not restored

    Returns:
        the fields of the archive that the dataset lacks

    Raises:
        ValueError: as :func:`add_to_store` does; nothing has been written then
    """
    schema = {name: field for name, field in store.get_field_schema().items() if name not in _BASIC}
    wanted = {
        name: field
        for name, field in schema.items()
        if name not in stale and _has_value(store, ids, key(store, name))
    }
    _check(source, store, record, wanted)
    _merge(source, store, wanted)
    return schema.keys() - source.get_field_schema().keys()


def facts(source: fo.Dataset) -> Document:
    """Return facts of a dataset for a record, to notice later that samples cannot move any more."""
    return {"media": [source.media_type, source.group_field], "fields": _born(source)}


def _has_value(dataset: fo.Dataset, ids: Sequence[str], key: str) -> bool:
    """Return whether one of the samples has a value under a key of its raw document."""
    chunks, filled = sm.chunks([ObjectId(i) for i in ids]), {key: {"$ne": None}}
    return any(dataset._sample_collection.find_one({"_id": {"$in": chunk}, **filled}) for chunk in chunks)


def _check(source: fo.Dataset, store: fo.Dataset, record: Document, fields: Iterable[str]) -> None:
    """Refuse a dataset that samples cannot move to or from any more, before anything is written.

    Args:
        fields: the fields of the archive that matter
    """
    now, then = facts(source), record["fields"]
    if record["media"] != now["media"]:
        raise ValueError(
            f"The dataset {source.name!r} is of media type {source.media_type!r} now, and was of {record['media'][0]!r} "
            f"when samples were removed, so nothing was done. They are all in {store.name!r}: clone it to go on with them"
        )
    born = now["fields"]
    new = {(made, str(source.get_field(name))): name for name, made in born.items() if name not in then}
    for name in fields:
        other = new.get((then.get(name), str(store.get_field(name))))
        if name not in born and other:
            raise ValueError(
                f"The field {name!r} is called {other!r} in the dataset {source.name!r} now, so nothing was done. "
                f"Rename it in the archive too: fo.load_dataset({store.name!r}).rename_sample_field({name!r}, {other!r})"
            )


def _merge(target: fo.Dataset, origin: fo.Dataset, schema: dict[str, fo.Field]) -> None:
    """Add the fields that ``target`` lacks; nothing is added if one of them has another type there."""
    locks.check()
    try:
        target._merge_sample_field_schema(schema)
    except ValueError as error:
        raise ValueError(
            f"The dataset {target.name!r} cannot take the samples of {origin.name!r} complete: a field has another type "
            f"there, so nothing was done ({error}). Rename that field in one of them, with rename_sample_field"
        ) from error


def _born(dataset: fo.Dataset) -> dict[str, str | None]:
    """Return the creation time of each field, which a renaming keeps, to the millisecond, as in the database."""
    times = {name: field.created_at for name, field in dataset.get_field_schema().items()}
    return {name: time and time.isoformat(timespec="milliseconds") for name, time in times.items()}
