"""Blocks of vectors that are kept elsewhere: how to make one wherever it is wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .blocks import Block, Blocks, Frame
from .pieces import SIZE, Pieces
from .vectors import Indices, Vectors


@dataclass(frozen=True)
class Recipe:
    """How to make a block anywhere: ``make(*arguments, *pieces)``, with the pieces fetched."""

    make: Callable[..., Any]
    arguments: tuple[Any, ...]
    pieces: tuple[Any, ...] = ()


class DistantBlocks(Blocks):
    """Blocks of vectors that are kept elsewhere; they are to be made where the pieces are."""

    vectors: Pieces

    def __init__(self, vectors: Pieces, metric: str, chosen: Indices, *, sketch: bool = False):
        super().__init__(vectors, metric, chosen, sketch=sketch)
        self.size = SIZE

    def recipe(self, i: int) -> Recipe:
        """Return how to make a block."""
        at, rows = self._part(i)
        parts = self.vectors.find(rows)
        told = [(places, inside) for _, places, inside in parts]
        return Recipe(_laid_out, (self.frame, at, told), tuple(self.vectors.pieces[p] for p, _, _ in parts))

    def numbers(self, i: int) -> Indices:
        """Return the numbers of a block's vectors, in its order."""
        return self._part(i)[0]

    def __getitem__(self, i: Any) -> Any:
        at, rows = self._part(i)
        return Block.of(self.frame, at, self.vectors[rows])


def cut(vectors: Vectors | Pieces, metric: str, chosen: Indices, *, sketch: bool = False) -> Blocks:
    """Cut vectors into blocks, by :class:`Blocks`'s arguments."""
    if isinstance(vectors, Pieces):
        return DistantBlocks(vectors, metric, chosen, sketch=sketch)
    return Blocks(vectors, metric, chosen, sketch=sketch)


def _laid_out(
    frame: Frame, numbers: Indices, parts: list[tuple[Indices, Indices]], *pieces: Vectors
) -> Block:
    """Make a block of rows of pieces: of each piece, the places in the block and the rows that go there."""
    vectors = np.empty((len(numbers), frame.dimension), dtype=np.float32)
    for (places, rows), piece in zip(parts, pieces, strict=True):
        vectors[places] = piece[rows]
    return Block.of(frame, numbers, vectors)
