"""The pictures to measure with, and the sets that are made of them."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

EASY = ("original", "distinct", "nonphoto", "exact_copy", "format", "near", "frame_static")
"""Kinds of pictures that a deduplication should find; the others are reported apart."""

CHANGED = (
    "exact_copy",
    "format",
    "near",
    "frame_static",
    "frame_moving",
    "colour_mode",
    "crop",
    "geometric",
    "same_object",
)
"""Kinds that are another picture changed, from the easiest to find to what need not be."""


@dataclass(frozen=True)
class Picture:
    """A row of ``labels.csv``: pictures of one group show the same; those of different groups never do."""

    path: str
    group: str
    kind: str


@dataclass(frozen=True)
class PictureSet:
    """Pictures that are deduplicated together.

    Attributes:
        name: lower-case, for file names
        title: for people
        about: what is in it, and what should come out
        holds: whether a picture belongs to it
    """

    name: str
    title: str
    about: str
    holds: Callable[[Picture], bool]


def read_labels(data: Path) -> list[Picture]:
    """Read the pictures of a data folder; those that are damaged on purpose have no group and are left out.

    Raises:
        FileNotFoundError: if it has no ``labels.csv``
    """
    with (data / "labels.csv").open(newline="", encoding="utf-8") as table:
        rows = [Picture(row["path"], row["group"], row["kind"]) for row in csv.DictReader(table)]
    return [row for row in rows if row.group]


def _in(*folders: str, kinds: tuple[str, ...] = (), without: str | None = None) -> Callable[[Picture], bool]:
    def holds(picture: Picture) -> bool:
        inside = picture.path.startswith(folders) and not (without and without in picture.path)
        return inside and (not kinds or picture.kind in kinds)

    return holds


def _any(*tests: Callable[[Picture], bool]) -> Callable[[Picture], bool]:
    return lambda picture: any(test(picture) for test in tests)


_SCENES = _in("same_scene/", kinds=("near",))

SETS = (
    PictureSet(
        "caltech",
        "Caltech, resized",
        "the set of fast-near-duplicate-image-search: 17 pictures at several sizes; 17 should stay",
        _in("peer_suite/fast_near_dup/"),
    ),
    PictureSet(
        "peers",
        "Peers' test pictures",
        "what other deduplication tools test themselves with, a few of everything: formats, crops, flips, plain colours",
        _in("peer_suite/", without="fast_near_dup"),
    ),
    PictureSet(
        "photos", "Distinct photos", "nothing may be dropped; 40 are motorway cameras", _in("photos/")
    ),
    PictureSet(
        "scenes", "Bracketed scenes", "exposure brackets, focus stacks and HDR pairs of 7 scenes", _SCENES
    ),
    PictureSet(
        "scenes_photos",
        "Bracketed scenes among photos",
        "a few near-duplicates among many distinct photos",
        _any(_SCENES, _in("photos/")),
    ),
    PictureSet("cameras", "Camera sequences", "six fixed cameras and one that moves", _in("sequences/")),
    PictureSet(
        "cameras_photos", "Camera sequences among photos", "both together", _in("sequences/", "photos/")
    ),
    PictureSet(
        "everything", "Everything", "all pictures at once, one place seen from elsewhere too", lambda _: True
    ),
)
