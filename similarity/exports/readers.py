"""Labels out of the files that annotation tools write, by FiftyOne's own parsers; no dataset is made of them."""

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fiftyone.core.labels as fol
import fiftyone.core.odm as foo
import fiftyone.core.utils as fou
import fiftyone.utils.coco as fouco
import fiftyone.utils.cvat as fouc
import fiftyone.utils.data as foud
import fiftyone.utils.yolo as fouy
import yaml

from ..data.labels import place_media, singles
from .formats import CLASS_FOLDERS, COCO, CVAT, FIFTYONE, TREE, YOLO
from .masks import from_coco, from_runs

_FILES = {COCO: "labels.json", CVAT: "labels.xml", FIFTYONE: "samples.json"}
_SUFFIXES = {".json": COCO, ".xml": CVAT, ".yaml": YOLO, ".yml": YOLO}
_CLASS_LISTS = ("dataset.yaml", "data.yaml", "classes.txt", "obj.names")
_NO_LABELS = ("classes.txt", "train.txt", "val.txt", "valid.txt", "test.txt")
_NOT_READ = ("ellipse", "cuboid", "skeleton")  # shapes of CVAT's


class Unreadable(ValueError):
    """A file that is not what it should be; the message names it."""


@dataclass(frozen=True)
class Picture:
    """What annotations say about one picture.

    Attributes:
        name: as they name it
        labels: its single labels, empty if it shows nothing; None if it is not annotated
        id: the sample's, where they know it
    """

    name: str
    labels: list[fol.Label] | None
    id: str | None = None


@dataclass(frozen=True)
class Annotations:
    """What was read.

    Attributes:
        source: the file or folder
        dataset_type: its format
        pictures: in the order of the file
        kind: the type of the labels, where the format or the file has one only
        left_out: how many labels were not read as they are, by the reason
    """

    source: Path
    dataset_type: str
    pictures: list[Picture]
    kind: type[fol.Label] | None = None
    left_out: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Wanted:
    """What is to be read.

    Attributes:
        export: the folder of the export
        field: the label field that FiftyOne's own format is read from, unless it has one only
        single: the type of one label, where a file can be read as several types; None for the file's own
    """

    export: Path
    field: str
    single: type[fol.Label] | None = None


def read(wanted: Wanted, labels_path: str | None = None, dataset_type: str | None = None) -> Annotations:
    """Read annotations.

    Args:
        wanted: what to read
        labels_path (None): the annotation tool's file or folder; by default the export itself
        dataset_type (None): its format; by default as recognised

    Raises:
        ValueError: if there are no annotations, or their format is not recognised
        Unreadable: if a file cannot be read in that format
    """
    place = Path(labels_path).expanduser() if labels_path else wanted.export
    if not place.exists():
        raise ValueError(f"There is no {place}: name the annotation tool's file or folder as labels_path")
    kind = dataset_type or _recognised(place)
    if place.is_dir() and kind in _FILES:
        place /= _FILES[kind]
    with _naming(place, kind):
        found = _READERS[kind](place, wanted)
    if not found.pictures:
        raise Unreadable(f"{place} names no picture as {kind}: give another labels_path or dataset_type")
    return found


def _recognised(place: Path) -> str:
    if place.is_file():
        found = [FIFTYONE] if place.name == _FILES[FIFTYONE] else [_SUFFIXES.get(place.suffix.lower())]
    else:
        found = [kind for kind, file in _FILES.items() if (place / file).is_file()]
        if any((place / file).is_file() for file in _CLASS_LISTS) or next(place.rglob("*.txt"), None):
            found.append(YOLO)
        folders = {path.name for path in place.iterdir() if path.is_dir()}
        if not found and folders - {"data"}:
            found.append(TREE)
    if len(found) != 1 or found[0] is None:
        several = f"it could be {' or '.join(map(str, found))}" if len(found) > 1 else "it is none of them"
        raise ValueError(
            f"The format of {place} is not recognised ({several}): name the annotation tool's file as labels_path, or give "
            f"dataset_type ({', '.join(_READERS)})"
        )
    return found[0]


@contextlib.contextmanager
def _naming(path: Path, kind: str) -> Iterator[None]:
    try:
        yield
    except Unreadable:
        raise
    except Exception as error:  # FiftyOne's parsers raise whatever a foreign file makes them stumble over
        raise Unreadable(f"{path} cannot be read as {kind} ({type(error).__name__}: {error})") from error


def _coco(path: Path, wanted: Wanted) -> Annotations:
    _, classes, supercategories, images, objects = fouco.load_coco_detection_annotations(str(path))
    objects, pictures, left_out = objects or {}, [], Counter()
    for number, image in images.items():
        size, found = (image["width"], image["height"]), []
        for one in objects.pop(number, ()):
            one.iscrowd = one.iscrowd or None  # where it is 0, it says nothing
            made = (
                [one.to_polyline(size, classes, supercategories)] if wanted.single is fol.Polyline else [None]
            )
            if made == [None]:
                made = [_coco_object(one, size, classes, supercategories)]
            if one.keypoints:
                made.append(one.to_keypoints(size, classes, supercategories))
            made = [label for label in made if label is not None]
            left_out["objects without a box, since they have no place"] += not made
            found += made
        pictures.append(Picture(image["file_name"], found))
    left_out["objects of pictures that the file does not name"] = sum(map(len, objects.values()))
    return Annotations(path, COCO, pictures, left_out=left_out)


def _coco_object(one: fouco.COCOObject, size: tuple[int, int], *maps: Any) -> fol.Detection | None:
    label = one.to_detection(size, *maps)
    if label is not None and one.segmentation:
        label.mask = from_coco(one.segmentation, one.bbox, size)
    return label


def _cvat(path: Path, wanted: Wanted) -> Annotations:
    told = fou.load_xml_as_json_dict(str(path))["annotations"] or {}
    pictures, left_out = [], Counter()
    for entry in _listed(told.get("image")):
        image = fouc.CVATImage.from_image_dict(entry)
        found = [one for label in image.to_labels().values() for one in singles(label)]
        found += [_cvat_mask(mask, image.width, image.height) for mask in _listed(entry.get("mask"))]
        pictures.append(Picture(image.name, found))
        left_out.update(
            {
                f"{shape}s, which FiftyOne has no labels for": len(_listed(entry.get(shape)))
                for shape in _NOT_READ
            }
        )
    return Annotations(path, CVAT, pictures, left_out=left_out)


def _cvat_mask(mask: dict[str, Any], width: int, height: int) -> fol.Detection:
    """An instance mask, which FiftyOne's parser of the file leaves out: runs of 0 and 1 over its box, row by row."""
    left, top, w, h = (int(mask[f"@{name}"]) for name in ("left", "top", "width", "height"))
    runs = [int(run) for run in mask["@rle"].split(",")]
    box = [left / width, top / height, w / width, h / height]
    told = fouc.CVATImageTag.from_tag_dict(mask).to_classification()  # it reads name and attributes alike
    return fol.Detection(
        label=told.label, bounding_box=box, mask=from_runs(runs, w, h), **dict(told.iter_attributes())
    )


def _listed(value: Any) -> list[Any]:
    """What XML has several times, once or never, as a list."""
    return value if isinstance(value, list) else [] if value is None else [value]


def _yolo(place: Path, wanted: Wanted) -> Annotations:
    folder = place if place.is_dir() else place.parent
    files = {file: _rows(file) for file in _label_files(folder)}
    classes = _class_names(place, folder, wanted.export)
    outlined = sum(len(row) >= 7 for rows in files.values() for row in rows)
    polylines = wanted.single is fol.Polyline or (wanted.single is None and outlined > 0)
    pictures = []
    for file, rows in files.items():
        with _naming(file, YOLO):
            unknown = next((row[0] for row in rows if int(row[0]) not in classes), None)
            if unknown is not None:
                raise Unreadable(
                    f"{file}: class {unknown} has no name among {len(classes)} classes; put the tool's data.yaml or "
                    "classes.txt beside its labels folder"
                )
            label = fouy.load_yolo_annotations(str(file), classes, "polylines" if polylines else "detections")
        pictures.append(Picture(str(file.relative_to(folder).with_suffix("")), singles(label)))
    lost = Counter({"outlines, of which the boxes are read": 0 if polylines else outlined})
    return Annotations(place, YOLO, pictures, left_out=lost)


def _rows(file: Path) -> list[list[str]]:
    return [line.split() for line in file.read_text("utf-8").splitlines() if line.strip()]


def _label_files(folder: Path) -> list[Path]:
    """The files of labels in a folder: those below a folder ``labels`` if there is one."""
    found = sorted(file for file in folder.rglob("*.txt") if file.name not in _NO_LABELS)
    return [file for file in found if "labels" in file.relative_to(folder).parts] or found


def _class_names(place: Path, folder: Path, export: Path) -> dict[int, str]:
    """The names of the classes by their numbers: of the tool if it says, else of the export."""
    above = [folder.parents[depth] for depth, part in enumerate(reversed(folder.parts)) if part == "labels"]
    named = [place] if place.is_file() else []
    for file in [*named, *(where / name for where in (folder, *above[:1], export) for name in _CLASS_LISTS)]:
        if not file.is_file():
            continue
        with _naming(file, YOLO):
            if file.suffix in (".yaml", ".yml"):
                names = yaml.safe_load(file.read_text("utf-8"))["names"]
            else:
                names = file.read_text("utf-8").splitlines()
            return dict(names if isinstance(names, dict) else enumerate(names))
    return {}


def _tree(place: Path, wanted: Wanted) -> Annotations:
    told = place / CLASS_FOLDERS
    classes = json.loads(told.read_text("utf-8")) if told.is_file() else {}
    with foud.ImageClassificationDirectoryTreeImporter(str(place)) as importer:
        pictures = [
            Picture(
                str(Path(path).relative_to(place)),
                [fol.Classification(label=classes.get(label.label, label.label))] if label else None,
            )
            for path, _, label in importer
        ]
    return Annotations(place, TREE, pictures, fol.Classification)


def _fiftyone(path: Path, wanted: Wanted) -> Annotations:
    documents = list(foo.import_collection(str(path), key="samples")[0])
    name = _label_field(documents, path, wanted)
    pictures, kinds = [], set()
    for document in documents:
        label = fol.Label.from_dict(document[name]) if document.get(name) else None
        if label is not None:
            kinds.add(type(label))
            for one in singles(label):
                place_media(one, path.parent)
        found = None if label is None else singles(label)
        pictures.append(Picture(document["filepath"], found, str(document["_id"])))
    return Annotations(path, FIFTYONE, pictures, kinds.pop() if len(kinds) == 1 else None)


def _label_field(documents: list[dict[str, Any]], path: Path, wanted: Wanted) -> str:
    names = {name for document in documents for name, value in document.items() if _is_label(value)}
    if wanted.field in names or len(names) == 1:
        return wanted.field if wanted.field in names else names.pop()
    found = ", ".join(sorted(names)) or "none"
    raise Unreadable(f"{path} has no labels in a field {wanted.field!r} (label fields: {found})")


def _is_label(value: Any) -> bool:
    kind = getattr(fol, str(value.get("_cls")), None) if isinstance(value, dict) else None
    return isinstance(kind, type) and issubclass(kind, fol.Label)


_READERS: dict[str, Callable[[Path, Wanted], Annotations]] = {
    COCO: _coco,
    YOLO: _yolo,
    CVAT: _cvat,
    FIFTYONE: _fiftyone,
    TREE: _tree,
}
