"""The formats of an export: the labels that each can hold, and the names of its files."""

import contextlib
import mimetypes
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import fiftyone.core.labels as fol
from PIL import Image

from ..data import labels
from ..data import samples as sm
from ..handover_options import ExportOptions
from ..result import count
from . import cvat
from .manifest import Row
from .media import NONE, UniqueNames

COCO, YOLO, CVAT = "COCODetectionDataset", "YOLOv5Dataset", "CVATImageDataset"
CSV, FIFTYONE = "CSVDataset", "FiftyOneDataset"
PICTURES, TREE = "ImageDirectory", "ImageClassificationDirectoryTree"

YOLO_DATA = "images/val"
CLASS_FOLDERS = "classes.json"
"""Where an export with a folder for each class says which class a folder is of: a class may be no name of a folder."""
_UNLABELLED = "_unlabeled"  # where FiftyOne's importer expects pictures of no class

_SINGLE = (fol.Classification, fol.Detection, fol.Polyline, fol.Keypoint)
_SHAPES = (*_SINGLE[1:], fol.Detections, fol.Polylines, fol.Keypoints)
_HOLDS = {
    COCO: (fol.Classification, *_SHAPES),
    YOLO: (fol.Classification, fol.Detection, fol.Detections, fol.Polyline, fol.Polylines),
    CVAT: (fol.Classification, fol.Classifications, *_SHAPES),
    CSV: (*_SINGLE, fol.Regression, labels.LISTS),
    FIFTYONE: (fol.Label,),
    TREE: (fol.Classification,),
    PICTURES: (),
}


@dataclass(frozen=True)
class Content:
    """The content of an export, known before anything is written.

    Attributes:
        kept: the samples that are exported, and perhaps others; not modified
        pictures: where each picture is in the export, or would be: ``{sample id: path}``, relative, with forward slashes.
            Only these samples are exported
        masks: where the files of masks and maps are in the export, likewise: ``{file: path}``
        read: further files that the export reads
        classes: the classes that the format numbers, in the order of their numbers
        folders: where classes are folders: ``{folder: class}``
        masks_lost: how many masks are left out, since the format holds only the boxes around them
    """

    kept: sm.Samples
    pictures: dict[str, str]
    masks: dict[str, str]
    read: list[str]
    classes: list[str]
    folders: dict[str, str]
    masks_lost: int


def picture_folder(options: ExportOptions) -> str:
    """Return the folder of the pictures, relative to the export; of those without a class where classes are folders."""
    return {YOLO: YOLO_DATA, TREE: _UNLABELLED}.get(options.dataset_type, "data")


def content(kept: sm.Samples, rows: Sequence[Row], options: ExportOptions) -> Content:
    """Find the content of an export.

    Args:
        kept: the samples that are exported, and perhaps others, as :func:`check` lets them pass
        rows: one for each sample that is exported

    Raises:
        ValueError: if the format cannot name a picture
    """
    field, wanted = options.label_field, options.dataset_type
    files = labels.mask_files(kept, field) if field is not None else []
    copied = wanted == FIFTYONE and options.media != NONE
    measured = wanted in (COCO, CVAT) and options.media == NONE
    labelled = _classes_of(kept, field) if wanted == TREE and field is not None else {}
    folders = _class_folders(set(labelled.values()))
    return Content(
        kept=kept,
        pictures=_picture_names(rows, {i: folders[label] for i, label in labelled.items()}, options),
        masks=_mask_names(kept, files, field) if copied and files else {},
        read=[row.filepath for row in rows if measured] + (files if wanted == COCO else []),
        classes=_class_list(kept, options),
        folders={folder: label for label, folder in folders.items()},
        masks_lost=labels.count_masks(kept, field) if field is not None and wanted in (YOLO, CVAT) else 0,
    )


def check(kept: sm.Samples, options: ExportOptions) -> None:
    """Refuse labels that the format cannot hold, before a file is looked at.

    Raises:
        ValueError: names the label fields, formats or classes that would do
    """
    if options.label_field is not None:
        _check_field(kept, options.label_field, options.dataset_type)
    _class_list(kept, options)


def _check_field(samples: sm.Samples, name: str, wanted: str) -> None:
    """Refuse a label field that is missing, or that the format cannot hold."""
    kind = labels.label_type(samples, name)
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


def _class_list(kept: sm.Samples, options: ExportOptions) -> list[str]:
    """Return the classes of a format that numbers them, in the order of their numbers; empty for other formats.

    Raises:
        ValueError: if a label that is exported has no class, or one that has no number
    """
    name, wanted = options.label_field, options.dataset_type
    if name is not None and wanted in (COCO, YOLO, CVAT, CSV):
        _check_classes_given(kept, name, wanted)
    if wanted not in (COCO, YOLO):
        return []
    names = list(options.classes or labels.classes(kept, name))
    twice = [each for each, times in Counter(names).items() if times > 1]
    if twice:
        raise ValueError(f"classes: {twice[0]!r} has two numbers: name each class once, in this option")
    found = kept.distinct(labels.class_path(kept, name)) if name is not None else []
    unknown = sorted(set(found) - set(names))
    if unknown:
        raise ValueError(
            f"{count(len(unknown), 'class', 'classes')} of {name!r} would be lost, e.g. {unknown[0]!r}: the classes are "
            f"{', '.join(names)}. Name all of them in the option classes, or in the dataset's classes[{name!r}]"
        )
    return names


def _check_classes_given(kept: sm.Samples, name: str, wanted: str) -> None:
    if issubclass(labels.label_type(kept, name), fol.Regression):
        return
    found = labels.without_class(kept, name)
    number = found.count(labels.labels_path(kept, name))
    if number:
        raise ValueError(
            f"{count(number, 'label')} of {name!r} in {count(len(found), 'kept sample')} (e.g. {found.first().filepath}) "
            f"{'has' if number == 1 else 'have'} no class, and {wanted} cannot hold such labels: give them one, choose "
            f"{FIFTYONE}, or leave label_field empty"
        )


def _picture_names(rows: Sequence[Row], folders: Mapping[str, str], options: ExportOptions) -> dict[str, str]:
    """Return each picture's place; no two names are alike, also in two folders: annotators move pictures between folders."""
    common, names, files = picture_folder(options), UniqueNames(), {}
    for row in rows:
        extension = "" if options.media == NONE else _extension(row.filepath)
        name = names.name(Path(row.filepath).name + extension)
        if options.media == NONE and not _can_name(row.filepath, name, options):
            raise ValueError(
                f"{options.dataset_type} cannot name {row.filepath!r} where it is: choose copy or symlink as media"
            )
        files[row.id] = f"{folders.get(row.id, common)}/{name}"
    return files


def _can_name(path: str, name: str, options: ExportOptions) -> bool:
    """Return whether the format can name a picture: CVAT by its path, in XML; YOLO by its file, which names its labels.

    All but FiftyOne's own know pictures by the extension.
    """
    if not Path(path).suffix and options.dataset_type in (COCO, YOLO, CVAT, CSV):
        return False
    if options.dataset_type == CVAT:
        return cvat.is_xml(path)
    return options.dataset_type != YOLO or options.label_field is None or Path(path).name == name


def _extension(path: str) -> str:
    """Return the extension that a picture's file name lacks, by which importers know pictures; else nothing.

    Raises:
        ValueError: if its format is not known
    """
    if Path(path).suffix or not Path(path).exists():  # missing files are listed later, all together
        return ""
    with contextlib.suppress(OSError, Image.DecompressionBombError), Image.open(path) as picture:
        return mimetypes.guess_extension(picture.get_format_mimetype() or "") or f".{picture.format.lower()}"
    raise ValueError(
        f"{path} has no extension, and its format is not known: give the file one, or take its sample out of the view"
    )


def _classes_of(kept: sm.Samples, field: str) -> dict[str, str]:
    """Return the class of each sample that has one."""
    ids, found = sm.read(kept, f"{field}.label")
    return {sample_id: label for sample_id, label in zip(ids, found, strict=True) if label}


def _class_folders(classes: Collection[str]) -> dict[str, str]:
    """Return the classes' folders, by names that are not elsewhere, nor that of pictures without a class."""
    names = UniqueNames(folders=True)
    names.name(_UNLABELLED)
    return {label: names.name(re.sub(r"[/\\]", "_", label)) for label in sorted(classes)}


def _mask_names(kept: sm.Samples, files: Sequence[str], field: str) -> dict[str, str]:
    """Return the places of masks: in the folder that FiftyOne's importer reads for the field."""
    folder, names = f"fields/{labels.labels_path(kept, field)}", UniqueNames()
    return {file: f"{folder}/{names.name(Path(file).name)}" for file in files}
