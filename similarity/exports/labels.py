"""The labels of an export, written by FiftyOne's exporters beside pictures that are there already.

The exporters are fed sample by sample, with the path that a picture has in the export. So nothing of a dataset is
copied, unlabelled pictures are no exception, and names are those of the manifest.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.core.labels as fol
import fiftyone.utils.coco as fouco
import fiftyone.utils.data as foud
import fiftyone.utils.yolo as fouy
import yaml

from ..data import labels
from ..handover_options import ExportOptions
from ..progress import Progress
from .cvat import CVATExporter
from .formats import (
    CLASS_FOLDERS,
    CSV,
    CVAT,
    FIFTYONE,
    PICTURES,
    TREE,
    YOLO,
    YOLO_DATA,
    Content,
    picture_folder,
)
from .manifest import write_csv, write_json
from .media import NONE


def write_labels(content: Content, folder: Path, options: ExportOptions, progress: Progress) -> None:
    """Write everything of the format but the pictures and masks, which are in the folder already."""
    write = {FIFTYONE: _write_fiftyone, CSV: _write_csv}.get(options.dataset_type, _write_shapes)
    if content.folders:
        write_json(content.folders, folder / CLASS_FOLDERS)
    if options.dataset_type not in (PICTURES, TREE):
        write(content, folder, options, progress)


def _write_shapes(content: Content, folder: Path, options: ExportOptions, progress: Progress) -> None:
    """Give an exporter each sample's picture in the export, its labels, and its size where that is asked for."""
    exporter = _exporter(content, folder, options)
    wanted = dict(content.pictures)
    with exporter:
        exporter.log_collection(content.kept)
        for sample in content.kept.select_fields(options.label_field).sort_by("id").iter_samples():
            file = wanted.pop(sample.id, None)
            if file is None:
                continue
            progress("Writing the labels", len(content.pictures) - len(wanted), len(content.pictures))
            label = sample[options.label_field] if options.label_field else None
            path = sample.filepath if options.media == NONE else str(folder / file)
            metadata = _metadata(sample) if exporter.requires_image_metadata else None
            exporter.export_sample(path, label if options.dataset_type == CVAT else _as_list(label), metadata)
    if options.dataset_type == YOLO and options.media != NONE:
        # Relative to itself: FiftyOne would write the place, which is going to change.
        described = {"names": dict(enumerate(content.classes)) or [], "val": YOLO_DATA}
        (folder / "dataset.yaml").write_text(yaml.safe_dump(described, allow_unicode=True), encoding="utf-8")


def _exporter(content: Content, folder: Path, options: ExportOptions) -> foud.LabeledImageDatasetExporter:
    root = None if options.media == NONE else str(folder / picture_folder(options))
    if options.dataset_type == CVAT:
        name = f"{content.kept.dataset_name}-{options.run_key}-kept"
        return CVATExporter(folder / "labels.xml", name, root)
    shared = {"export_dir": str(folder), "export_media": False, "rel_dir": root, "classes": content.classes}
    if options.dataset_type == YOLO:
        return fouy.YOLOv5DatasetExporter(**shared)
    return fouco.COCODetectionDatasetExporter(abs_paths=root is None, **shared)


def _metadata(sample: fo.Sample) -> fo.ImageMetadata:
    known = sample.metadata
    if known is None or not (known.width and known.height):
        return fo.ImageMetadata.build_for(sample.filepath)
    return known


def _as_list(label: fol.Label | None) -> fol.Label:
    """Return a label as the list that exporters of shapes take; a class is a box around the whole picture."""
    if isinstance(label, fol.Classification):
        others = dict(label.iter_attributes())
        label = fol.Detection(
            label=label.label, bounding_box=[0, 0, 1, 1], confidence=label.confidence, **others
        )
    return fol.Detections() if label is None else labels.as_list(label)


def _write_csv(content: Content, folder: Path, options: ExportOptions, progress: Progress) -> None:
    """Write a line for each sample; FiftyOne's exporter takes the pictures' names from the samples."""
    progress("Writing the labels", 0, 1)
    header, paths = ["id", "filepath"], ["id", "filepath"]
    if options.label_field is not None:
        header.append(options.label_field)
        paths.append(labels.class_path(content.kept, options.label_field))
    wanted, lines = dict(content.pictures), []
    for sample_id, path, *found in zip(*content.kept.sort_by("id").values(paths), strict=True):
        file = wanted.pop(sample_id, None)
        if file is not None:
            lines.append([sample_id, path if options.media == NONE else Path(file).name, *map(_cell, found)])
    write_csv(folder / "labels.csv", header, lines)


def _cell(value: Any) -> Any:
    """Return a value as text: several with commas in between, or as JSON where one of them has a comma itself."""
    if not isinstance(value, list):
        return value
    texts = list(map(str, value))
    return json.dumps(texts, ensure_ascii=False) if any("," in text for text in texts) else ",".join(texts)


def _write_fiftyone(content: Content, folder: Path, options: ExportOptions, progress: Progress) -> None:
    """Write FiftyOne's own format with its exporter, then name the pictures and masks as they are in the folder."""
    kept = content.kept
    fields = labels.portable_fields(kept, options.label_field)
    with foud.FiftyOneDatasetExporter(str(folder), export_media=False) as exporter:
        exporter.export_samples(
            kept.select_fields(fields).sort_by("id"),
            progress=lambda bar: progress("Writing the labels", bar.iteration, bar.total or 0),
        )
    (folder / "frames.json").unlink(missing_ok=True)  # of other slices of a grouped dataset
    left_out = set(kept.get_field_schema()) - set(fields)
    _edit(folder / "samples.json", lambda told: _place_samples(told, content, left_out, options))
    _edit(folder / "metadata.json", lambda told: _make_portable(told, left_out))


def _edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    told = json.loads(path.read_text("utf-8"))
    change(told)
    path.write_text(json.dumps(told), "utf-8")


def _place_samples(
    told: dict[str, Any], content: Content, left_out: set[str], options: ExportOptions
) -> None:
    wanted, found = dict(content.pictures), []
    for document in told["samples"]:
        file = wanted.pop(document["_id"]["$oid"], None)
        if file is None:
            continue
        if options.media != NONE:
            document["filepath"] = file
        found.append({name: value for name, value in document.items() if name not in left_out})
    told["samples"] = found
    if not content.masks:
        return
    key = labels.mask_key(content.kept, options.label_field)
    for label in _labels(found, labels.labels_path(content.kept, options.label_field)):
        if label.get(key):
            label[key] = content.masks[label[key]]


def _labels(documents: Iterable[Any], path: str) -> Iterator[dict[str, Any]]:
    """Yield the single labels at a path of raw documents."""
    for document in documents:
        for name in path.split("."):
            document = (document or {}).get(name)
        yield from document if isinstance(document, list) else [document] if document else []


def _make_portable(told: dict[str, Any], left_out: set[str]) -> None:
    """Keep the person's words, classes and colors; drop fields and slices that are not exported, and private marks."""
    told["sample_fields"] = [field for field in told["sample_fields"] if field["name"] not in left_out]
    for group in (told.get("app_config") or {}).get("sidebar_groups") or []:
        group["paths"] = [path for path in group["paths"] if path.split(".")[0] not in left_out]
    told["info"] = {name: value for name, value in told["info"].items() if not labels.is_private(name)}
    told |= {"media_type": "image", "group_field": None, "group_media_types": {}, "default_group_slice": None}
    told["frame_fields"] = []
