"""Blocks of vectors that are stored elsewhere, and recipes to make them in another process."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .blocks import Block, Blocks, Frame
from .constraints import Constraints
from .pieces import SIZE, Pieces
from .vectors import Indices, Vectors


@dataclass(frozen=True)
class Recipe:
    """The recipe of a block in any process: ``make(*arguments, *pieces)``, with the pieces fetched."""

    make: Callable[..., Any]
    arguments: tuple[Any, ...]
    pieces: tuple[Any, ...] = ()


class DistantBlocks(Blocks):
    """Blocks of vectors that are stored elsewhere, to be made near the pieces."""

    vectors: Pieces

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        self.size = SIZE

    def recipe(self, i: int) -> Recipe:
        """Return the recipe of a block."""
        at, rows = self._part(i)
        told, pieces = gathering(self.vectors, rows)
        return Recipe(_laid_out, (self.frame, at, self.told(i), told), pieces)

    def numbers(self, i: int) -> Indices:
        """Return the numbers of a block's vectors, in its order."""
        return self._part(i)[0]

    def __getitem__(self, i: Any) -> Any:
        at, rows = self._part(i)
        return Block.of(self.frame, at, self.vectors[rows], constraints=self.told(i))


def cut(vectors: Vectors | Pieces, *arguments: Any, **options: Any) -> Blocks:
    """Cut vectors into blocks, by :class:`Blocks`'s arguments."""
    return (DistantBlocks if isinstance(vectors, Pieces) else Blocks)(vectors, *arguments, **options)


Places = list[tuple[Indices, Indices]]


def gathering(vectors: Pieces, rows: Indices) -> tuple[tuple[int, int, Places], tuple[Any, ...]]:
    """Return how to gather rows: their number, the dimension, and the places of each piece's rows; and the pieces."""
    parts = vectors.find(rows)
    places = [(at, inside) for _, at, inside in parts]
    return (len(rows), vectors.shape[1], places), tuple(vectors.pieces[number] for number, _, _ in parts)


def gathered(told: tuple[int, int, Places], *pieces: Vectors) -> Vectors:
    """Return the rows described by :func:`gathering`."""
    vectors = np.empty(told[:2], dtype=np.float32)
    for (places, rows), piece in zip(told[2], pieces, strict=True):
        vectors[places] = piece[rows]
    return vectors


def _laid_out(
    frame: Frame,
    numbers: Indices,
    constraints: Constraints | None,
    told: tuple[int, int, Places],
    *pieces: Vectors,
) -> Block:
    return Block.of(frame, numbers, gathered(told, *pieces), constraints=constraints)
