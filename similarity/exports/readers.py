"""Labels out of the files that annotation tools write, in whichever of the formats."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fiftyone.core.labels as fol
import fiftyone.core.odm as foo
import fiftyone.utils.data as foud

from ..data.files import absolute
from ..data.labels import place_media, singles
from . import shapes
from .annotated import Annotations, Picture, Unreadable, naming
from .formats import CLASS_FOLDERS, COCO, CVAT, FIFTYONE, TREE, YOLO
from .manifest import NAME as MANIFEST

_FILES = {COCO: "labels.json", CVAT: "labels.xml", FIFTYONE: "samples.json"}
_SUFFIXES = {".json": COCO, ".xml": CVAT, ".yaml": YOLO, ".yml": YOLO}


def read(
    export: Path,
    field: str,
    single: type[fol.Label] | None,
    labels_path: str | None = None,
    dataset_type: str | None = None,
) -> Annotations:
    """Read annotations.

    Args:
        export: the folder of the export
        field: the label field that FiftyOne's own format is read from, unless it has one only
        single: the type of one label, where a file can be read as several types; None for the file's own
        labels_path (None): the annotation tool's file or folder; by default the export itself
        dataset_type (None): its format; by default as recognised

    Raises:
        ValueError: if there are no annotations, or their format is not recognised
        Unreadable: if a file cannot be read in that format
    """
    place = absolute(labels_path) if labels_path else export
    if not place.exists():
        raise ValueError(f"There is no {place}: name the annotation tool's file or folder as labels_path")
    kind = dataset_type or _recognised(place)
    if place.is_dir() and kind in _FILES:
        place /= _FILES[kind]
    readers: dict[str, Callable[[], Annotations]] = {
        COCO: lambda: shapes.coco(place, single),
        YOLO: lambda: shapes.yolo(place, single, export),
        CVAT: lambda: shapes.cvat(place),
        FIFTYONE: lambda: _fiftyone(place, field),
        TREE: lambda: _tree(place),
    }
    with naming(place, kind):
        found = readers[kind]()
    if not found.pictures:
        raise Unreadable(f"{place} names no picture as {kind}: give another labels_path or dataset_type")
    return found


def stamp(export: Path, labels_path: str | None) -> frozenset[tuple[str, int, int]]:
    """Return names, sizes and times of all files that are read; empty where the export has no manifest."""
    place = absolute(labels_path) if labels_path else export
    if not (export / MANIFEST).is_file():
        return frozenset()
    folder = place if place.is_dir() or _SUFFIXES.get(place.suffix.lower()) != YOLO else place.parent
    found = {
        export / MANIFEST,
        *shapes.class_lists(export),
        place,
        *folder.rglob("*"),
        *shapes.class_lists(folder),
    }
    stats = {str(file): file.stat() for file in found if file.is_file()}
    return frozenset((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats.items())


def _recognised(place: Path) -> str:
    if place.is_file():
        found = [FIFTYONE] if place.name == _FILES[FIFTYONE] else [_SUFFIXES.get(place.suffix.lower())]
    else:
        found = [kind for kind, file in _FILES.items() if (place / file).is_file()]
        if any((place / file).is_file() for file in shapes.CLASS_LISTS) or next(place.rglob("*.txt"), None):
            found.append(YOLO)
        folders = {path.name for path in place.iterdir() if path.is_dir()}
        if not found and ((place / CLASS_FOLDERS).is_file() or folders - {"data"}):
            found.append(TREE)
    if len(found) != 1 or found[0] is None:
        several = f"it could be {' or '.join(map(str, found))}" if len(found) > 1 else "it is none of them"
        raise ValueError(
            f"The format of {place} is not recognised ({several}): name the annotation tool's file as labels_path, or give "
            f"dataset_type ({', '.join((*_FILES, YOLO, TREE))})"
        )
    return found[0]


def _tree(place: Path) -> Annotations:
    told = place / CLASS_FOLDERS
    classes = json.loads(told.read_text("utf-8")) if told.is_file() else {}
    with foud.ImageClassificationDirectoryTreeImporter(str(place)) as importer:
        pictures = [
            Picture(
                str(Path(path).relative_to(place)),
                [fol.Classification(label=classes.get(label.label, label.label))]
                if label is not None
                else None,
            )
            for path, _, label in importer
        ]
    return Annotations(place, TREE, pictures, fol.Classification)


def _fiftyone(path: Path, field: str) -> Annotations:
    documents = list(foo.import_collection(str(path), key="samples")[0])
    name = _label_field(documents, path, field)
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


def _label_field(documents: list[dict[str, Any]], path: Path, field: str) -> str:
    names = {name for document in documents for name, value in document.items() if _is_label(value)}
    if field in names or len(names) == 1:
        return field if field in names else names.pop()
    found = ", ".join(sorted(names)) or "none"
    raise Unreadable(f"{path} has no labels in a field {field!r} (label fields: {found})")


def _is_label(value: Any) -> bool:
    kind = getattr(fol, str(value.get("_cls")), None) if isinstance(value, dict) else None
    return isinstance(kind, type) and issubclass(kind, fol.Label)
