"""The files of a similarity index: a forest, and which sample each of its rows is.

An index has a folder, ``$ONLYONE_HOME/indexes/<database>/<dataset id>/<brain key>``. Its ``index.json`` names the other
files, which are named after their content. All are made in a folder beside and moved, ``index.json`` last, so that
several processes may read and build at once and nobody sees half an index. Files that are missing are built again from
the field; files that are not as they were written are refused.
"""

import contextlib
import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import BadZipFile

import fiftyone as fo
import numpy as np

from ..data import caches, freshness, locks
from ..data.files import written_beside
from ..data.home import HomeError, in_home, make_folder, share
from ..data.locks import Busy, lock
from ..data.samples import everything
from ..data.vectors import gather
from ..engine import forest
from ..engine.forest_files import ForestFacts, check_file, file_digest, file_version
from ..result import NeedsOperator, Skipped

_VERSION = 1
_MANIFEST = "index.json"
_WAIT_SECONDS = 0.2


class IndexDamaged(NeedsOperator):
    """The files of an index are not as they were written.

    Args:
        path: the index's folder, named after its brain key
        problem: the file that is not, and how
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
    """What, beside the vectors, decides an index."""

    embeddings_field: str
    n_trees: int
    search_k: int
    seed: int


@dataclass(frozen=True, eq=False)
class BuiltIndex:
    """An index as it was built.

    Args:
        forest: the forest over the vectors
        ids: the sample ids of its rows, ``(n,)``
        skipped: sample id -> why its vector is not in the forest
        stamps: sample id -> stamp, of all samples there were
        settled: the marks that no write was still spreading while the vectors were read
        made_with: what the vectors were made with
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
class Version:
    """An index that is there, and its files as they are now.

    Args:
        path: its folder
        manifest: the text of ``index.json``
        files: name, inode, size and modification time of each of the others
    """

    path: Path
    manifest: str
    files: tuple[tuple[str, int, int, int], ...]


class IndexFolder:
    """The folder of one index.

    Args:
        path: the folder; it need not exist
        dataset: whose index it is
        shared (True): whether another process may know the folder
    """

    def __init__(self, path: Path, dataset: fo.Dataset, *, shared: bool = True):
        self.path = path
        self._dataset = dataset
        self._shared = shared

    @classmethod
    def of(cls, dataset: fo.Dataset, brain_key: str) -> "IndexFolder":
        """The folder of a brain key of a dataset."""
        return cls(caches.folder(caches.INDEXES, dataset) / brain_key, dataset)

    def version(self, settings: IndexSettings) -> Version | None:
        """Return the index that is there; None if a file is missing, or it was built with other settings.

        Raises:
            IndexDamaged: if ``index.json`` is not as it was written, or of another dataset
            HomeError: if it cannot be read
        """
        try:
            with in_home(self.path):
                text = (self.path / _MANIFEST).read_text(encoding="utf-8", errors="replace")
                told = self._told(text)
                files = tuple((name, *file_version(self.path / name)) for name in _files(told))
        except HomeError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise
        return Version(self.path, text, files) if told["settings"] == asdict(settings) else None

    def build(
        self, settings: IndexSettings, progress: forest.Progress | None = None, *, again: bool = True
    ) -> None:
        """Build the index from the field, and delete the files of the last one.

        Args:
            progress (None): called with ``(done, total)``; may raise to cancel, the last index then stays
            again (True): whether to build it where there is one

        Raises:
            HomeError: if the files cannot be written
        """
        with self._exclusive():
            if again or self.version(settings) is None:
                self._build(settings, progress)
        caches.discard_orphans(self._dataset)

    def delete(self) -> None:
        """Delete the folder; readers keep what they have opened."""
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

    def _told(self, text: str) -> dict[str, Any]:
        """Parse ``index.json``."""
        try:
            told = json.loads(text)
            sound = told.pop("digest") == _seal(told) and told["dataset"] == caches.identity(self._dataset)
        except (ValueError, KeyError, TypeError, AttributeError):
            sound = False
        if not sound:
            raise IndexDamaged(self.path, f"{_MANIFEST} is not as it was written")
        return told

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Wait until nobody else builds this index."""
        with contextlib.ExitStack() as held:
            while self._shared:
                try:
                    held.enter_context(lock(self._dataset, f"index-{self.path.name}"))
                    break
                except Busy:
                    time.sleep(_WAIT_SECONDS)
            yield

    def _build(self, settings: IndexSettings, progress: forest.Progress | None) -> None:
        dataset, name = self._dataset, settings.embeddings_field
        # Marks and stamps first: of a vector that is written meanwhile they are the old ones, which shows afterwards.
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
                settled = freshness.settled(dataset, marks)
                told = {
                    "version": _VERSION,
                    "dataset": caches.identity(dataset),
                    "metric": "cosine",
                    "settings": asdict(settings),
                    "forest": asdict(grown.facts),
                    "made_with": freshness.made_with(dataset, name),
                    "samples": _write_samples(Path(beside), vectors.ids, vectors.skipped, stamps, settled),
                }
                self._publish(Path(beside), told)

    def _publish(self, beside: Path, told: dict[str, Any]) -> None:
        """Move the files to their places, then name them; delete what is not named."""
        locks.check()
        for file in beside.iterdir():
            share(file.replace(self.path / file.name))
        with written_beside(self.path / _MANIFEST) as temporary:
            sealed = {**told, "digest": _seal(told)}
            temporary.write_text(json.dumps(sealed, indent=1, sort_keys=True), encoding="utf-8")
        named = {_MANIFEST, beside.name, *_files(told)}
        for path in self.path.iterdir():
            if path.is_dir() and path.name not in named:
                shutil.rmtree(path, ignore_errors=True)
            elif path.name not in named:
                with contextlib.suppress(OSError):  # Windows, where a reader has it open
                    path.unlink()


def load(version: Version) -> BuiltIndex:
    """Open an index.

    Raises:
        IndexDamaged: if a file is not as it was written
        HomeError: if a file cannot be read
    """
    told = json.loads(version.manifest)
    samples = version.path / told["samples"]
    with in_home(version.path):
        try:
            check_file(samples, samples.stem)
            with np.load(samples, allow_pickle=False) as columns:
                ids, known, stamps, skipped, reasons = (
                    np.char.decode(columns[name], "utf-8") for name in _TEXTS
                )
                settled = columns["settled"]
            grown = forest.load(version.path, ForestFacts(**told["forest"]))
        except (ValueError, TypeError, KeyError, EOFError, BadZipFile) as error:
            raise IndexDamaged(version.path, str(error)) from error
    return BuiltIndex(
        grown,
        ids,
        dict(zip(skipped.tolist(), reasons.tolist(), strict=True)),
        dict(zip(known.tolist(), stamps.tolist(), strict=True)),
        settled.tolist(),
        told["made_with"],
    )


_TEXTS = ("ids", "known", "stamps", "skipped", "reasons")


def _write_samples(
    folder: Path, ids: list[str], skipped: Skipped, stamps: dict[str, str], settled: list[datetime]
) -> str:
    """Write the ids of the rows, and what is known of all samples; return the file's name."""
    columns = (ids, list(stamps), list(stamps.values()), list(skipped), list(skipped.values()))
    texts = {
        name: np.char.encode(np.array(column, dtype=np.str_), "utf-8")
        for name, column in zip(_TEXTS, columns, strict=True)
    }
    path = folder / "samples.npz"
    np.savez(path, settled=np.array(settled, dtype="datetime64[ms]"), **texts)
    return path.replace(folder / f"{file_digest(path)}.npz").name


def _files(told: dict[str, Any]) -> list[str]:
    return [told["samples"], *ForestFacts(**told["forest"]).files]


def _seal(told: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
