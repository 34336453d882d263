"""Label fields: of which type they are, where their classes and their masks are, and the numbers of the classes."""

import fiftyone as fo
import fiftyone.core.fields as fof
import fiftyone.core.groups as fog
import fiftyone.core.labels as fol

from . import samples as sm
from .vectors import vector_fields

Samples = fo.core.collections.SampleCollection

LISTS = fol._HasLabelList  # the labels that hold a list of labels

_PRIVATE = "onlyone_"  # begins the keys that OnlyOne writes into the info and the samples of its own datasets


def label_type(samples: Samples, name: str) -> type[fol.Label] | None:
    """The type of a label field; None if there is no such field, or it holds no labels."""
    kind = getattr(samples.get_field(name), "document_type", None)
    return kind if kind is not None and issubclass(kind, fol.Label) else None


def labels_path(samples: Samples, name: str) -> str:
    """Path of the single labels of a label field: ``truth.detections``, or ``truth`` where it holds one label."""
    kind = label_type(samples, name)
    return f"{name}.{kind._LABEL_LIST_FIELD}" if issubclass(kind, LISTS) else name


def class_path(samples: Samples, name: str) -> str:
    """Path of the classes of a label field, or of the values of a regression."""
    key = "value" if issubclass(label_type(samples, name), fol.Regression) else "label"
    return f"{labels_path(samples, name)}.{key}"


def labelled(samples: Samples, name: str) -> list[str]:
    """Ids of the samples that have a label in a field; an empty list of labels is none."""
    kind = label_type(samples, name)
    if kind is not None and issubclass(kind, LISTS):
        return samples.match(fo.ViewField(labels_path(samples, name)).length() > 0).values("id")
    return samples.exists(name).values("id")


def classes(samples: Samples, name: str | None) -> list[str]:
    """The classes of a label field in the order of their numbers.

    Those that the dataset declares for the field, or by default; else those that occur in the whole dataset, sorted.

    Args:
        name: the label field; None for the classes by default
    """
    declared = (name and samples.classes.get(name)) or samples.default_classes
    if declared or name is None:
        return list(declared or [])
    return sorted(filter(None, sm.everything(sm.dataset_of(samples)).distinct(class_path(samples, name))))


def without_class(samples: Samples, name: str) -> fo.DatasetView:
    """The labels of a label field that have no class, and only the samples that hold one."""
    label = fo.ViewField("label")
    return samples.filter_labels(name, ~label.exists() | (label == ""))


def mask_key(samples: Samples, name: str) -> str | None:
    """Key of the file in a label with a mask or map: ``mask_path`` or ``map_path``; None where labels have none."""
    return next((key for key in samples._get_media_fields(whitelist=name).values() if key), None)


def mask_files(samples: Samples, name: str) -> list[str]:
    """The distinct files of masks and maps of a label field, sorted."""
    key = mask_key(samples, name)
    return sorted(samples.distinct(f"{labels_path(samples, name)}.{key}")) if key else []


def count_masks(samples: Samples, name: str) -> int:
    """How many masks or maps a label field holds, in files and in the database."""
    key, path = mask_key(samples, name), labels_path(samples, name)
    return samples.count(f"{path}.{key}") + samples.count(f"{path}.{key.removesuffix('_path')}") if key else 0


def portable_fields(samples: Samples, label_field: str | None) -> list[str]:
    """The fields that mean something in another dataset.

    Vectors stay, since they are large and quickly computed again, with the fields beside them; so do other label fields
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
    """Whether a field, or a key of a dataset's info, is a mark of OnlyOne's own datasets."""
    return name.startswith(_PRIVATE)


def annotated_fields(samples: Samples) -> list[str]:
    """The label fields without any confidence: what people drew, not what a model predicted."""
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
    """The number of labels of each sample in a label field."""
    if issubclass(label_type(samples, name), LISTS):
        return dict(
            zip(*samples.values(["id", fo.ViewField(labels_path(samples, name)).length()]), strict=True)
        )
    return dict.fromkeys(labelled(samples, name), 1)
