"""The files of a similarity index: beside the forest, which sample each row is.

An index has a folder, ``$ONLYONE_HOME/indexes/<database>/<dataset id>/<brain key>``. Its ``index.json`` names the other
files, which are named after their content. All are written beside and renamed, ``index.json`` last, so that
several processes may read and build at once and nobody sees half an index. Any of them may be deleted at any
time: the index is then built again from the field.
"""

import contextlib
import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from ..data import caches, locks
from ..data.home import home
from ..data.locks import Busy, lock
from ..engine import forest
from ..engine.forest_files import Beside, ForestFacts
from .field import Fingerprint, Stamp, VectorField

_VERSION = 1
_MANIFEST = "index.json"
_WAIT_SECONDS = 0.2
_ABANDONED_SECONDS = 24 * 3600.0


@dataclass(frozen=True)
class IndexSettings:
    """What, beside the vectors, decides an index."""

    embeddings_field: str
    n_trees: int
    search_k: int
    seed: int


@dataclass(frozen=True)
class Base:
    """An index as it was built.

    Args:
        forest: the forest over the vectors
        ids: the sample ids of its rows, ``(n,)``
        stamps: sample id -> stamp, of all samples there were, also those without a usable vector
        unusable: sample id -> why its vector is not in the forest
        fingerprint: the field's when it was read
        manifest: the text of the file that describes it
    """

    forest: forest.Forest
    ids: np.ndarray
    stamps: dict[str, str]
    unusable: dict[str, str]
    fingerprint: Fingerprint
    manifest: str

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Sample id -> row."""
        return {sample_id: row for row, sample_id in enumerate(self.ids.tolist())}


def verdict_folder() -> Path:
    """Where the verdict on the installed build of Annoy is kept."""
    return home() / "annoy"


class IndexFolder:
    """The folder of one index.

    Args:
        path: the folder; it need not exist
        dataset (None): whose index it is, for the lock; None where no other process knows the folder
    """

    def __init__(self, path: Path, dataset: Any = None):
        self.path = path
        self._dataset = dataset

    @classmethod
    def of(cls, dataset: Any, brain_key: str) -> "IndexFolder":
        """The folder of a brain key of a dataset."""
        return cls(caches.folder(caches.INDEXES, dataset) / brain_key, dataset)

    def manifest(self) -> str | None:
        """Return the text that describes the current index, or None if there is none."""
        try:
            return (self.path / _MANIFEST).read_text(encoding="utf-8")
        except OSError:
            return None

    def load(self, settings: IndexSettings) -> Base | None:
        """Open the index, or return None if it is missing, damaged or of other settings."""
        text = self.manifest()
        try:
            told = json.loads(text or "")
            if told["version"] != _VERSION or told["settings"] != asdict(settings):
                return None
            return self._open(told, text or "")
        except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile):
            return None

    def load_or_build(self, source: VectorField, settings: IndexSettings) -> Base:
        """Open the index; where there is none, build it, once however many processes ask for it."""
        found = self.load(settings)
        if found is not None:
            return found
        with self._exclusive():
            return self.load(settings) or self._build(source, settings, None)

    def build(
        self, source: VectorField, settings: IndexSettings, progress: forest.Progress | None = None
    ) -> Base:
        """Build the index from the field, whether or not there is one, and delete the files of the last one."""
        with self._exclusive():
            return self._build(source, settings, progress)

    def delete(self) -> None:
        """Delete the folder; readers keep what they have opened."""
        shutil.rmtree(self.path, ignore_errors=True)
        with contextlib.suppress(OSError):  # the dataset's folder, if this was its last index
            self.path.parent.rmdir()

    def rename(self, new_key: str) -> None:
        """Move the folder to another brain key."""
        target = self.path.with_name(new_key)
        if self.path.exists():
            shutil.rmtree(target, ignore_errors=True)
            self.path.rename(target)

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Wait until nobody else builds this index."""
        with contextlib.ExitStack() as held:
            while self._dataset is not None:
                try:
                    held.enter_context(lock(self._dataset, f"index-{self.path.name}"))
                    break
                except Busy:
                    time.sleep(_WAIT_SECONDS)
            yield

    def _build(self, source: VectorField, settings: IndexSettings, progress: forest.Progress | None) -> Base:
        # The fingerprint first: what changes while the vectors are read is newer than it, and read again.
        fingerprint = source.fingerprint()
        reading = _Reading(source, source.stamps(), progress)
        grown = forest.build(
            reading.blocks(),
            self.path,
            n_trees=settings.n_trees,
            search_k=settings.search_k,
            seed=settings.seed,
            cache_folder=verdict_folder(),
            progress=reading.adding,
        )
        locks.check()
        manifest = self._write(grown.facts, settings, fingerprint, reading)
        self._prune(grown.facts, json.loads(manifest)["samples"])
        if self._dataset is not None:
            caches.discard_orphans(self._dataset)
        return Base(grown, _text(reading.ids), reading.stamps, reading.unusable, fingerprint, manifest)

    def _write(
        self, facts: ForestFacts, settings: IndexSettings, fingerprint: Fingerprint, reading: "_Reading"
    ) -> str:
        """Write the files beside the forest; return the manifest."""
        told = {
            "version": _VERSION,
            "metric": "cosine",
            "settings": asdict(settings),
            "forest": asdict(facts),
            "fingerprint": {**asdict(fingerprint), "modified": _iso(fingerprint.modified)},
            "unusable": reading.unusable,
            "samples": self._write_samples(reading),
        }
        text = json.dumps(told, indent=1, sort_keys=True)
        with Beside(self.path) as temporary:
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(self.path / _MANIFEST)
        return text

    def _write_samples(self, reading: "_Reading") -> str:
        """Write the ids of the rows, and the stamps of all samples; return the file's name."""
        columns = (reading.ids, list(reading.stamps), list(reading.stamps.values()))
        names = ("ids", "known", "stamps")
        with Beside(self.path) as temporary:
            with temporary.open("wb") as file:
                np.savez(
                    file,
                    **{n: np.char.encode(_text(c), "ascii") for n, c in zip(names, columns, strict=True)},
                )
            name = f"{hashlib.blake2b(temporary.read_bytes(), digest_size=16).hexdigest()}.npz"
            temporary.replace(self.path / name)
        return name

    def _open(self, told: dict[str, Any], text: str) -> Base:
        facts = ForestFacts(**told["forest"])
        with np.load(self.path / told["samples"], allow_pickle=False) as columns:
            ids, known, stamps = (np.char.decode(columns[n], "ascii") for n in ("ids", "known", "stamps"))
        if len(ids) != facts.count:
            raise ValueError(f"{told['samples']} does not belong to the forest")
        seen = told["fingerprint"]
        modified = seen["modified"] and datetime.fromisoformat(seen["modified"])
        return Base(
            forest.load(self.path, facts, cache_folder=verdict_folder()),
            ids,
            dict(zip(known.tolist(), stamps.tolist(), strict=True)),
            told["unusable"],
            Fingerprint(seen["count"], modified, seen["provenance"]),
            text,
        )

    def _prune(self, facts: ForestFacts, samples: str) -> None:
        """Delete what the manifest does not name; a file that a build left unfinished only after a day."""
        named = {_MANIFEST, facts.vectors_file, facts.trees_file, samples}
        for path in self.path.iterdir():
            with contextlib.suppress(OSError):  # Windows, where a reader has it open
                fresh = time.time() - path.stat().st_mtime < _ABANDONED_SECONDS
                if path.name not in named and not (path.suffix == ".part" and fresh):
                    path.unlink()


@dataclass
class _Reading:
    """The samples on their way from the field into a forest, and what was learned about them."""

    source: VectorField
    described: list[Stamp]
    progress: forest.Progress | None
    ids: list[str] = field(default_factory=list)
    unusable: dict[str, str] = field(default_factory=dict)

    @cached_property
    def stamps(self) -> dict[str, str]:
        """Sample id -> stamp, of all samples."""
        return {row.sample_id: row.stamp for row in self.described}

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the usable vectors, noting whose they are; reading is the first half of the progress."""
        with_vector = [sample_id for sample_id, stamp in self.stamps.items() if stamp]
        for block in self.source.blocks(with_vector):
            self.ids += block.ids
            self.unusable |= block.unusable
            if self.progress is not None:
                self.progress(len(self.ids), 2 * len(with_vector))
            yield block.vectors

    def adding(self, done: int, total: int) -> None:
        """Report the second half: the vectors go into the forest."""
        if self.progress is not None:
            self.progress(total + done, 2 * total)


def _text(values: list[str]) -> np.ndarray:
    """An array of strings, also of none."""
    return np.array(values, dtype=np.str_)


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None
