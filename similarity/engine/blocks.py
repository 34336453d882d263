"""Vectors cut into blocks, laid out so that one matrix product compares all vectors of two blocks."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import vectors as vec
from .constraints import Constraints
from .pieces import Pieces
from .sketch import Sketch
from .vectors import Floats, Indices, Singles, Vectors

SIZE = 8192  # vectors of a block

_LONG = 192  # values of a vector from which a sketch saves more than it costs
_MANY = 2048  # vectors from which it does
_SAMPLE = 4096
_LEAF = 64


@dataclass(frozen=True, eq=False)
class Frame:
    """The layout of the vectors of one set, the same in each of its blocks.

    A product of two laid out vectors is their score, which falls with their distance. For cosine it is cos. For
    euclidean it is minus half the squared distance, of vectors shifted and scaled into the unit ball, where float32
    loses the least precision.

    Attributes:
        metric: one of :data:`~similarity.engine.vectors.METRICS`
        dimension: number of values of a vector
        centre, scale: ``(d,)`` and a length, of the ball
        sketch: None where it saves no time
    """

    metric: str
    dimension: int
    centre: Floats
    scale: float
    sketch: Sketch | None = None

    @classmethod
    def of(cls, vectors: Vectors | Pieces, metric: str, *, sketch: bool = False) -> Frame:
        """Return the frame of these vectors, with a sketch of a fixed sample where it saves time."""
        if metric not in vec.METRICS:
            raise ValueError(f"metric must be one of {', '.join(vec.METRICS)}, got {metric!r}")
        n, d = vectors.shape
        plain = cls(metric, d, *(_ball(vectors) if metric == "euclidean" else (np.zeros(d), 1.0)))
        if not sketch or n <= _MANY or d < _LONG:
            return plain
        sample = plain.points(vectors[:: max(1, n // _SAMPLE)])
        return replace(plain, sketch=Sketch.of(sample))

    @property
    def top(self) -> float:
        """The score of two equal vectors; below it the score falls by half the squared distance."""
        return 1.0 if self.metric == "cosine" else 0.0

    @property
    def slack(self) -> float:
        """A bound on the rounding error of a score.

        Measured below 1e-6 for 512 values of one sign, the worst case; grows with the square root.
        """
        return 4e-6 * max(1.0, math.sqrt(self.dimension / 512))

    def score(self, distance: Any) -> Any:
        """Return the score of pairs at ``distance`` (scalar or array)."""
        return 1.0 - distance if self.metric == "cosine" else -0.5 * np.square(distance / self.scale)

    def distance(self, scores: NDArray[Any]) -> Floats:
        """Return the distances for ``scores``, to float32's precision."""
        scores = scores.astype(np.float64)
        if self.metric == "cosine":
            return np.maximum(1.0 - scores, 0.0)
        return self.scale * np.sqrt(np.maximum(-2.0 * scores, 0.0))

    def points(self, vectors: Vectors) -> Singles:
        """Return the vectors at length 1, or in the unit ball, ``(n, d)``."""
        if self.metric == "cosine":
            return vec.normalise(vectors)
        result = np.empty(vectors.shape, dtype=np.float32)
        for part in vec.chunks(*vectors.shape):
            result[part] = (vectors[part] - self.centre) / self.scale
        return result


@dataclass(frozen=True, eq=False)
class Block:
    """Some vectors of a set, ready to be compared; arrays computed by :meth:`of` are not pickled.

    ``one.left @ other.right.T`` are the scores of two blocks.

    Attributes:
        numbers: ``(m,)`` the numbers of the vectors, in the set
        vectors: ``(r, d)`` as given
        rows: ``(m,)`` their rows in ``vectors``
        left, right: ``(m, k)`` the vectors laid out
        sketch: a smaller ``left, right``, whose product is never less than score - top, rounding apart; or None
        constraints: which of the vectors may be neighbors; None = all
    """

    frame: Frame
    numbers: Indices
    vectors: Vectors
    rows: Indices
    left: Singles
    right: Singles
    sketch: tuple[Singles, Singles] | None
    constraints: Constraints | None = None

    @classmethod
    def of(
        cls,
        frame: Frame,
        numbers: Indices,
        vectors: Vectors,
        rows: Indices | None = None,
        constraints: Constraints | None = None,
        *,
        arrange: bool = False,
    ) -> Block:
        """Lay vectors out; with ``arrange`` and a sketch, mostly place near vectors near each other."""
        rows = np.arange(len(vectors)) if rows is None else rows
        points = frame.points(vectors[rows])
        left = right = points
        if frame.metric == "euclidean":
            left, right = _minus_half_squares(points, -0.5 * np.square(vec.norms(points)))
        if frame.sketch is None:
            return cls(frame, numbers, vectors, rows, left, right, None, constraints)
        flat, half = frame.sketch.flatten(points)
        block = cls(frame, numbers, vectors, rows, left, right, _minus_half_squares(flat, half), constraints)
        return block.take(_compact_order(flat)) if arrange else block

    def __len__(self) -> int:
        return len(self.numbers)

    def __reduce__(self) -> tuple[Any, ...]:
        return Block.of, (self.frame, self.numbers, self.vectors[self.rows], None, self.constraints)

    def take(self, places: Any) -> Block:
        """Return a block of some of the vectors."""
        left = self.left[places]
        sides = (left, left if self.left is self.right else self.right[places])
        sketch = None if self.sketch is None else (self.sketch[0][places], self.sketch[1][places])
        constraints = self.constraints.take(places) if self.constraints else None
        return Block(
            self.frame, self.numbers[places], self.vectors, self.rows[places], *sides, sketch, constraints
        )

    def products(self, places: Any, other: Block, places_there: Any) -> Singles:
        """Return the scores ``(m, k)`` of some vectors here with some of another block, -inf where a pair is not allowed."""
        scores: Singles = self.left[places] @ other.right[places_there].T
        if self.constraints and other.constraints:
            mine, others = self.constraints.take(places), other.constraints.take(places_there)
            allowed = mine.allow(np.arange(len(scores))[:, None], others, np.arange(scores.shape[1]))
            scores[~allowed] = -np.inf
        return scores

    def scores(self, places: Indices, other: Block, places_there: Indices) -> Singles:
        """Return the score ``(m,)`` of each pair of a vector here and one of another block."""
        result = np.empty(len(places), dtype=np.float32)
        for part in vec.chunks(len(places), 4 * self.left.shape[1]):
            result[part] = np.einsum("ij,ij->i", self.left[places[part]], other.right[places_there[part]])
        return result

    def distances(self, places: Indices, other: Block, places_there: Indices) -> Floats:
        """Return the distance ``(m,)`` of each pair of a vector here and one of another block, in float64."""
        rows, rows_there = self.rows[places], other.rows[places_there]
        return vec.between(self.vectors, rows, rows_there, metric=self.frame.metric, others=other.vectors)


class Blocks:
    """Vectors cut into blocks, each made on first use.

    Args:
        vectors: ``(n, d)``, checked; not modified. Anything that has a shape and a dtype, and gives rows for a slice
        metric: one of :data:`~similarity.engine.vectors.METRICS`
        chosen: ``(u,)`` the rows that take part; the vector in row ``chosen[i]`` has the number ``i``. A block reads all
            rows between its first and its last
        constraints (None): of the ``chosen``, in their order; by default all may be neighbors
        sketch (False): whether a sketch may rule out far pairs, which saves time where few pairs are near
    """

    def __init__(
        self,
        vectors: Vectors | Pieces,
        metric: str,
        chosen: Indices,
        constraints: Constraints | None = None,
        *,
        sketch: bool = False,
    ):
        self.frame = Frame.of(vectors, metric, sketch=sketch)
        self.vectors = vectors
        self.chosen = chosen
        self.constraints = constraints
        self.size = SIZE
        self._made: dict[int, Block] = {}

    def __len__(self) -> int:
        return -(-len(self.chosen) // self.size)

    def __getitem__(self, i: Any) -> Any:
        if i not in self._made:
            at, rows = self._part(i)
            if not len(rows):
                raise IndexError(i)  # which ends an iteration
            start = rows.min()
            read = self.vectors[start : rows.max() + 1]
            # Vectors that may be neighbors are adjacent as chosen: another arrangement would mix them.
            some = self.told(i)
            self._made[i] = Block.of(self.frame, at, read, rows - start, some, arrange=some is None)
        return self._made[i]

    def numbers(self, i: int) -> Indices:
        """Return the numbers of a block's vectors, in its order."""
        numbers: Indices = self[i].numbers
        return numbers

    def told(self, i: int) -> Constraints | None:
        """Return the constraints of a block's vectors."""
        return self.constraints.take(self._part(i)[0]) if self.constraints else None

    def _part(self, i: int) -> tuple[Indices, Indices]:
        """Return the numbers and the rows of a block."""
        at = np.arange(i * self.size, min(len(self.chosen), (i + 1) * self.size))
        return at, self.chosen[at]


def _ball(vectors: Vectors | Pieces) -> tuple[Floats, float]:
    """Return the centre of the vectors, and its distance to the farthest."""
    centre = np.zeros(vectors.shape[1])
    for part in vec.chunks(*vectors.shape):
        centre += vectors[part].sum(axis=0, dtype=np.float64)
    centre /= max(1, len(vectors))
    farthest = 0.0
    for part in vec.chunks(*vectors.shape):
        farthest = max(farthest, float(vec.norms(vectors[part] - centre).max()))
    return centre, farthest or 1.0


def _compact_order(points: Singles) -> Indices:
    """Return an order ``(n,)`` in which near points are mostly near each other.

    It is the order of the leaves of a k-d tree (Bentley 1975), halved repeatedly at the median of the widest column.
    """
    order = np.arange(len(points))
    parts = [slice(0, len(points))]
    while parts:
        part = parts.pop()
        size = part.stop - part.start
        if size > _LEAF:
            inside = order[part]
            values = points[inside, int(points[inside].var(axis=0).argmax())]
            order[part] = inside[np.argpartition(values, size // 2)]
            middle = part.start + size // 2
            parts += [slice(part.start, middle), slice(middle, part.stop)]
    return order


def _minus_half_squares(points: Singles, half: Floats) -> tuple[Singles, Singles]:
    """Return two arrays whose product is minus half the squared distances of the points.

    Args:
        points: ``(n, d)``
        half: ``(n,)`` minus half their squared lengths
    """
    column = half.astype(np.float32)[:, None]
    one = np.ones_like(column)
    return np.hstack([points, column, one]), np.hstack([points, one, column])
