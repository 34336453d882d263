"""Pictures that the nodes of a Ray cluster read and embed."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from ..data.readings import ENDED
from ..embed_options import EmbedOptions
from ..engine import chunks, images, vgg16
from ..engine.chunks import Network, Source
from ..engine.images import Picture
from ..engine.tiles import Job
from ..ray import Cluster, WorkerLost

CHUNK = 64  # files of a task, which a lost worker costs
SENT = 16  # of those whose bytes are sent with it
LOOKED_AT = 32  # files, before it begins


class DistantReader:
    """Reads and embeds files on a cluster; the pictures come in the order of the files, with vectors and no pixels.

    Args:
        on: the cluster
        model: the network, as this machine has it
        known: file -> digest of the file that its sample was embedded from
        options: of the step
        count: how many files there will be about

    Raises:
        ValueError: if a node does not see the files, or cannot give the same vectors
    """

    def __init__(
        self, on: Cluster, model: vgg16.Vgg16, known: Mapping[str, str], options: EmbedOptions, count: int
    ):
        self._on, self._model, self._known, self._options = on, model, known, options
        self._network = Network(
            model.provenance, vgg16.arrays(options.layer, options.weights), model.batch_size
        )
        most = CHUNK if options.pictures == "shared" else SENT
        self._size = max(model.batch_size, min(most, count // (2 * on.most_jobs())))

    def __call__(self, paths: Iterable[str], large: bool) -> Iterator[Picture]:
        """Read files.

        Args:
            large: whether these are large ones: one that ends its worker gets its reason, and is not tried again
        """
        chunked: dict[int, list[str]] = {}
        answers = self._on.run(self._jobs(paths, large, chunked), self._network, 0 if large else None)
        arrived: dict[int, list[dict[str, Any]]] = {}
        turn = 0
        try:
            for _, (number, machine, probe, pictures) in filter(None, answers):
                self._check(machine, probe, pictures, chunked[number])
                arrived[number] = pictures
                while turn in arrived:
                    del chunked[turn]
                    yield from (Picture(pixels=None, **told) for told in arrived.pop(turn))
                    turn += 1
        except WorkerLost:
            if not large:
                raise
            yield Picture(None, None, ENDED)

    def _jobs(self, paths: Iterable[str], large: bool, chunked: dict[int, list[str]]) -> Iterator[Job]:
        """Yield the chunks, each noted in ``chunked``."""
        paths, number = iter(paths), 0
        while chunk := list(islice(paths, self._size)):
            chunked[number] = chunk
            sources: Sequence[Source] = chunk
            if self._options.pictures == "send":
                sources = [self._content(path, large) for path in chunk]
            known = [self._known.get(path) for path in chunk]
            yield Job(chunks.embed, 0, 0, (number, sources, known, self._options.max_pixels, not large))
            number += 1

    def _content(self, path: str, large: bool) -> Source:
        try:
            with images.content(path, self._options.max_pixels, not large) as found:
                return found
        except images.UnreadableImage as error:
            postponed = isinstance(error, images.Postponed)
            return {"digest": None, "error": str(error), "postponed": postponed}

    def _check(self, machine: str, probe: str, pictures: list[dict[str, Any]], paths: Sequence[str]) -> None:
        """Refuse a machine that gives other vectors than this one, or does not see files."""
        if probe != self._model.probe:
            raise ValueError(
                f"The machine {machine} gives other vectors than this one (another CPU or TensorFlow): take it off "
                "the cluster, choose precision='float32' for a new field, or run without ray"
            )
        for path, told in zip(paths, pictures, strict=True):
            if told["error"] == images.NOT_THERE and Path(path).exists():
                raise ValueError(_unseen(machine, [path], 1))


def check_nodes(on: Cluster, paths: Sequence[str], options: EmbedOptions, precision: str) -> None:
    """Look at some of the files from every node, before anything is embedded there.

    Raises:
        ValueError: if a node does not see files that this machine sees, or would give other vectors; names the node
    """
    some = list(paths[:: 1 + len(paths) // LOOKED_AT]) if options.pictures == "shared" else []
    mine = chunks.state(some, precision)
    for node, theirs in on.look(chunks.state, some, precision).items():
        if theirs["problem"]:
            raise ValueError(f"The node {node} cannot give the vectors of this machine: {theirs['problem']}")
        for name, version in mine["versions"].items():
            if theirs["versions"][name] != version:
                raise ValueError(
                    f"The node {node} has {name} {theirs['versions'][name]} and this machine {version}: pictures could be "
                    "decoded otherwise there. Install the same version"
                )
        pairs = zip(some, mine["marks"], theirs["marks"], strict=True)
        unseen = [path for path, here, there in pairs if here is not None and here != there]
        if unseen:
            raise ValueError(_unseen(node, unseen, len(some)))


def _unseen(node: str, paths: Sequence[str], looked_at: int) -> str:
    folder = os.path.commonpath([Path(path).parent for path in paths])
    return (
        f"The node {node} of the Ray cluster does not see the pictures in {folder!r} as this machine does ({len(paths)} of "
        f"{looked_at} that were looked at): mount the folder there under the same path, choose pictures='send', or run "
        "without ray"
    )
