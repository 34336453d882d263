"""Jobs for another process, in which this package may have another name."""

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
"""The package's name in the jobs' processes. FiftyOne loads a plugin under a name that no other process can import."""

_HERE = __name__.removesuffix(".engine.elsewhere")
_BLOCKS = 4  # made blocks that a process keeps in memory: one row of tiles shares its first block

_made: OrderedDict[Any, Any] = OrderedDict()


class _Pickler(pickle.Pickler):
    """Pickles functions and classes of this package by their name in the other process."""

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
    """The blocks of one run, to be made by other processes.

    Args:
        put: stores bytes for other processes, and returns their key
        blocks: returns, by ``recipe(i)``, the recipe of a block
    """

    def __init__(self, put: Callable[[bytes], Any], blocks: Any):
        self._put, self._blocks, self._name = put, blocks, uuid.uuid4().hex
        self._recipes: dict[int, tuple[Any, tuple[Any, ...]]] = {}

    def arguments(self, job: Job) -> tuple[Any, ...]:
        """Return the arguments of :func:`answer` for a job; each block's recipe is stored on first use."""
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
    """Compute a job's answer.

    Args:
        job: the packed task, its arguments, and the number of pieces of the left block
        keys: names of the two blocks; equal names mean the same block
        left, right: packed :class:`~similarity.engine.distant.Recipe`'s ``make`` and ``arguments``; None in place of
            the right one where a block is compared with itself
        pieces: the left block's pieces, then the right one's
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
