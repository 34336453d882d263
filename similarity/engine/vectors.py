"""The requirements on a vector, and the one formula for the distance between two vectors."""

import math
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .pieces import DIGEST, Digests, Pieces

METRICS = ("cosine", "euclidean")

Vectors = NDArray[Any]
Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Indices = NDArray[np.intp]

_CHUNK_BYTES = 2**25


def problem(vector: Any) -> str | None:
    """Return why ``vector`` cannot be compared with others, or None if it can."""
    array = np.asarray(vector)
    if array.dtype.kind not in "fiu":
        return f"is not a list of numbers but {array.dtype}"
    if array.ndim != 1 or array.size == 0:
        return f"has shape {array.shape} where one dimension of at least 1 is needed"
    return _fault(float(norms(array[None])[0]))


def check(vectors: Vectors | Pieces) -> None:
    """Raise unless ``vectors`` is ``(n, d)``, finite, and free of zero vectors; n may be 0.

    Raises:
        ValueError: names the first offending row and the fix
    """
    if isinstance(vectors, Pieces):
        return  # each was checked before it was stored
    if vectors.ndim != 2 or vectors.dtype.kind not in "fiu":
        raise ValueError(f"vectors must be an (n, d) array of numbers, got {vectors.dtype} {vectors.shape}")
    lengths = norms(vectors)
    bad = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))
    if len(bad):
        row = int(bad[0])
        raise ValueError(
            f"{len(bad)} of {len(vectors)} vectors cannot be compared, the first is number {row}: "
            f"it {_fault(float(lengths[row]))}; compute it again or leave it out"
        )


def norms(vectors: Vectors) -> Floats:
    """Return the lengths ``(n,)`` of the vectors; NaN or infinite where a value is."""
    lengths = np.empty(len(vectors), dtype=np.float64)
    for part in chunks(len(vectors), vectors.shape[1]):
        block = vectors[part].astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            lengths[part] = np.sqrt(np.square(block).sum(axis=1))
    return lengths


def normalise(vectors: Vectors) -> NDArray[np.float32]:
    """Return a copy ``(n, d)`` scaled to length 1."""
    result = np.empty(vectors.shape, dtype=np.float32)
    for part in chunks(*vectors.shape):
        result[part] = unit(vectors[part])
    return result


def unit(vectors: Vectors) -> Floats:
    """Return a float64 copy ``(n, d)`` scaled to length 1."""
    double = vectors.astype(np.float64)
    double /= np.sqrt(np.square(double).sum(axis=1, keepdims=True))
    return double


def between(
    vectors: Vectors,
    rows: Indices,
    cols: Indices,
    *,
    metric: str = "cosine",
    others: Vectors | None = None,
) -> Floats:
    """Return the distance ``(m,)`` of each pair ``vectors[rows[i]], others[cols[i]]``; by default in one array.

    Computed in float64, pair by pair: a pair's distance does not depend on the other pairs or on its direction, and
    equal vectors have exactly 0. Cosine is half the squared distance of the unit vectors, which does not cancel for
    close ones as ``1 - cos`` does.
    """
    others = vectors if others is None else others
    result = np.empty(len(rows), dtype=np.float64)
    for part in chunks(len(rows), vectors.shape[1]):
        left, right = vectors[rows[part]], others[cols[part]]
        if metric == "cosine":
            result[part] = 0.5 * np.square(unit(left) - unit(right)).sum(axis=1)
        else:
            result[part] = norms(left.astype(np.float64) - right.astype(np.float64))
    return result


def percent(distance: Any) -> Any:
    """Return the similarity, ``100 * cos`` clipped to [0, 100], for a cosine distance (scalar or array)."""
    similarity = np.clip(100.0 * (1.0 - np.asarray(distance, dtype=np.float64)), 0.0, 100.0)
    return float(similarity) if similarity.ndim == 0 else similarity


def copies(vectors: Vectors | Pieces, kinds: Indices | None = None) -> tuple[Indices, Indices]:
    """Find the vectors that are equal value by value.

    Args:
        vectors: ``(n, d)``
        kinds (None): ``(n,)`` vectors of different kinds are told apart though they are equal

    Returns:
        a tuple of

        - first: ``(u,)`` rows at which a vector occurs for the first time, ascending
        - group: ``(n,)`` such that ``vectors[first][group]`` equals ``vectors``
    """
    keys = vectors.digests if isinstance(vectors, Pieces) else digests(vectors)
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    if kinds is not None:
        both = np.column_stack([group.reshape(-1), kinds])
        _, first, group = np.unique(both, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return first[order], place[group.reshape(-1)]


def digests(vectors: Vectors) -> Digests:
    """Return the BLAKE2b digest ``(n,)``, 16 bytes, of each vector's values; -0.0 and 0.0 are equal."""
    parts = (np.add(vectors[part], 0.0, order="C") for part in chunks(*vectors.shape))
    found = b"".join(blake2b(row, digest_size=16).digest() for part in parts for row in part)
    return np.frombuffer(found, dtype=DIGEST)


def chunks(rows: int, columns: int) -> Iterator[slice]:
    """Yield the slices that cut ``rows`` so that a float64 copy of one stays near 32 MB."""
    step = max(1, _CHUNK_BYTES // (8 * max(1, columns)))
    for start in range(0, rows, step):
        yield slice(start, min(rows, start + step))


def _fault(length: float) -> str | None:
    if not math.isfinite(length):
        return "contains NaN or infinite values"
    return None if length > 0 else "has length zero"
