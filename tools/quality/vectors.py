"""Vectors of picture files, remembered by content: a repetition embeds nothing again."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from similarity.engine import images, vgg16

Known = dict[str, np.ndarray]


def embed(paths: Sequence[Path], layer: str, weights: str, cache: Path) -> np.ndarray:
    """Embed picture files.

    Args:
        paths: picture files
        layer: a layer of VGG16
        weights: as the option of that name
        cache: the folder with what is known already; made if missing

    Returns:
        ``(n, d)`` float32, NaN for what cannot be read
    """
    file = cache / f"{layer}-{_key(layer, weights)}.npz"
    known = _load(file)
    keys = digests(paths)
    missing = {key: path for key, path in zip(keys, paths, strict=True) if key and key not in known}
    if missing:
        known |= _embed(missing, layer, weights)
        _save(file, known)
    nothing = np.full(vgg16.LAYERS[layer], np.nan, np.float32)
    return np.array([known.get(key, nothing) for key in keys], np.float32)


def digests(paths: Sequence[Path]) -> list[str]:
    """Return a digest of each file's bytes, empty for what cannot be read."""
    return [_digest(path) for path in paths]


def _digest(path: Path) -> str:
    try:
        return images.digest(path)
    except images.UnreadableImage:
        return ""


def _embed(missing: dict[str, Path], layer: str, weights: str) -> Known:
    model = vgg16.load(layer=layer, weights=weights)
    found: Known = {}
    stream = vgg16.embed_stream(images.read_many(missing.values()), model)
    for done, (digest, (_, vector)) in enumerate(zip(missing, stream, strict=True)):
        found[digest] = np.full(model.dimension, np.nan, np.float32) if vector is None else vector
        if done % 64 == 0:
            print(f"  {layer}: {done} of {len(missing)} pictures", flush=True)
    return found


def _key(layer: str, weights: str) -> str:
    """Return a digest of all that decides a vector, apart from the picture."""
    decisive = "\n".join(vgg16.provenance(layer=layer, weights=weights).values())
    return hashlib.blake2b(decisive.encode(), digest_size=8).hexdigest()


def _load(file: Path) -> Known:
    if not file.exists():
        return {}
    with np.load(file) as stored:
        return dict(zip(stored["digests"].tolist(), stored["vectors"], strict=True))


def _save(file: Path, known: Known) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_suffix(".writing.npz")
    np.savez(beside, digests=list(known), vectors=np.array(list(known.values()), np.float32))
    beside.replace(file)
