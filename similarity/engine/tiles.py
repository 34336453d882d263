"""Comparison of vectors by tiles: independent tasks on two blocks, and the merging of their answers.

A task is a function of two blocks, or of one compared with itself (None in place of the second), and of arguments about
their vectors. It can be sent to another process: it reads nothing else and changes nothing. Its arguments may be out of
date, which costs time only. A ``Run`` computes the jobs, in any order and any process.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .blocks import Block, Blocks
from .constraints import Constraints
from .neighbors import Progress, numbers, pairs
from .vectors import Indices

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Job:
    """A tile: its task, its two blocks (the same number twice: one with itself), and the task's arguments."""

    task: Callable[..., Any]
    left: int
    right: int
    known: tuple[Any, ...]

    def answer(self, left: Block, right: Block) -> Any:
        """Compute the task's answer."""
        return self.task(left, None if self.left == self.right else right, *self.known)


Run = Callable[[Iterable[Job], Blocks], Generator[tuple[tuple[int, int], Any] | None, None, None]]
"""Computes jobs: yields the numbers of a job's blocks and its answer; in any order, late, or twice.

While it waits for answers it yields None now and then, so that whoever reads them can be cancelled.
"""


def here(jobs: Iterable[Job], blocks: Blocks) -> Generator[tuple[tuple[int, int], Any], None, None]:
    """Compute jobs in this process, one after the other."""
    for job in jobs:
        yield (job.left, job.right), job.answer(blocks[job.left], blocks[job.right])


def compare(
    blocks: Blocks,
    task: Callable[..., Any],
    known: Callable[[Indices], tuple[Any, ...] | None],
    *,
    run: Run = here,
    progress: Progress = None,
) -> Iterator[Any]:
    """Yield the answer of each tile of the upper triangle once, without tiles in which no two vectors may be neighbors.

    Args:
        known: called with the numbers of a tile's vectors just before the tile; returns the task's further arguments,
            or None to leave the tile out
        run (here): computes the jobs
        progress (None): called with (tiles done, tiles in all) at the start and after each tile; may raise to cancel
    """
    total = len(blocks) * (len(blocks) + 1) // 2
    left_out, answered = 0, set()

    def jobs() -> Iterator[Job]:
        nonlocal left_out
        for i in range(len(blocks)):
            for j in range(i, len(blocks)):
                at = blocks.numbers(i)
                at = at if i == j else np.concatenate([at, blocks.numbers(j)])
                told = None if _apart(blocks.told(i), blocks.told(j)) else known(at)
                if told is None:
                    left_out += 1
                else:
                    yield Job(task, i, j, told)

    progress = progress or (lambda done, total: None)
    progress(0, total)
    with closing(run(jobs(), blocks)) as answers:
        for found in answers:
            if found is not None and found[0] not in answered:
                answered.add(found[0])
                yield found[1]
            progress(len(answered) + left_out, total)
    if (missing := total - left_out - len(answered)) > 0:
        raise RuntimeError(f"{missing} of {total} tiles were not answered")
    progress(total, total)


def near(left: Block, right: Block | None, limit: float, most: int) -> tuple[Indices, Indices] | None:
    """Task: return all pairs within a limit, as ``rows, cols``; None if there are more than ``most``."""
    at, found, count = numbers(left, right), [], 0
    for rows, cols in pairs(left, right, limit):
        count += len(rows)
        if count > most:
            return None
        found.append((at[rows], at[cols]))
    return joined(found)


def count(
    left: Block, right: Block | None, limit: float, weights: Indices, missing: Indices
) -> tuple[Indices, Indices]:
    """Task: count the neighbors of each vector in the tile, as ``numbers, counts``.

    Args:
        left, right, limit: as for :func:`~similarity.engine.neighbors.pairs`
        weights: ``(m,)`` multiplicity of each vector
        missing: ``(m,)`` number of neighbors that each vector lacks; vectors that have enough may be counted short
    """
    counts = np.zeros(len(weights), dtype=np.intp)
    groups = np.where(missing > 0, np.arange(len(weights)), -1)
    for rows, cols in pairs(left, right, limit, groups=groups):
        counts += np.bincount(rows, weights[cols], len(counts)).astype(np.intp)
        counts += np.bincount(cols, weights[rows], len(counts)).astype(np.intp)
        groups[counts >= missing] = -1
    return numbers(left, right), counts


def connect(
    left: Block, right: Block | None, limit: float, core: Bools, groups: Indices
) -> tuple[tuple[Indices, Indices], tuple[Indices, Indices]]:
    """Task: return the connections of core vectors, and the components that the other vectors touch.

    Args:
        left, right, limit: as for :func:`~similarity.engine.neighbors.pairs`
        core: ``(m,)``
        groups: ``(m,)`` equal for vectors that are known to be connected

    Returns:
        two lists of pairs of numbers: at most one for each core vector, and for each other one at most one for each
        component that it touches, the core vector second
    """
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    root = first[group]
    before, borders = root.copy(), []
    for rows, cols in pairs(left, right, limit, groups=root):
        both = core[rows] & core[cols]
        unite(root, rows[both], cols[both])
        if not both.all():
            for one, other in ((rows, cols), (cols, rows)):
                touches = ~core[one] & core[other]
                borders.append((one[touches], other[touches]))
        root[:] = find(root, np.arange(len(root)))
    at = numbers(left, right)
    new = np.flatnonzero((before == np.arange(len(root))) & (root != before))
    border, touched = joined(borders)
    keys = np.unique(border * len(root) + root[touched])
    border, touched = np.divmod(keys, max(1, len(root)))
    return (at[root[new]], at[new]), (at[border], at[touched])


def _apart(left: Constraints | None, right: Constraints | None) -> bool:
    """Return whether no vector of a block may be a neighbor of one of another."""
    if not (left and right):
        return False
    every, every_there = slice(0, len(left.groups)), slice(0, len(right.groups))
    return not range(len(left.groups))[left.span(every, right, every_there)]


def find(root: Indices, some: Indices) -> Indices:
    """Return the root of the component of each of ``some``, and shorten the paths to it."""
    top = root[some]
    while ((above := root[top]) != top).any():
        top = above
    root[some] = top
    return top


def unite(root: Indices, left: Indices, right: Indices) -> None:
    """Join the components of each pair in place; the smallest number of a component is its root."""
    while len(left):
        left, right = find(root, left), find(root, right)
        apart = left != right
        left, right = np.minimum(left[apart], right[apart]), np.maximum(left[apart], right[apart])
        np.minimum.at(root, right, left)


def joined(parts: list[tuple[Indices, Indices]]) -> tuple[Indices, Indices]:
    """Return lists of pairs as one."""
    empty = np.empty(0, dtype=np.intp)
    return (
        np.concatenate([empty, *(left for left, _ in parts)]),
        np.concatenate([empty, *(right for _, right in parts)]),
    )
