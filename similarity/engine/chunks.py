"""Embedding as a task: files read and embedded together, in this process or in another one."""

import importlib.metadata
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from . import images, vgg16
from .distant import Recipe
from .images import Picture
from .weights import Weights

Source = str | bytes | dict[str, Any]
"""A file, its bytes, or the fields of a picture that could not be read."""


@dataclass(frozen=True)
class Network:
    """A network as the only block of a run, built again in each process that needs it."""

    told: dict[str, str]
    arrays: Weights
    batch_size: int

    def recipe(self, _: int) -> Recipe:
        """Return how to build it."""
        return Recipe(_network, (self.told, self.arrays, self.batch_size))


def _network(told: dict[str, str], arrays: Weights, batch_size: int) -> vgg16.Vgg16:
    return vgg16.Vgg16(batch_size=batch_size, ready=(told, arrays))


def embed(
    model: vgg16.Vgg16,
    _: None,
    number: int,
    sources: Sequence[Source],
    known: Sequence[str | None],
    max_pixels: int,
    postpone: bool,
) -> tuple[Any, ...]:
    """Task: read files and embed them.

    Args:
        known: the digest of each sample's embedded file; a file with an equal digest is not embedded again
        max_pixels, postpone: as for :func:`~similarity.engine.images.read_many`

    Returns:
        the number, the name of this machine, the probe of the network here, and the fields of each file's picture, without
        pixels
    """
    read = images.read_many(
        [source for source in sources if not isinstance(source, dict)],
        workers=1,
        max_pixels=max_pixels,
        postpone=postpone,
    )
    stream = vgg16.embed_stream(_pictures(sources, known, read), model)
    told = [_fields(replace(picture, vector=vector)) for picture, vector in stream]
    return number, platform.node(), model.probe, told


def _pictures(
    sources: Sequence[Source], known: Sequence[str | None], read: Iterator[Picture]
) -> Iterator[Picture]:
    for source, digest in zip(sources, known, strict=True):
        picture = Picture(pixels=None, **source) if isinstance(source, dict) else next(read)
        same = digest is not None and picture.digest == digest
        yield replace(picture, pixels=None) if same else picture


def _fields(picture: Picture) -> dict[str, Any]:
    """Return plain values: a class of ours has another name in another process."""
    return {field.name: getattr(picture, field.name) for field in fields(picture) if field.name != "pixels"}


def state(paths: Sequence[str], precision: str) -> dict[str, Any]:
    """Return the facts that decide whether this machine embeds these files as another one does.

    Returns:
        ``marks`` of the files; ``versions`` of the
        libraries that decode pictures; ``problem``, the reason why the precision is not available, or None
    """
    problem = None
    try:
        vgg16.resolve(precision)
    except ValueError as error:
        problem = str(error)
    versions = {name: _version(name) for name in ("pillow", "pillow-heif")}
    return {"marks": [images.file_mark(path) for path in paths], "versions": versions, "problem": problem}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
