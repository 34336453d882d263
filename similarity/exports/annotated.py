"""Annotations of pictures, in whichever format a file has them."""

import contextlib
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import fiftyone.core.labels as fol


class Unreadable(ValueError):
    """A file that cannot be read in its format; the message names it."""


@dataclass(frozen=True)
class Picture:
    """The annotations of one picture.

    Attributes:
        name: as they name it
        labels: its single labels, empty if it shows nothing; None if it is not annotated
        id: the sample's, where they know it

    Raises:
        ValueError: if the name is no text, or a box is not made of numbers
    """

    name: str
    labels: list[fol.Label] | None
    id: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise ValueError(f"a picture has the name {self.name!r}, which is no text")
        for one in self.labels or ():
            if isinstance(one, fol.Detection) and not all(map(math.isfinite, one.bounding_box or ())):
                raise ValueError(f"a box of {self.name!r} is {one.bounding_box}, which are no numbers")


@dataclass(frozen=True)
class Annotations:
    """The annotations that were read.

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


@contextlib.contextmanager
def naming(path: Path, kind: str) -> Iterator[None]:
    """Raise whatever is raised as :class:`Unreadable`, with the file's name and the format."""
    try:
        yield
    except Unreadable:
        raise
    except Exception as error:  # FiftyOne's parsers raise whatever a foreign file makes them stumble over
        raise Unreadable(f"{path} cannot be read as {kind} ({type(error).__name__}: {error})") from error
