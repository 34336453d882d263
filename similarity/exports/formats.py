"""The formats of an export: where its pictures go, and its labels, written by FiftyOne's own exporters.

The exporters read a temporary dataset, which differs from the person's in three ways: its samples are the pictures that
were written, it has no fields but those to be exported, and it has an empty label where a sample has none, because
COCO and YOLOv5 refuse what is unlabelled, or leave it out.
"""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import fiftyone as fo
import fiftyone.core.fields as fof
import fiftyone.core.groups as fog
import fiftyone.core.labels as fol
import fiftyone.utils.data as foud
import yaml

from ..data import samples as sm
from ..data.vectors import vector_fields
from ..options import ExportOptions
from ..progress import Report
from .cvat import write_cvat
from .manifest import Row
from .media import NONE, UniqueNames

COCO, YOLO, CVAT = "COCODetectionDataset", "YOLOv5Dataset", "CVATImageDataset"
CSV, FIFTYONE = "CSVDataset", "FiftyOneDataset"
PICTURES, TREE = "ImageDirectory", "ImageClassificationDirectoryTree"

_DATA = {YOLO: "images/val"}
_UNLABELLED = "_unlabeled"  # where FiftyOne's importer expects what has no class
_EMPTY = "onlyone_empty"
_TEMPORARY = "OnlyOne's temporary copy, for an export"

_SINGLE = (fol.Classification, fol.Detection, fol.Polyline, fol.Keypoint)
_HOLDS = {
    COCO: (
        fol.Classification,
        fol.Detection,
        fol.Detections,
        fol.Polyline,
        fol.Polylines,
        fol.Keypoint,
        fol.Keypoints,
    ),
    YOLO: (fol.Classification, fol.Detection, fol.Detections, fol.Polyline, fol.Polylines),
    CVAT: (*_SINGLE, fol.Classifications, fol.Detections, fol.Polylines, fol.Keypoints),
    CSV: (*_SINGLE, fol.Regression, fol._HasLabelList),
    FIFTYONE: (fol.Label,),
    TREE: (fol.Classification,),
    PICTURES: (),
}

Samples = fo.core.collections.SampleCollection


def check_labels(samples: Samples, options: ExportOptions) -> None:
    """Refuse a label field that is missing, or that the format cannot hold.

    Raises:
        ValueError: naming the label fields that there are, or the formats that would do
    """
    name, wanted = options.label_field, options.dataset_type
    if name is None:
        return
    kind = _label_type(samples, name)
    if kind is None:
        known = ", ".join(samples.get_field_schema(embedded_doc_type=fol.Label)) or "none"
        raise ValueError(
            f"label_field: {name!r} is not a label field of these samples (label fields: {known})"
        )
    if not issubclass(kind, _HOLDS[wanted]):
        able = ", ".join(other for other, kinds in _HOLDS.items() if issubclass(kind, kinds))
        raise ValueError(
            f"{wanted} cannot hold the {kind.__name__} labels of {name!r}: choose {able}, or export without labels"
        )


def _label_type(samples: Samples, name: str) -> type[fol.Label] | None:
    kind = getattr(samples.get_field(name), "document_type", None)
    return kind if kind is not None and issubclass(kind, fol.Label) else None


def reads_pictures(options: ExportOptions) -> bool:
    """Whether the labels cannot be written without the pictures, because they are measured in pixels."""
    return options.media != NONE or options.dataset_type in (COCO, CVAT)


def file_names(samples: Samples, rows: Sequence[Row], options: ExportOptions) -> dict[str, str]:
    """Where each row's picture goes: ``{sample id: path relative to the export}``, with forward slashes."""
    folders = _class_folders(samples, options) if options.dataset_type == TREE else {}
    common = _DATA.get(options.dataset_type, _UNLABELLED if options.dataset_type == TREE else "data")
    names: dict[str, UniqueNames] = {}
    files = {}
    for row in rows:
        folder = folders.get(row.id, common)
        name = names.setdefault(folder, UniqueNames()).name(Path(row.filepath).name)
        files[row.id] = str(PurePosixPath(folder, name))
    return files


def _class_folders(samples: Samples, options: ExportOptions) -> dict[str, str]:
    if options.label_field is None:
        return {}
    ids, labels = sm.read(samples, f"{options.label_field}.label")
    names = UniqueNames(folders=True)
    folders = {
        label: names.name(_folder_name(label)) for label in sorted({label for label in labels if label})
    }
    return {sample_id: folders[label] for sample_id, label in zip(ids, labels, strict=True) if label}


def _folder_name(label: str) -> str:
    """A label as the name of a folder that is neither hidden nor elsewhere."""
    plain = label.replace("/", "_").replace("\\", "_").replace("\0", "_")
    return f"_{plain}" if plain.startswith(".") else plain


def write_labels(
    samples: Samples, files: dict[str, str], folder: Path, name: str, options: ExportOptions, report: Report
) -> None:
    """Write everything of the format but the pictures.

    Args:
        samples: what is exported; not modified
        files: where the pictures are, as :func:`file_names` gives it
        folder: the export; the pictures are there already, unless the options leave them out
        name: of the temporary dataset; CVAT's file shows it
    """
    if options.dataset_type in (PICTURES, TREE):
        return
    with _temporary(samples, name, options) as copy:
        root = None
        if options.media != NONE:
            root = str(folder / _DATA.get(options.dataset_type, "data"))
            paths = {sample_id: str(folder / file) for sample_id, file in files.items()}
            copy.set_values("filepath", paths, key_field="id", progress=False)
        if options.dataset_type == CVAT:
            labels = folder / "labels.xml"
            write_cvat(copy.sort_by("id"), options.label_field, labels, name=name, root=root, report=report)
        else:
            _export(copy, folder, root, options, report)


def _export(copy: fo.Dataset, folder: Path, root: str | None, options: ExportOptions, report: Report) -> None:
    """Call FiftyOne's exporter; ``foud.export_samples`` rather than ``copy.export``, which warns of the folder."""
    wanted, label_field = options.dataset_type, options.label_field or _EMPTY
    extra: dict[str, Any] = {"rel_dir": root}
    if wanted == FIFTYONE:
        extra["rel_dir"] = str(folder) if root else None
    elif wanted == YOLO:
        extra["classes"] = sorted(copy.distinct(_label_path(copy, label_field)))
        _write_yaml(folder, extra["classes"], options)
    else:
        extra["abs_paths"] = root is None
    if wanted == CSV:
        extra["fields"] = _csv_columns(copy, options.label_field)
    foud.export_samples(
        copy.sort_by("id"),
        export_dir=str(folder),
        dataset_type=getattr(fo.types, wanted),
        export_media=False,
        label_field=label_field,
        progress=lambda bar: report("Writing the labels", bar.iteration, bar.total or 0),
        **extra,
    )


@contextlib.contextmanager
def _temporary(samples: Samples, name: str, options: ExportOptions) -> Iterator[fo.Dataset]:
    """A copy of the samples with the fields to be exported, deleted at the end."""
    copy = _new_dataset(name)
    try:
        copy.add_collection(samples.select_fields(_fields(samples, options)), progress=False)
        _fill_unlabelled(copy, options)
        yield copy
    finally:
        copy.delete()


def _new_dataset(name: str) -> fo.Dataset:
    """A dataset that the database forgets when it stops; the left-over one of a killed process makes way."""
    if fo.dataset_exists(name):
        old = fo.load_dataset(name)
        if old.description == _TEMPORARY:
            old.delete()
        else:
            return _new_dataset(f"{name}-2")
    made = fo.Dataset(name)
    made.description = _TEMPORARY
    return made


def _fields(samples: Samples, options: ExportOptions) -> list[str]:
    if options.dataset_type != FIFTYONE:
        return [options.label_field] if options.label_field else []
    vectors = set(vector_fields(samples))  # large, and quickly computed again
    return [
        name
        for name in samples.get_field_schema()
        if name == options.label_field or (name not in vectors and not _is_label_or_group(samples, name))
    ]


def _is_label_or_group(samples: Samples, name: str) -> bool:
    field = samples.get_field(name)
    return isinstance(field, fof.EmbeddedDocumentField) and issubclass(
        field.document_type, fol.Label | fog.Group
    )


def _fill_unlabelled(copy: fo.Dataset, options: ExportOptions) -> None:
    if options.dataset_type not in (COCO, YOLO):
        return
    name = options.label_field or _EMPTY
    if name == _EMPTY:
        copy.add_sample_field(name, fof.EmbeddedDocumentField, embedded_doc_type=fol.Detections)
    kind = _label_type(copy, name)
    if issubclass(kind, fol._HasLabelList):
        unlabelled = copy.exists(name, False).values("id")
        copy.set_values(name, {i: kind() for i in unlabelled}, key_field="id", progress=False)


def _csv_columns(copy: fo.Dataset, label_field: str | None) -> dict[str, str]:
    columns = {"id": "id", "filepath": "filepath"}
    if label_field is not None:
        columns[_label_path(copy, label_field)] = label_field
    return columns


def _label_path(copy: fo.Dataset, label_field: str) -> str:
    kind = _label_type(copy, label_field)
    if issubclass(kind, fol.Regression):
        return f"{label_field}.value"
    path = f"{label_field}.{kind._LABEL_LIST_FIELD}" if issubclass(kind, fol._HasLabelList) else label_field
    return f"{path}.label"


def _write_yaml(folder: Path, classes: Sequence[str], options: ExportOptions) -> None:
    """YOLO's description of the dataset, relative to itself: FiftyOne would write the place, which is going to change."""
    if options.media == NONE:
        return
    described = {"names": dict(enumerate(classes)) or [], "val": _DATA[YOLO]}
    (folder / "dataset.yaml").write_text(yaml.safe_dump(described, allow_unicode=True), encoding="utf-8")
