"""Sweeps stored in files, so that a threshold can be changed without comparing the vectors again."""

import contextlib
import hashlib
import json
import logging
import os
import re
import zipfile
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path

import fiftyone as fo
import numpy as np

from ..engine.cover import kept_with_cover
from ..engine.forest_files import file_version
from ..engine.sweep import Sweep, sweep
from ..engine.tiles import Run, here
from ..engine.vectors import between, percent
from ..options import SweepOptions
from ..progress import Progress, about
from ..result import Skipped
from .files import written_beside
from .home import SWEEPS, HomeError, cache, discard_orphans, in_home, make_folder
from .vectors import Vectors

_MOST_FILES = 8  # sweeps of one dataset: a few fields and views
_COLUMNS = [field.name for field in fields(Sweep)]
_ARRAYS = ("similarities", "cover_eps", "cover_kept")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class StoredSweep:
    """A sweep with the ids of its samples; a sweep alone names its samples by row.

    Attributes:
        key: digest of the vectors and their order
        ids: the samples, by row
        skipped: sample id -> why it has no usable vector
        sweep: the exact counts at every eps
        similarities: ``(t,)`` percent, of the sweep's pairs
        cover_eps: ``(g,)`` ascending, values of eps at which the samples kept with cover were counted; may be none
        cover_kept: ``(g,)`` the exact number kept with cover
    """

    key: str
    ids: list[str]
    skipped: Skipped
    sweep: Sweep
    similarities: np.ndarray
    cover_eps: np.ndarray
    cover_kept: np.ndarray


def stored(
    dataset: fo.Dataset, vectors: Vectors, options: SweepOptions, progress: Progress, run: Run = here
) -> StoredSweep:
    """Return the sweep of these vectors: from memory, from its file, or computed, by ``run``, and stored."""
    key = row_digest(vectors)
    found = load(dataset, options, key)
    if found is None:
        computed = sweep(
            vectors.matrix,
            min_samples=options.min_samples,
            metric=options.metric,
            run=run,
            progress=about(progress, "Looking at every threshold"),
        )
        cosine = options.metric == "cosine"
        similarities = percent(
            computed.length if cosine else between(vectors.matrix, computed.left, computed.right)
        )
        none = np.empty(0)
        found = StoredSweep(key, vectors.ids, vectors.skipped, computed, similarities, none, none.astype(int))
        _keep(dataset, options, found)
    return replace(found, skipped=vectors.skipped)  # skipped samples are no part of the key


def with_cover(
    dataset: fo.Dataset,
    options: SweepOptions,
    found: StoredSweep,
    vectors: Vectors,
    grid: np.ndarray,
    progress: Progress,
) -> StoredSweep:
    """Return the stored sweep with the number kept with cover at each eps of a grid; counted once, then stored with it."""
    if len(found.cover_eps):
        with contextlib.suppress(OSError):
            # The latest in use. Not by touch(), which would make an empty file.
            os.utime(_path(dataset, options, found.key))
        return found
    counting = about(progress, "Counting what cover keeps")
    kept = kept_with_cover(vectors.matrix, found.sweep, grid, progress=counting)
    counted = replace(found, cover_eps=grid, cover_kept=kept)
    _keep(dataset, options, counted)
    return counted


def load(dataset: fo.Dataset, options: SweepOptions, key: str) -> StoredSweep | None:
    """Return the sweep with a key; None if there is none, or its file cannot be read."""
    found = _load(_path(dataset, options, key))
    return found if found is not None and found.key == key else None


def latest(dataset: fo.Dataset, options: SweepOptions) -> StoredSweep | None:
    """Return the latest sweep with these options, found without reading the vectors, which may have changed since."""
    try:
        paths = _path(dataset, options, "").parent.glob(_path(dataset, options, "*").name)
        newest = max(paths, key=lambda path: path.stat().st_mtime_ns, default=None)
    except OSError:
        return None
    return _load(newest) if newest else None


def wanted(target: str, n: int) -> int:
    """Return the number of samples to keep of ``n`` by a target, "200" or "10 %".

    Raises:
        ValueError: if the target is no such number
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?(%?)", target.strip())
    number = 0 if match is None else float(match[1]) * (n / 100 if match[2] else 1)
    if round(number) < 1 or number > n:
        raise ValueError(f"target must be a number from 1 to {n:,} or a share such as 10 %, got {target!r}")
    return round(number)


def row_digest(vectors: Vectors) -> str:
    """Return a digest of vectors and their order."""
    order = hashlib.sha256("".join(vectors.ids).encode()).hexdigest()
    return hashlib.sha256(f"{vectors.digest}-{order}".encode()).hexdigest()


def _path(dataset: fo.Dataset, options: SweepOptions, key: str) -> Path:
    name = f"{options.metric}-{options.min_samples}-{options.embeddings_field}-{key[:16]}.npz"
    return cache(SWEEPS, dataset) / name


def _keep(dataset: fo.Dataset, options: SweepOptions, found: StoredSweep) -> None:
    """Write the file if it can be written; else the sweep is computed again next time."""
    path = _path(dataset, options, found.key)
    try:
        with in_home(path):
            make_folder(path.parent)
            _save(path, found)
            discard_orphans(dataset)
    except HomeError as error:
        logger.warning("A sweep is not kept. %s", error)


def _load(path: Path) -> StoredSweep | None:
    try:
        return _read(path, file_version(path))
    except OSError:
        return None


@lru_cache(maxsize=4)
def _read(path: Path, version: tuple[int, ...]) -> StoredSweep | None:
    del version  # only part of the cache key: the current file
    try:
        with np.load(path, allow_pickle=False) as file:
            found = Sweep(**{name: _plain(file[name]) for name in _COLUMNS})
            ids = file["ids"].astype(str).tolist()
            arrays = {name: file[name] for name in _ARRAYS}
            return StoredSweep(str(file["key"]), ids, json.loads(str(file["skipped"])), found, **arrays)
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return None


def _plain(value: np.ndarray):
    return value if value.ndim else value.item()


def _save(path: Path, found: StoredSweep) -> None:
    """Write the file; delete the oldest ones."""
    columns = {name: getattr(found.sweep, name) for name in _COLUMNS}
    columns |= {name: getattr(found, name) for name in _ARRAYS}
    columns |= {"key": found.key, "skipped": json.dumps(found.skipped)}
    with written_beside(path) as beside, beside.open("wb") as file:
        np.savez(file, ids=np.array(found.ids, dtype=np.bytes_), **columns)
    by_age = sorted(path.parent.glob("*.npz"), key=lambda file: file.stat().st_mtime, reverse=True)
    for old in by_age[_MOST_FILES:]:
        old.unlink(missing_ok=True)
