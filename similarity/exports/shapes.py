"""Shapes out of the files of COCO, CVAT and YOLO, by FiftyOne's parsers; no dataset is made of them.

Masks are decoded here: FiftyOne's parser of CVAT leaves them out, and that of COCO needs pycocotools for them.
"""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fiftyone.core.labels as fol
import fiftyone.core.utils as fou
import fiftyone.utils.coco as fouco
import fiftyone.utils.cvat as fouc
import numpy as np
import yaml
from skimage import draw

from ..data.labels import of_yolo_row, singles
from .annotated import Annotations, Picture, Unreadable, naming
from .formats import COCO, CVAT, YOLO

CLASS_LISTS = ("dataset.yaml", "data.yaml", "classes.txt", "obj.names")
_NO_LABELS = ("classes.txt", "train.txt", "val.txt", "valid.txt", "test.txt")
_NUMBERS = re.compile(r"[-+.e\d ]+")
_NOT_READ = ("ellipse", "cuboid", "skeleton")  # shapes of CVAT's


def coco(path: Path, single: type[fol.Label] | None) -> Annotations:
    """Read a JSON file of COCO's: outlines as polylines where these are asked for, else as masks."""
    _, *maps, images, objects = fouco.load_coco_detection_annotations(str(path))
    objects, pictures, left_out = objects or {}, [], Counter()
    for number, image in images.items():
        size, found = (image["width"], image["height"]), []
        for one in objects.pop(number, ()):
            one.iscrowd = one.iscrowd or None  # where it is 0, it says nothing
            outline = one.to_polyline(size, *maps) if single is fol.Polyline else None
            points = one.to_keypoints(size, *maps) if one.keypoints else None
            made = [
                label
                for label in (outline or _coco_object(one, size, maps, left_out), points)
                if label is not None
            ]
            left_out["objects without a box, since they have no place"] += not made
            found += made
        pictures.append(Picture(image["file_name"], found))
    left_out["objects of pictures that the file does not name"] = sum(map(len, objects.values()))
    return Annotations(path, COCO, pictures, left_out=left_out)


def _coco_object(
    one: fouco.COCOObject, size: tuple[int, int], maps: Sequence[Any], left_out: Counter[str]
) -> fol.Detection | None:
    label = one.to_detection(size, *maps)
    if label is not None and one.segmentation:
        mask = from_coco(one.segmentation, one.bbox, size)
        if mask.size:
            label.mask = mask
        else:
            left_out[
                "outlines outside of their picture or thinner than a pixel, of which the boxes are read"
            ] += 1
    return label


def cvat(path: Path) -> Annotations:
    """Read an XML file of CVAT's, "CVAT for images 1.1"."""
    told = fou.load_xml_as_json_dict(str(path))["annotations"] or {}
    pictures, left_out = [], Counter()
    for entry in _listed(told.get("image")):
        image = fouc.CVATImage.from_image_dict(entry)
        found = [one for label in image.to_labels().values() for one in singles(label)]
        found += [_cvat_mask(mask, image.width, image.height) for mask in _listed(entry.get("mask"))]
        pictures.append(Picture(image.name, found))
        left_out["rotations of boxes, which are read as if they were upright"] += sum(
            float(box.get("@rotation") or 0) != 0 for box in _listed(entry.get("box"))
        )
        left_out.update(
            {
                f"{shape}s, which FiftyOne has no labels for": len(_listed(entry.get(shape)))
                for shape in _NOT_READ
            }
        )
    return Annotations(path, CVAT, pictures, left_out=left_out)


def _cvat_mask(mask: dict[str, Any], width: int, height: int) -> fol.Detection:
    """Return an instance mask, which FiftyOne's parser leaves out: runs of 0 and 1 over its box, row by row."""
    left, top, w, h = (int(mask[f"@{name}"]) for name in ("left", "top", "width", "height"))
    runs = [int(run) for run in mask["@rle"].split(",")]
    box = [left / width, top / height, w / width, h / height]
    told = fouc.CVATImageTag.from_tag_dict(mask).to_classification()  # it reads name and attributes alike
    return fol.Detection(
        label=told.label, bounding_box=box, mask=_from_runs(runs, w, h), **dict(told.iter_attributes())
    )


def _listed(value: Any) -> list[Any]:
    """Return the elements of a name, which XML has several times, once or never, as a list."""
    return value if isinstance(value, list) else [] if value is None else [value]


def yolo(place: Path, single: type[fol.Label] | None, export: Path) -> Annotations:
    """Read the label files of YOLO's in a folder, or beside a file that names the classes."""
    folder = place if place.is_dir() else place.parent
    files = _label_files(folder)
    classes = _class_names(place, folder, export)
    outlined = sum(len(row) >= 7 for rows in files.values() for row in rows)
    polylines = single is fol.Polyline or (single is None and outlined > 0)
    kind = "polylines" if polylines else "detections"
    pictures = []
    for file, rows in files.items():
        with naming(file, YOLO):
            unknown = next((row[0] for row in rows if int(row[0]) not in classes), None)
            if unknown is not None:
                raise Unreadable(
                    f"{file}: class {unknown} has no name among {len(classes)} classes; put the tool's data.yaml or "
                    "classes.txt beside its labels folder"
                )
            found = [of_yolo_row(" ".join(row), classes, kind) for row in rows]
        pictures.append(Picture(str(file.relative_to(folder).with_suffix("")), found))
    lost = Counter({"outlines, of which the boxes are read": 0 if polylines else outlined})
    return Annotations(place, YOLO, pictures, left_out=lost)


def _rows(file: Path) -> list[list[str]]:
    return [line.split() for line in file.read_text("utf-8-sig").splitlines() if line.strip()]


def _label_files(folder: Path) -> dict[Path, list[list[str]]]:
    """Return the rows of the files of labels in a folder: those below a folder ``labels`` if there is one."""
    every = sorted(folder.rglob("*.txt"))
    some = [file for file in every if "labels" in file.relative_to(folder).parts] or every
    found = {file: _rows(file) for file in some}
    return {file: rows for file, rows in found.items() if file.name not in _NO_LABELS or _are_labels(rows)}


def _are_labels(rows: list[list[str]]) -> bool:
    """Return whether the rows are labels, of a picture that is called as a list of classes or pictures is."""
    return all(len(row) >= 5 and _NUMBERS.fullmatch(" ".join(row)) for row in rows)


def _class_names(place: Path, folder: Path, export: Path) -> dict[int, str]:
    """Return the names of the classes by their numbers: of the tool if it says, else of the export."""
    for file in [*([place] if place.is_file() else []), *class_lists(folder), *class_lists(export)]:
        with naming(file, YOLO):
            text = file.read_text("utf-8-sig")
            # Texts only: a class may be called 1 or no.
            listed = yaml.load(text, yaml.BaseLoader)["names"] if file.suffix in (".yaml", ".yml") else None
            names = text.splitlines() if listed is None else listed
            return {int(k): v for k, v in (names.items() if isinstance(names, dict) else enumerate(names))}
    return {}


def class_lists(folder: Path) -> list[Path]:
    """Return the files that may name classes: in a folder, and beside the folder ``labels`` that it is or lies in."""
    above = [folder.parents[depth] for depth, part in enumerate(reversed(folder.parts)) if part == "labels"]
    found = [where / name for where in (folder, *above[:1]) for name in CLASS_LISTS]
    return [file for file in found if file.is_file()]


def _from_runs(runs: Sequence[int], width: int, height: int) -> np.ndarray:
    """Return pixels from the lengths of runs of 0 and 1 in turn, row by row; ``(height, width)`` bool.

    Raises:
        ValueError: if they are not those of so many pixels
    """
    if sum(runs) != width * height:
        raise ValueError(f"a mask of {sum(runs):,} pixels, and its place has {width} x {height}")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)


def from_coco(segmentation: Any, box: Sequence[float], size: tuple[int, int]) -> np.ndarray:
    """Return pixels of a segmentation of COCO's within its box, ``(h, w)`` bool; none where it covers none of the picture.

    Args:
        segmentation: outlines, or runs over the whole picture, column by column
        box: left, top, width and height in pixels
        size: width and height of the picture
    """
    left, top = max(0, round(box[0])), max(0, round(box[1]))
    right, bottom = min(size[0], round(box[0] + box[2])), min(size[1], round(box[1] + box[3]))
    right, bottom = max(left, right), max(top, bottom)
    if isinstance(segmentation, dict):
        counts = segmentation["counts"]
        counts = _uncompressed(counts) if isinstance(counts, str) else counts
        return _from_runs(counts, size[1], size[0]).T[top:bottom, left:right]
    pixels = np.zeros((bottom - top, right - left), bool)
    for outline in segmentation:
        # scikit-image counts from the centre of the first pixel, COCO from its corner.
        rows, columns = np.subtract(outline[1::2], top + 0.5), np.subtract(outline[::2], left + 0.5)
        pixels[draw.polygon(rows, columns, pixels.shape)] = True
    return pixels


def _uncompressed(text: str) -> list[int]:
    """Return run lengths from COCO's text: five bits a character, the lowest first; from the fourth on, differences."""
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    return counts
