"""Vectors that are stored elsewhere, in pieces, and give their rows as an array does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

DIGEST = np.dtype("V16")
SIZE = 16_384  # vectors of a piece

Digests = NDArray[np.void]
Singles = NDArray[np.float32]


class Store(Protocol):
    """A store of vectors outside of this process, and the jobs on them there."""

    def put(self, piece: Singles) -> Any:
        """Store a piece, and return its key."""

    def take(self, wanted: Sequence[tuple[Any, NDArray[np.intp]]]) -> Sequence[Singles]:
        """Read rows of pieces."""

    def run(self, jobs: Any, blocks: Any) -> Any:
        """Compute jobs, as a :data:`~similarity.engine.tiles.Run`."""


class Pieces:
    """Vectors ``(n, d)`` float32, finite and none of length zero.

    Args:
        pieces: their keys in the store
        digests: of the vectors of each piece, by :func:`~similarity.engine.vectors.digests`
    """

    def __init__(self, pieces: Sequence[Any], digests: Sequence[Digests], dimension: int, store: Store):
        self.pieces = list(pieces)
        self.digests = np.concatenate([np.empty(0, DIGEST), *digests])
        self.starts = np.cumsum([0, *(len(some) for some in digests)])
        self.shape = (int(self.starts[-1]), dimension)
        self.dtype = np.dtype(np.float32)
        self.store = store
        self.order = np.arange(len(self))

    def __len__(self) -> int:
        return self.shape[0]

    def chosen(self, rows: NDArray[np.intp]) -> Pieces:
        """Return the vectors in some rows, in their order, without reading any."""
        chosen = copy(self)
        chosen.order, chosen.digests = self.order[rows], self.digests[rows]
        chosen.shape = (len(rows), self.shape[1])
        return chosen

    def __getitem__(self, some: slice | Sequence[int] | NDArray[np.intp]) -> Singles:
        rows = np.arange(len(self))[some]
        found = np.empty((len(rows), self.shape[1]), dtype=np.float32)
        parts = self.find(rows)
        taken = self.store.take([(self.pieces[piece], inside) for piece, _, inside in parts])
        for (_, places, _), vectors in zip(parts, taken, strict=True):
            found[places] = vectors
        return found

    def __iter__(self) -> Iterator[Singles]:
        for start in range(0, len(self), SIZE):
            yield from self[start : start + SIZE]

    def followed_by(self, other: Pieces) -> Pieces:
        """Return these vectors and others, without reading any."""
        both = copy(self)
        both.pieces, both.digests = self.pieces + other.pieces, np.concatenate([self.digests, other.digests])
        both.starts = np.append(self.starts, self.starts[-1] + other.starts[1:])
        both.order = np.append(self.order, self.starts[-1] + other.order)
        both.shape = (len(both.order), self.shape[1])
        return both

    def find(self, rows: NDArray[np.intp]) -> list[tuple[int, NDArray[np.intp], NDArray[np.intp]]]:
        """Find rows: number of a piece, places in ``rows`` of its rows, and their rows inside of it."""
        rows = self.order[rows]
        piece = np.searchsorted(self.starts, rows, side="right") - 1
        of_each = ((number, np.flatnonzero(piece == number)) for number in np.unique(piece))
        return [(int(number), at, rows[at] - self.starts[number]) for number, at in of_each]


def picked(vectors: Any, rows: Any) -> Any:
    """Return the vectors in some rows; those in pieces without reading any."""
    return vectors.chosen(np.asarray(rows)) if isinstance(vectors, Pieces) else vectors[rows]


def joined(left: Any, right: Any) -> Any:
    """Return both vectors as one."""
    return left.followed_by(right) if isinstance(left, Pieces) else np.concatenate([left, right])
