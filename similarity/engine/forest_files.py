"""The files of a forest, and what is known about them: NumPy and the file system only."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkstemp
from typing import Any

import numpy as np

from . import vectors as vec
from .exact import Matrix

BLOCK_ROWS = 4096
_BYTES = np.dtype(np.float32).itemsize
_SHOWN = 5


@dataclass(frozen=True)
class ForestFacts:
    """What is needed to open a forest again, and what was measured when it was built.

    Args:
        digest: names the vectors, by size and content
        count: the number of vectors
        dimension: the number of values in each
        n_trees: the number of trees
        seed: Annoy's seed
        search_k: how many items a search for ten neighbors visits
        recall: the share of sampled queries whose ten neighbors were all true ones, up to ties
        trees_bytes: the size of Annoy's file
        reason: why there are no trees, or ``""``
    """

    digest: str
    count: int
    dimension: int
    n_trees: int
    seed: int
    search_k: int = -1
    recall: float = 1.0
    trees_bytes: int = 0
    reason: str = ""

    @property
    def vectors_file(self) -> str:
        """The name of the file of vectors."""
        return f"{self.digest}.f32"

    @property
    def trees_file(self) -> str:
        """The name of Annoy's file."""
        return f"{self.digest}-{self.n_trees}-{self.seed}.ann"


class Beside:
    """A new file name in a folder, whose file is gone at the end unless it was renamed."""

    def __init__(self, folder: Path):
        handle, name = mkstemp(dir=folder, suffix=".part")
        os.close(handle)
        self._path = Path(name)

    def __enter__(self) -> Path:
        return self._path

    def __exit__(self, *_: object) -> None:
        self._path.unlink(missing_ok=True)


def publish(temporary: Path, path: Path) -> None:
    """Move a finished file to its name, which says what is in it."""
    try:
        temporary.replace(path)
    except PermissionError:  # Windows, where the same file is mapped by a reader
        if not path.exists():
            raise


def write_vectors(vectors: Any, folder: Path) -> tuple[str, int, int]:
    """Write vectors as raw float32 rows, block by block; return their digest, number and size.

    Raises:
        ValueError: says which rows hold NaN or infinity, have length zero or another size
    """
    digest, count, dimension = hashlib.blake2b(digest_size=16), 0, 0
    with Beside(folder) as temporary:
        with temporary.open("wb") as file:
            for given in _blocks(vectors):
                block = _checked(given, count, dimension)
                count, dimension = count + len(block), block.shape[1]
                file.write(block.data)
                digest.update(block.data)
        digest.update(f"{count} x {dimension}".encode())
        publish(temporary, folder / f"{digest.hexdigest()}.f32")
    return digest.hexdigest(), count, dimension


def map_vectors(folder: Path, facts: ForestFacts) -> Matrix:
    """Map the file of vectors.

    Raises:
        OSError: if it is missing or cannot be read
        ValueError: if it has not the size that the facts imply
    """
    path = folder / facts.vectors_file
    size, expected = path.stat().st_size, facts.count * facts.dimension * _BYTES
    if size != expected:
        raise ValueError(f"{path} has {size} bytes instead of {expected}; delete it")
    if not expected:
        return np.empty((0, facts.dimension), dtype=np.float32)
    mapped = np.memmap(path, dtype=np.float32, mode="r", shape=(facts.count, facts.dimension))
    return np.asarray(mapped)


def _blocks(vectors: Any) -> Iterator[Any]:
    """Cut an array into blocks; pass blocks through; leave out empty ones."""
    if isinstance(vectors, np.ndarray):
        for start in range(0, len(vectors), BLOCK_ROWS):
            yield vectors[start : start + BLOCK_ROWS]
    else:
        yield from (block for block in vectors if len(block))


def _checked(given: Any, first_row: int, dimension: int) -> Matrix:
    """Return a block as float32, or raise if a row could not be compared with the others."""
    try:
        with np.errstate(over="ignore"):
            block = np.ascontiguousarray(given, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the vectors from row {first_row} on are not numbers, or not all of one size; recompute them"
        ) from error
    if block.ndim != 2 or block.shape[1] != (dimension or block.shape[-1]) or not block.shape[1]:
        raise ValueError(
            f"the vectors from row {first_row} on have shape {block.shape}, "
            f"expected (rows, {dimension or 'at least 1'}); recompute them"
        )
    lengths = vec.norms(block)
    bad = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))
    if len(bad):
        some = ", ".join(str(row) for row in bad[:_SHOWN] + first_row)
        more = ", ..." if len(bad) > _SHOWN else ""
        raise ValueError(
            f"{len(bad)} vectors hold NaN or infinity or have length zero (rows {some}{more}); "
            "recompute them or leave them out"
        )
    return block
