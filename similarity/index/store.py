"""The files of a similarity index: a forest, and the sample ids of its rows.

An index has a folder, ``$ONLYONE_HOME/indexes/<database>/<dataset id>/<brain key>``. Its ``index.json``, a checksum in the
first line and JSON in the second, names the files of the forest, which are named after their content. All are made in a
folder beside and moved, ``index.json`` last, so that several processes may read and build at once and none sees half an
index. Missing files are built again from the field; files that are not as they were written are refused.
"""

import contextlib
import json
import shutil
import time
import zlib
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import fiftyone as fo
import numpy as np

from ..data import freshness, locks
from ..data.files import written_beside
from ..data.home import INDEXES, Missing, cache, discard_orphans, identity, in_home, make_folder, share
from ..data.locks import Busy, lock
from ..data.samples import everything
from ..data.vectors import gather
from ..engine import forest
from ..engine.forest_files import ForestFacts, file_version
from ..engine.neighbors import Progress
from ..result import NeedsOperator, Skipped

_MANIFEST = "index.json"
_WAIT_SECONDS = 0.2

Version = tuple[tuple[str, tuple[int, int, int]], ...]
"""Name, and inode, size and modification time, of each file of an index."""


class IndexDamaged(NeedsOperator):
    """The files of an index are not as they were written.

    Args:
        path: the index's folder, named after its brain key
        problem: the damaged file and its damage
    """

    def __init__(self, path: Path, problem: str):
        super().__init__(
            f"The files of the similarity index {path.name!r} are damaged ({problem}): build it again with "
            f"build_similarity_index, brain_key {path.name!r}",
            "build_similarity_index",
            brain_key=path.name,
        )


@dataclass(frozen=True)
class IndexSettings:
    """The settings that, beside the vectors, decide an index."""

    embeddings_field: str
    n_trees: int
    search_k: int
    seed: int


@dataclass(frozen=True, eq=False)
class BuiltIndex:
    """An index as it was built.

    Attributes:
        ids: the sample ids of its rows, ``(n,)``
        skipped: sample id -> why its vector is not in the forest
        stamps: sample id -> stamp, of all samples at the build
        settled: the marks that no write was still spreading while the vectors were read
    """

    forest: forest.Forest
    ids: np.ndarray
    skipped: Skipped
    stamps: dict[str, str]
    settled: list[datetime]
    made_with: dict[str, Any]

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Sample id -> row."""
        return {sample_id: row for row, sample_id in enumerate(self.ids.tolist())}


@dataclass(frozen=True)
class IndexFolder:
    """The folder of one index; it need not exist."""

    path: Path
    dataset_id: str

    @classmethod
    def of(cls, dataset: fo.Dataset, brain_key: str) -> "IndexFolder":
        """Return the folder of a brain key of a dataset."""
        return cls(cache(INDEXES, dataset) / brain_key, identity(dataset))

    def version(self) -> Version:
        """Return the files' names and versions, a quick test that they are the same; empty without files.

        Raises:
            HomeError: if they cannot be read
        """
        try:
            with in_home(self.path):
                files = sorted(path for path in self.path.iterdir() if path.is_file())
                return tuple((path.name, file_version(path)) for path in files)
        except Missing:
            return ()

    def read(self, settings: IndexSettings) -> BuiltIndex | None:
        """Open the index; None if a file is missing, or it was built with other settings.

        Raises:
            IndexDamaged: if a file is not as it was written, or of another dataset
            HomeError: if a file cannot be read
        """
        try:
            with in_home(self.path):
                checksum, _, body = (self.path / _MANIFEST).read_bytes().partition(b"\n")
                if checksum != _checksum(body):
                    raise IndexDamaged(self.path, f"{_MANIFEST} is not as it was written")
                told = json.loads(body)
                if told["dataset"] != self.dataset_id:
                    raise IndexDamaged(self.path, f"{_MANIFEST} is of another dataset")
                if told["settings"] != asdict(settings):
                    return None
                try:
                    grown = forest.load(self.path, ForestFacts(**told["forest"]))
                except ValueError as error:
                    raise IndexDamaged(self.path, str(error)) from error
        except Missing:
            return None
        return BuiltIndex(
            grown,
            np.array(told["ids"], dtype=np.str_),
            told["skipped"],
            told["stamps"],
            [datetime.fromisoformat(mark) for mark in told["settled"]],
            told["made_with"],
        )

    def build(
        self,
        dataset: fo.Dataset,
        settings: IndexSettings,
        progress: Progress = None,
        *,
        again: bool = True,
    ) -> None:
        """Build the index from the field, and delete the files of the previous one.

        Args:
            progress (None): called with ``(done, total)``; may raise to cancel, the previous index then stays
            again (True): whether to build it where one exists

        Raises:
            HomeError: if the files cannot be written
        """
        with contextlib.ExitStack() as held:
            while True:  # until no other process builds this index
                try:
                    held.enter_context(lock(dataset, f"index-{self.path.name}"))
                    break
                except Busy:
                    time.sleep(_WAIT_SECONDS)
            if again or self.read(settings) is None:
                self._build(dataset, settings, progress)
        discard_orphans(dataset)

    def delete(self) -> None:
        """Delete the folder; readers keep their open files."""
        shutil.rmtree(self.path, ignore_errors=True)
        with contextlib.suppress(OSError):  # the dataset's folder, if this was its last index
            self.path.parent.rmdir()

    def rename(self, new_key: str) -> None:
        """Move the folder to another brain key."""
        target = self.path.with_name(new_key)
        if self.path.exists():
            with in_home(target):
                shutil.rmtree(target, ignore_errors=True)
                self.path.rename(target)

    def _build(self, dataset: fo.Dataset, settings: IndexSettings, progress: Progress) -> None:
        name = settings.embeddings_field
        # Marks and stamps first: a vector written meanwhile has the old ones, and is noticed afterwards.
        marks, stamps = freshness.marks(dataset), freshness.stamps(dataset, name)
        vectors = gather(everything(dataset), name)
        with in_home(self.path):
            make_folder(self.path)
            with TemporaryDirectory(dir=self.path, prefix=".build-", ignore_cleanup_errors=True) as beside:
                grown = forest.build(
                    vectors.matrix,
                    Path(beside),
                    n_trees=settings.n_trees,
                    search_k=settings.search_k,
                    seed=settings.seed,
                    progress=progress,
                )
                told = {
                    "dataset": self.dataset_id,
                    "settings": asdict(settings),
                    "forest": asdict(grown.facts),
                    "made_with": freshness.made_with(dataset, name),
                    "settled": [mark.isoformat() for mark in freshness.settled(dataset, marks)],
                    "skipped": vectors.skipped,
                    "ids": vectors.ids,
                    "stamps": stamps,
                }
                self._publish(Path(beside), told, grown.facts.files)

    def _publish(self, beside: Path, told: dict[str, Any], files: list[str]) -> None:
        """Move the files into the folder, then name them in ``index.json``; delete files that are not named."""
        locks.check()
        for name in files:
            share((beside / name).replace(self.path / name))
        with written_beside(self.path / _MANIFEST) as temporary:
            body = json.dumps(told).encode()
            temporary.write_bytes(_checksum(body) + b"\n" + body)
        for path in self.path.iterdir():
            if path.is_dir() and path != beside:
                shutil.rmtree(path, ignore_errors=True)
            elif path.name not in {_MANIFEST, beside.name, *files}:
                with contextlib.suppress(OSError):  # Windows, where a reader has it open
                    path.unlink()


def _checksum(content: bytes) -> bytes:
    return b"%08x" % zlib.crc32(content)
