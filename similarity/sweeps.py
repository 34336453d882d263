"""Sweeps kept in files, so that a threshold can be moved without comparing the vectors again."""

import hashlib
import os
import tempfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np

from . import samples as sm
from .engine.sweep import Sweep, sweep
from .home import home
from .options import SweepOptions
from .progress import Report, about

_REMEMBERED: dict[Path, tuple[str, Sweep]] = {}
_MOST_REMEMBERED = 4


def swept(dataset: fo.Dataset, vectors: sm.Vectors, metric: str, min_samples: int, report: Report) -> Sweep:
    """The sweep of these vectors: remembered, from its file, or computed and kept."""
    path = home() / "sweeps" / str(dataset._doc.id) / f"{metric}-{min_samples}.npz"
    key = row_digest(vectors)
    found = _remembered(path, key) or _loaded(path, key)
    if found is None:
        progress = about(report, "Looking at every threshold")
        found = sweep(vectors.matrix, min_samples=min_samples, metric=metric, progress=progress)
        _save(path, key, found)
    _remember(path, key, found)
    return found


def row_digest(vectors: sm.Vectors) -> str:
    """A digest of vectors and their order: a sweep names its pairs by row."""
    order = hashlib.sha256("".join(vectors.ids).encode()).hexdigest()
    return f"{vectors.digest}-{order}"


def _remembered(path: Path, key: str) -> Sweep | None:
    known = _REMEMBERED.get(path)
    return known[1] if known is not None and known[0] == key else None


def _remember(path: Path, key: str, found: Sweep) -> None:
    _REMEMBERED.pop(path, None)
    _REMEMBERED[path] = (key, found)
    while len(_REMEMBERED) > _MOST_REMEMBERED:
        _REMEMBERED.pop(next(iter(_REMEMBERED)))


def _loaded(path: Path, key: str) -> Sweep | None:
    """The sweep in a file; None if there is none, or it is of other vectors, or cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            if str(stored["key"]) != key:
                return None
            return Sweep(**{name: _plain(stored[name]) for name in _names()})
    except (OSError, ValueError, KeyError):
        return None


def _plain(value: np.ndarray):
    return value if value.ndim else value.item()


def _names() -> list[str]:
    return [field.name for field in fields(Sweep)]


def _save(path: Path, key: str, found: Sweep) -> None:
    """Write beside, then rename: a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, beside = tempfile.mkstemp(dir=path.parent, suffix=".npz")
    with os.fdopen(descriptor, "wb") as file:
        np.savez(file, key=key, **{name: getattr(found, name) for name in _names()})
    Path(beside).replace(path)


_SHOWN: dict[tuple[str, str], Any] = {}


def show(dataset: fo.Dataset, options: SweepOptions, result: Any) -> None:
    """Keep a sweep's result at hand for the panel, as long as the process lives."""
    _SHOWN[str(dataset._doc.id), options.embeddings_field] = result
    while len(_SHOWN) > _MOST_REMEMBERED:
        _SHOWN.pop(next(iter(_SHOWN)))


def shown(dataset: fo.Dataset, options: SweepOptions) -> Any:
    """The result that was shown last for these vectors, or None."""
    return _SHOWN.get((str(dataset._doc.id), options.embeddings_field))
