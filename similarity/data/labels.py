"""Label fields: their types, the paths of their classes and masks, and the numbers of the classes."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

import bson
import fiftyone as fo
import fiftyone.core.fields as fof
import fiftyone.core.groups as fog
import fiftyone.core.labels as fol
import fiftyone.utils.yolo as fouy
from bson import ObjectId
from fiftyone.core.collections import SampleCollection as Samples
from pymongo import UpdateOne

from . import locks, raw
from . import samples as sm
from .raw import Document
from .vectors import vector_fields

LISTS = fol._HasLabelList  # the labels that hold a list of labels

Changes = dict[str, tuple[Document | None, Document]]
"""Sample id -> its label as stored, None without one, and another one for it."""

_PRIVATE = "onlyone_"  # prefix of OnlyOne's keys in the info and the samples of its own datasets


def label_type(samples: Samples, name: str) -> type[fol.Label] | None:
    """Return the type of a label field; None if the field does not exist or holds no labels."""
    kind = getattr(samples.get_field(name), "document_type", None)
    return kind if kind is not None and issubclass(kind, fol.Label) else None


def labels_path(samples: Samples, name: str) -> str:
    """Return the path of the single labels of a label field: ``truth.detections``, or ``truth`` where it holds one label."""
    kind = label_type(samples, name)
    return f"{name}.{kind._LABEL_LIST_FIELD}" if issubclass(kind, LISTS) else name


def class_path(samples: Samples, name: str) -> str:
    """Return the path of the classes of a label field, or of the values of a regression."""
    key = "value" if issubclass(label_type(samples, name), fol.Regression) else "label"
    return f"{labels_path(samples, name)}.{key}"


def labelled(samples: Samples, name: str) -> list[str]:
    """Return the ids of the samples that have a label in a field; an empty list of labels is none."""
    kind = label_type(samples, name)
    if kind is not None and issubclass(kind, LISTS):
        return samples.match(fo.ViewField(labels_path(samples, name)).length() > 0).values("id")
    return samples.exists(name).values("id")


def classes(samples: Samples, name: str | None) -> list[str]:
    """Return the classes of a label field in the order of their numbers.

    They are the dataset's classes of the field, or its default classes; else the classes of all labels, sorted.

    Args:
        name: the label field; None for the classes by default
    """
    declared = (name and samples.classes.get(name)) or samples.default_classes
    if declared or name is None:
        return list(declared or [])
    return sorted(filter(None, sm.everything(sm.dataset_of(samples)).distinct(class_path(samples, name))))


def without_class(samples: Samples, name: str) -> fo.DatasetView:
    """Return the labels of a label field that have no class, and only the samples with one."""
    label = fo.ViewField("label")
    return samples.filter_labels(name, ~label.exists() | (label == ""))


def mask_key(samples: Samples, name: str) -> str | None:
    """Return the key of the mask or map file in a label: ``mask_path`` or ``map_path``; None where labels have none."""
    return next((key for key in samples._get_media_fields(whitelist=name).values() if key), None)


def mask_files(samples: Samples, name: str) -> list[str]:
    """Return the distinct files of masks and maps of a label field, sorted."""
    key = mask_key(samples, name)
    return sorted(samples.distinct(f"{labels_path(samples, name)}.{key}")) if key else []


def count_masks(samples: Samples, name: str) -> int:
    """Count the masks or maps of a label field, in files and in the database."""
    key, path = mask_key(samples, name), labels_path(samples, name)
    return samples.count(f"{path}.{key}") + samples.count(f"{path}.{key.removesuffix('_path')}") if key else 0


def portable_fields(samples: Samples, label_field: str | None) -> list[str]:
    """Return the fields that are meaningful in another dataset.

    Left out are vectors, which are large and quickly computed again, with the fields beside them; other label fields;
    and groups, of which a collection may hold one slice.
    """
    vectors = set(vector_fields(samples))

    def is_portable(name: str, field: fof.Field) -> bool:
        if name == label_field:
            return True
        if isinstance(field, fof.EmbeddedDocumentField) and issubclass(
            field.document_type, fol.Label | fog.Group
        ):
            return False
        return (
            name not in vectors
            and sm.provenance(samples, name).get("beside") not in vectors
            and not is_private(name)
        )

    return [name for name, field in samples.get_field_schema().items() if is_portable(name, field)]


def is_private(name: str) -> bool:
    """Return whether a field, or a key of a dataset's info, is a mark of OnlyOne's own datasets."""
    return name.startswith(_PRIVATE)


def annotated_fields(samples: Samples) -> list[str]:
    """Return the label fields without any confidence: drawn by people, not predicted by a model."""
    fields = samples.get_field_schema(embedded_doc_type=fol.Label)
    dataset = sm.dataset_of(samples)
    return [
        name
        for name, field in fields.items()
        if not issubclass(field.document_type, fol.GeoLocation | fol.GeoLocations)
        and not dataset._sample_collection.find_one(
            {f"{labels_path(samples, name)}.confidence": {"$type": "number"}}, {"_id": True}
        )
    ]


def count_labels(samples: Samples, name: str) -> dict[str, int]:
    """Count the labels of each sample in a label field."""
    if issubclass(label_type(samples, name), LISTS):
        return dict(
            zip(*samples.values(["id", fo.ViewField(labels_path(samples, name)).length()]), strict=True)
        )
    return dict.fromkeys(labelled(samples, name), 1)


def single_type(kind: type[fol.Label]) -> type[fol.Label]:
    """Return the type of one label of a list type: Detection of Detections; other types as they are."""
    return fol._LABEL_LIST_TO_SINGLE_MAP.get(kind, kind)


def list_type(kind: type[fol.Label]) -> type[fol.Label]:
    """Return the list type of a label type: Detections of Detection; types without a list as they are."""
    return fol._SINGLE_LABEL_TO_LIST_MAP.get(kind, kind)


def singles(label: fol.Label) -> list[fol.Label]:
    """Return the single labels of a label."""
    return label[label._LABEL_LIST_FIELD] if isinstance(label, LISTS) else [label]


def as_list(label: fol.Label) -> fol.Label:
    """Return a label as its list type: Detections with one Detection; types without a list as they are."""
    kind = list_type(type(label))
    return label if kind is type(label) else kind(**{kind._LABEL_LIST_FIELD: [label]})


def document(kind: type[fol.Label], found: Iterable[fol.Label]) -> Document | None:
    """Return a label of a type, as the database stores it, of single labels; None for a single type without one.

    Not by the type's constructor, which validates every single label again.

    Raises:
        ValueError: if there are several, and the type is no list
    """
    made = [one.to_mongo() for one in found]
    if issubclass(kind, LISTS):
        return {"_cls": kind.__name__, kind._LABEL_LIST_FIELD: made}
    if len(made) > 1:
        raise ValueError(f"{len(made):,} labels, and a {kind.__name__} is one")
    return made[0] if made else None


def copied(label: Document, **marks: Any) -> Document:
    """Return a copy of a label, whose single labels have new ids, and the marks."""
    if "classifications" in label:
        return {**label, "classifications": [copied(one, **marks) for one in label["classifications"]]}
    return {**label, "_id": ObjectId(), **marks}


def stored(dataset: fo.Dataset, name: str, ids: Iterable[str]) -> dict[str, Document | None]:
    """Return the labels of samples as stored, by id: None without one; samples that are gone are left out."""
    key = raw.key(dataset, name)
    return {str(document["_id"]): document.get(key) for document in raw.documents(dataset, ids, (key,))}


def count_stored(label: Document | None) -> int:
    """Count the single labels of a stored label."""
    if label is None:
        return 0
    lists = {kind.__name__: kind._LABEL_LIST_FIELD for kind in fol._LABEL_LIST_FIELDS}
    return len(label.get(lists[label["_cls"]]) or ()) if label["_cls"] in lists else 1


def digest(label: Document) -> str:
    """Return a digest of a stored label, without its ids: equal for equal contents."""
    return blake2b(bson.encode({"label": _without_ids(label)}), digest_size=16).hexdigest()


def _without_ids(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_ids(value[key]) for key in sorted(value) if key != "_id"}
    if isinstance(value, list):
        return [_without_ids(one) for one in value]
    return round(value, 6) if isinstance(value, float) else value  # files in pixels come back nearly the same


def declare(dataset: fo.Dataset, name: str, kind: type[fol.Label]) -> None:
    """Create a label field, unless it exists."""
    if not dataset.has_sample_field(name):
        locks.check()
        dataset.add_sample_field(name, fof.EmbeddedDocumentField, embedded_doc_type=kind)


def write(dataset: fo.Dataset, name: str, changes: Changes) -> set[str]:
    """Write labels, each only in place of the one that is known.

    Returns:
        ids of the samples that have another one, which stays, or are gone
    """
    key = raw.key(dataset, name)
    for ids in sm.chunks(list(changes)):
        now = datetime.now(UTC)
        operations = [
            UpdateOne({"_id": ObjectId(i), key: old}, {"$set": {key: new, "last_modified_at": now}})
            for i, (old, new) in ((i, changes[i]) for i in ids)
        ]
        locks.check()
        dataset._bulk_write(operations, ids=ids)
    found = stored(dataset, name, changes)
    return {i for i, (_, new) in changes.items() if not found.get(i) or digest(found[i]) != digest(new)}


def of_yolo_row(row: str, classes: Mapping[int, str], kind: str) -> fol.Label:
    """Return the label of one row of a YOLO label file.

    Args:
        kind: ``"detections"`` or ``"polylines"``
    """
    return fouy._parse_yolo_row(row, classes, kind)


def place_media(label: fol.Label, folder: Path) -> None:
    """Make the path of a label's mask or map absolute, from one relative to a folder."""
    key = getattr(label, "_MEDIA_FIELD", None)
    if key is not None and label[key]:
        label[key] = str(folder / label[key])
