"""Vectors to nearest neighbors by cosine distance: Annoy proposes, exact distances decide.

A forest is two files in one folder, each named after its content, written beside and then renamed, never
edited, opened by mapping: ``<digest>.f32``, the vectors as raw float32 rows, and
``<digest>-<n_trees>-<seed>.ann``, Annoy's trees over them. Where Annoy is missing or its build is broken
there are no trees, and the same queries are answered exactly, in O(nd) time.

Annoy gets unit vectors and its `euclidean` metric: `angular` loses neighbors inside large groups of
near-equal vectors, even a query itself. Source: Annoy 1.17.3, https://github.com/spotify/annoy.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import exact
from . import vectors as vec
from .exact import Distances, Matrix, Rows
from .forest_check import annoy_index
from .forest_files import BLOCK_ROWS, Beside, ForestFacts, map_vectors, publish, write_vectors

Progress = Callable[[int, int], None]

# What the tuned search must reach: the share of sampled queries whose ten neighbors are all true ones.
_TARGET_RECALL = 0.995
_SAMPLED_QUERIES = 256
_NEIGHBORS = 10
_TIE = 1e-6
# Annoy's own float32 order may be off by one rounding, so a few more candidates than asked for are ranked.
_SPARE = 16


class Forest:
    """Nearest neighbors among the rows of one array; made by :func:`build` and :func:`load`.

    It reads mapped files and changes nothing, so threads and processes may share them.

    Args:
        vectors: ``(n, d)`` float32
        trees: Annoy's index over them, or None to search exactly
        facts: what is known about it
    """

    def __init__(self, vectors: Matrix, trees: Any, facts: ForestFacts):
        self.vectors = vectors
        self.facts = facts
        self._trees = trees

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def exact(self) -> bool:
        """Whether every query is answered without Annoy; ``reason`` says why."""
        return self._trees is None

    @property
    def reason(self) -> str:
        """Why queries are answered without Annoy, or ``""``."""
        return self.facts.reason

    @cached_property
    def _lengths(self) -> NDArray[np.floating[Any]]:
        return vec.norms(self.vectors)

    def query(
        self, vector: Any, k: int | None = None, *, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[Rows, Distances]:
        """Return the ``k`` nearest rows to a vector and their cosine distances, nearest first.

        Ties are in the order of the rows. Where more rows than ``k`` share the last distance, which of
        them are returned is up to Annoy.

        Args:
            vector: ``(d,)`` numbers of any length but zero
            k (None): how many, all when None; fewer are returned where fewer are allowed
            allowed (None): ``(n,)`` booleans, the rows that may be returned, all when None

        Returns:
            ``(m,)`` int64 row numbers and ``(m,)`` float64 distances in [0, 2]

        Raises:
            ValueError: if the vector has another size, NaN, infinity or length zero, or ``k`` is below one
        """
        return self._search(self._checked(vector), k, allowed)

    def query_row(
        self, row: int, k: int | None = None, *, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[Rows, Distances]:
        """Return the ``k`` nearest rows to one of the rows, that row itself first; else as :meth:`query`."""
        rows, distances = self._search(self.vectors[row], k, allowed)
        if allowed is not None and not allowed[row]:
            return rows, distances
        others = rows != row
        size = len(rows)
        rows = np.concatenate([np.array([row], dtype=np.int64), rows[others]])[:size]
        return rows, np.concatenate([np.zeros(1), distances[others]])[:size]

    def _checked(self, vector: Any) -> NDArray[Any]:
        """Return a query vector, or raise if it cannot be compared with the rows."""
        query = np.asarray(vector)
        trouble = vec.problem(query)
        if trouble is None and len(query) != self.facts.dimension:
            trouble = f"has {len(query)} values"
        if trouble:
            raise ValueError(f"the query {trouble}; it must be one vector of {self.facts.dimension} numbers")
        return query

    def _search(
        self, query: NDArray[Any], k: int | None, allowed: NDArray[np.bool_] | None
    ) -> tuple[Rows, Distances]:
        """Rank the candidates that Annoy proposes, or all rows where asking it would be no gain."""
        if k is not None and k < 1:
            raise ValueError(f"k is {k}; ask for at least 1 neighbor, or None for all")
        permitted = len(self) if allowed is None else int(np.count_nonzero(allowed))
        size = permitted if k is None else min(k, permitted)
        if size == 0:
            return np.empty(0, dtype=np.int64), np.empty(0)
        candidates = self._candidates(query, size, permitted, allowed)
        if candidates is None:
            rows = None if allowed is None else np.flatnonzero(allowed)
            return exact.nearest(self.vectors, self._lengths, query, size, rows)
        return exact.rank(self.vectors, query, size, candidates)

    def _candidates(
        self, query: NDArray[Any], size: int, permitted: int, allowed: NDArray[np.bool_] | None
    ) -> Rows | None:
        """Return at least ``size`` permitted rows, or None where Annoy would have to return half of all."""
        if self._trees is None:
            return None
        unit = vec.normalise(query[np.newaxis])[0]
        wanted = -(-size * len(self) // permitted) + _SPARE
        while 2 * wanted < len(self):
            found = self._propose(unit, wanted)
            if allowed is not None:
                found = found[allowed[found]]
            if len(found) >= size:
                return found
            wanted *= 4
        return None

    def _propose(self, unit: Matrix, wanted: int) -> Rows:
        """Ask Annoy, visiting in proportion as many items as for the ten neighbors it was tuned for."""
        visited = self.facts.search_k * max(1.0, wanted / (_NEIGHBORS + _SPARE))
        visited = min(int(visited), len(self) * self.facts.n_trees)
        return np.array(self._trees.get_nns_by_vector(unit, wanted, search_k=visited), dtype=np.int64)


def build(
    vectors: Any,
    folder: Path,
    *,
    n_trees: int = 50,
    search_k: int = -1,
    seed: int = 51,
    cache_folder: Path | None = None,
    progress: Progress | None = None,
) -> Forest:
    """Write the files of a forest over the vectors and open it.

    The same vectors and options give the same bytes: Annoy is seeded and builds with one thread.

    Args:
        vectors: an ``(n, d)`` array of numbers, or an iterable of such blocks, so that the vectors need
            not be in memory together; not modified
        folder: where the files go; made if missing
        n_trees (50): the number of trees; more is more exact, slower to build and larger
        search_k (-1): how many items a search for ten neighbors visits; -1 raises it until nearly all of
            256 sampled queries find their ten true neighbors
        seed (51): Annoy's seed
        cache_folder (None): where the verdict on Annoy's build is kept
        progress (None): called with ``(done, total)`` as vectors are added; an exception from it stops
            the build and leaves no files half written

    Returns:
        a :class:`Forest`

    Raises:
        ValueError: if an option is out of bounds, or a vector holds NaN or infinity, has length zero or
            another size than the first
    """
    check_options(n_trees, search_k, seed)
    folder.mkdir(parents=True, exist_ok=True)
    digest, count, dimension = write_vectors(vectors, folder)
    index_class, reason = annoy_index(cache_folder)
    facts = ForestFacts(digest, count, dimension, n_trees, seed, search_k, reason=reason)
    if count and index_class is not None:
        mapped = map_vectors(folder, facts)
        _write_trees(index_class, mapped, folder / facts.trees_file, facts, progress)
        facts = replace(facts, trees_bytes=(folder / facts.trees_file).stat().st_size)
        facts = _tuned(Forest(mapped, _open_trees(index_class, folder, facts), facts))
    return load(folder, facts, cache_folder=cache_folder)


def load(folder: Path, facts: ForestFacts, *, cache_folder: Path | None = None) -> Forest:
    """Open a forest by mapping its files; milliseconds at any size.

    Raises:
        OSError: if a file is missing or cannot be read
        ValueError: if a file has not the size that the facts imply
    """
    mapped = map_vectors(folder, facts)
    if facts.reason or not facts.count:
        return Forest(mapped, None, facts)
    index_class, reason = annoy_index(cache_folder)
    if index_class is None:
        return Forest(mapped, None, replace(facts, reason=reason))
    return Forest(mapped, _open_trees(index_class, folder, facts), facts)


def check_options(n_trees: int, search_k: int, seed: int) -> None:
    """Raise unless the options are in bounds."""
    if n_trees < 1:
        raise ValueError(f"n_trees is {n_trees}; it must be at least 1 (50 is usual)")
    if search_k != -1 and search_k < 1:
        raise ValueError(f"search_k is {search_k}; it must be at least 1, or -1 to have it chosen")
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed is {seed}; it must be from 0 to {2**32 - 1}")


def _write_trees(
    index_class: Any, vectors: Matrix, path: Path, facts: ForestFacts, progress: Progress | None
) -> None:
    """Build in memory and save: on a full disk that raises, where building in a mapped file would crash."""
    trees = index_class(facts.dimension, "euclidean")
    trees.set_seed(facts.seed)
    for start in range(0, facts.count, BLOCK_ROWS):
        if progress is not None:
            progress(start, facts.count)
        for row, unit in enumerate(vec.normalise(vectors[start : start + BLOCK_ROWS]), start):
            trees.add_item(row, unit)
    if progress is not None:
        progress(facts.count, facts.count)
    trees.build(facts.n_trees, n_jobs=1)
    with Beside(path.parent) as temporary:
        trees.save(str(temporary))
        trees.unload()
        publish(temporary, path)


def _tuned(forest: Forest) -> ForestFacts:
    """Measure the recall on sampled rows and, if asked to, raise ``search_k`` until it is high enough."""
    facts = forest.facts
    sample = np.random.default_rng(facts.seed).permutation(facts.count)[:_SAMPLED_QUERIES]
    k = min(_NEIGHBORS, facts.count)
    truth = Forest(forest.vectors, None, facts)
    limits = [truth.query_row(row, k)[1][-1] + _TIE for row in sample]
    tried = facts if facts.search_k != -1 else replace(facts, search_k=facts.n_trees * (_NEIGHBORS + _SPARE))
    while True:
        candidate = Forest(forest.vectors, forest._trees, tried)
        hits = [
            candidate.query_row(row, k)[1][-1] <= limit for row, limit in zip(sample, limits, strict=True)
        ]
        tried = replace(tried, recall=float(np.mean(hits)))
        all_visited = tried.search_k >= facts.count * facts.n_trees
        if facts.search_k != -1 or tried.recall >= _TARGET_RECALL or all_visited:
            return tried
        tried = replace(tried, search_k=2 * tried.search_k)


def _open_trees(index_class: Any, folder: Path, facts: ForestFacts) -> Any:
    """Map Annoy's file, which Annoy itself trusts: cut short, it would read past the end."""
    path = folder / facts.trees_file
    if path.stat().st_size != facts.trees_bytes:
        raise ValueError(f"{path} has {path.stat().st_size} bytes instead of {facts.trees_bytes}; delete it")
    trees = index_class(facts.dimension, "euclidean")
    trees.load(str(path))
    return trees
