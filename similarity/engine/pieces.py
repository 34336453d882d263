"""Vectors that are kept elsewhere, in pieces, and give their rows as an array does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

DIGEST = np.dtype("V16")
SIZE = 16_384  # vectors of a piece

Digests = NDArray[np.void]
Singles = NDArray[np.float32]
Take = Callable[[Sequence[tuple[Any, NDArray[np.intp]]]], Sequence[Singles]]
"""``take([(piece, rows), ...])`` reads rows of pieces."""


class Pieces:
    """Vectors ``(n, d)`` float32, finite and none of length zero.

    Args:
        pieces: where they are: whatever ``take`` knows them by
        digests: of the vectors of each piece, as :func:`~similarity.engine.vectors.digests` gives them
        dimension: values of a vector
        take: reads them
    """

    def __init__(self, pieces: Sequence[Any], digests: Sequence[Digests], dimension: int, take: Take):
        self.pieces = list(pieces)
        self.digests = np.concatenate([np.empty(0, DIGEST), *digests])
        self.starts = np.cumsum([0, *(len(some) for some in digests)])
        self.shape = (int(self.starts[-1]), dimension)
        self.dtype = np.dtype(np.float32)
        self.take = take

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, some: slice | Sequence[int] | NDArray[np.intp]) -> Singles:
        rows = np.arange(len(self))[some]
        found = np.empty((len(rows), self.shape[1]), dtype=np.float32)
        parts = self.find(rows)
        taken = self.take([(self.pieces[piece], inside) for piece, _, inside in parts])
        for (_, places, _), vectors in zip(parts, taken, strict=True):
            found[places] = vectors
        return found

    def find(self, rows: NDArray[np.intp]) -> list[tuple[int, NDArray[np.intp], NDArray[np.intp]]]:
        """Tell where rows are: number of a piece, which of ``rows`` are there, and their rows inside of it."""
        piece = np.searchsorted(self.starts, rows, side="right") - 1
        of_each = ((number, np.flatnonzero(piece == number)) for number in np.unique(piece))
        return [(int(number), at, rows[at] - self.starts[number]) for number, at in of_each]
