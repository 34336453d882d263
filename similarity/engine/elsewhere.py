"""Jobs in another process, which may know this package by another name than the process that sends them."""

from __future__ import annotations

import io
import pickle
import pydoc
import uuid
from collections import OrderedDict
from collections.abc import Callable
from types import FunctionType
from typing import Any

from .tiles import Job

NAME = "similarity"
"""The package's name where jobs are carried out. FiftyOne loads a plugin under a name that no other process can import."""

_HERE = __name__.removesuffix(".engine.elsewhere")
_BLOCKS = 4  # made blocks that a process remembers: one row of tiles shares its first block

_made: OrderedDict[Any, Any] = OrderedDict()


class _Pickler(pickle.Pickler):
    """Sends functions and classes of this package by the name that they have elsewhere."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, type | FunctionType) and value.__module__.startswith(f"{_HERE}."):
            module = NAME + value.__module__.removeprefix(_HERE)
            return pydoc.locate, (f"{module}.{value.__qualname__}",)
        return NotImplemented


def packed(value: Any) -> bytes:
    """Pickle a value of NumPy arrays, plain values, and functions and classes of this package."""
    file = io.BytesIO()
    _Pickler(file, protocol=pickle.HIGHEST_PROTOCOL).dump(value)
    return file.getvalue()


class Shipped:
    """The blocks of one run as other processes make them.

    Args:
        put: puts bytes where other processes find them, and returns by what
        blocks: gives, by ``recipe(i)``, how to make a block
    """

    def __init__(self, put: Callable[[bytes], Any], blocks: Any):
        self._put, self._blocks, self._name = put, blocks, uuid.uuid4().hex
        self._recipes: dict[int, tuple[Any, tuple[Any, ...]]] = {}

    def arguments(self, job: Job) -> tuple[Any, ...]:
        """Return what :func:`answer` needs for a job; each block's recipe is put there when it is wanted first."""
        left, pieces = self._recipe(job.left)
        right, others = (None, ()) if job.left == job.right else self._recipe(job.right)
        keys = (self._name, job.left), (self._name, job.right)
        return packed((job.task, job.known, len(pieces))), keys, left, right, *pieces, *others

    def _recipe(self, i: int) -> tuple[Any, tuple[Any, ...]]:
        if i not in self._recipes:
            recipe = self._blocks.recipe(i)
            self._recipes[i] = self._put(packed((recipe.make, recipe.arguments))), recipe.pieces
        return self._recipes[i]


def answer(job: bytes, keys: tuple[Any, Any], left: bytes, right: bytes | None, *pieces: Any) -> Any:
    """Carry out a job.

    Args:
        job: the packed task, what it is told, and how many of the pieces are the left block's
        keys: names of the two blocks: equal ones name the same block
        left, right: packed :class:`~similarity.engine.distant.Recipe`'s ``make`` and ``arguments``; None in place of
            the right one where a block is compared with itself
        pieces: those of the left block, then those of the right one
    """
    task, known, count = pickle.loads(job)
    one = _block(keys[0], left, pieces[:count])
    other = None if right is None else _block(keys[1], right, pieces[count:])
    return task(one, other, *known)


def _block(key: Any, recipe: bytes, pieces: tuple[Any, ...]) -> Any:
    if key not in _made:
        make, arguments = pickle.loads(recipe)
        _made[key] = make(*arguments, *pieces)
    _made.move_to_end(key)
    while len(_made) > _BLOCKS:
        _made.popitem(last=False)
    return _made[key]
