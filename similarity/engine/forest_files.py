"""The files of a forest, and what is known about them: NumPy and the file system only."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from .exact import Matrix

_DIGITS = 32


@dataclass(frozen=True)
class ForestFacts:
    """What is needed to open a forest again, and what was measured when it was built.

    Args:
        vectors: the digest of the file of vectors, which it is named after
        count: the number of vectors
        dimension: the number of values in each
        n_trees: the number of trees
        seed: Annoy's seed
        search_k: how many items a search for ten neighbors visits
        recall: the share of sampled queries whose ten neighbors were all true ones, up to ties
        trees: the digest of Annoy's file, which it is named after; ``""`` without trees
        annoy: the build of Annoy and the processor that made the trees
        reason: why there are no trees, or ``""``
    """

    vectors: str
    count: int
    dimension: int
    n_trees: int
    seed: int
    search_k: int = -1
    recall: float = 1.0
    trees: str = ""
    annoy: str = ""
    reason: str = ""

    @property
    def files(self) -> list[str]:
        """The names of the files."""
        return [f"{self.vectors}.f32", *([f"{self.trees}.ann"] if self.trees else [])]


def file_digest(path: Path) -> str:
    """Digest a file's bytes; once in this process for each version of the file."""
    return _file_digest(path, file_version(path))


def file_version(path: Path) -> tuple[int, int, int]:
    """Return the inode, size and modification time of a file, which tell quickly that it is the same."""
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


@lru_cache(maxsize=32)
def _file_digest(path: Path, version: tuple[int, ...]) -> str:
    del version  # a part of the key alone
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:_DIGITS]


def check_file(path: Path, digest: str) -> Path:
    """Return the path of a file with this digest.

    Raises:
        OSError: if it cannot be read
        ValueError: if its bytes are others
    """
    if file_digest(path) != digest:
        raise ValueError(f"{path} is not as it was written")
    return path


def write_vectors(vectors: Matrix, folder: Path) -> str:
    """Write vectors as raw float32 rows into a file named after its digest; return the digest."""
    digest = hashlib.sha256(vectors.data).hexdigest()[:_DIGITS]
    vectors.tofile(folder / f"{digest}.f32")
    return digest


def map_vectors(folder: Path, facts: ForestFacts) -> Matrix:
    """Map the file of vectors.

    Raises:
        OSError: if it cannot be read
        ValueError: if its bytes are others than the facts say
    """
    path = check_file(folder / f"{facts.vectors}.f32", facts.vectors)
    if not facts.count:
        return np.empty((0, facts.dimension), dtype=np.float32)
    return np.asarray(np.memmap(path, dtype=np.float32, mode="r", shape=(facts.count, facts.dimension)))
