"""Vectors to nearest neighbors by cosine distance: Annoy proposes, exact distances decide.

A forest is two files in one folder, each named after its content and opened by mapping: ``.f32``, the vectors as raw
float32 rows, and ``.ann``, Annoy's trees over them. Where Annoy is missing or its build is broken
there are no trees, and the same queries are answered exactly, in O(nd) time.

Annoy gets unit vectors and its `euclidean` metric: `angular` loses neighbors inside large groups of
near-equal vectors, even a query itself. Source: Annoy 1.17.3, https://github.com/spotify/annoy.
"""

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import exact
from . import vectors as vec
from .forest_check import annoy_index
from .forest_files import ForestFacts, check_file, name_by_content
from .neighbors import Progress
from .vectors import Floats, Indices, Singles

# Target of the tuned search: the share of sampled queries whose 25 neighbors are all true ones.
_TARGET_RECALL = 0.995
_SAMPLED_QUERIES = 256
_NEIGHBORS = 25  # as many as a search shows by default
_TIE = 1e-6
# Annoy's own float32 order may be off by one rounding, so a few more candidates than asked for are ranked.
_SPARE = 16
_BLOCK_ROWS = 4096


class Forest:
    """Nearest neighbors among the rows of one array; made by :func:`build` and :func:`load`.

    It reads mapped files and changes nothing, so threads and processes may share them.

    Args:
        vectors: ``(n, d)`` float32
        trees: Annoy's index over them, or None to search exactly
    """

    def __init__(self, vectors: Singles, trees: Any, facts: ForestFacts):
        self.vectors = vectors
        self.facts = facts
        self.trees = trees

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def exact(self) -> bool:
        """Whether every query is answered without Annoy; the reason is in ``facts.reason``."""
        return self.trees is None

    @cached_property
    def _lengths(self) -> NDArray[np.floating[Any]]:
        return vec.norms(self.vectors)

    def query(
        self,
        vector: Any,
        k: int | None = None,
        *,
        allowed: NDArray[np.bool_] | None = None,
        first: Indices | None = None,
    ) -> tuple[Indices, Floats]:
        """Return the ``k`` nearest rows to a vector and their cosine distances, nearest first.

        Ties are in the order of the rows. Where more rows than ``k`` share the last distance, Annoy decides which
        of them are returned.

        Args:
            vector: ``(d,)`` finite numbers of any length but zero
            k (None): number of rows, all when None; fewer are returned where fewer are allowed
            allowed (None): ``(n,)`` booleans, the rows that may be returned, all when None
            first (None): distinct rows that come before all others where they are allowed, such as the query itself

        Returns:
            ``(m,)`` int64 row numbers and ``(m,)`` float64 distances in [0, 2]

        Raises:
            ValueError: if ``k`` is below one
        """
        query = np.asarray(vector)
        rows, distances = self._search(query, k, allowed)
        leading = np.empty(0, dtype=np.int64) if first is None else first
        if allowed is not None:
            leading = leading[allowed[leading]]
        if not len(leading):
            return rows, distances
        leading, own = exact.rank(self.vectors, query, len(leading), leading)
        others = ~np.isin(rows, leading)
        found = np.concatenate([leading, rows[others]]), np.concatenate([own, distances[others]])
        return found[0][:k], found[1][:k]

    def _search(
        self, query: NDArray[Any], k: int | None, allowed: NDArray[np.bool_] | None
    ) -> tuple[Indices, Floats]:
        """Rank the candidates that Annoy proposes, or all rows where Annoy would save no time."""
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
    ) -> Indices | None:
        """Return at least ``size`` permitted rows, or None where Annoy would have to return half of all."""
        if self.trees is None:
            return None
        unit = vec.normalise(query[np.newaxis])[0]
        wanted = -(-size * len(self) // permitted) + _SPARE
        while 2 * wanted < len(self):
            # In proportion as many items are visited as for the 25 neighbors that the search was tuned for.
            visited = self.facts.search_k * max(1.0, wanted / (_NEIGHBORS + _SPARE))
            visited = min(int(visited), len(self) * self.facts.n_trees)
            found = np.array(self.trees.get_nns_by_vector(unit, wanted, search_k=visited), dtype=np.int64)
            if allowed is not None:
                found = found[allowed[found]]
            if len(found) >= size:
                return found
            wanted *= 4
        return None


def build(
    vectors: NDArray[Any],
    folder: Path,
    *,
    n_trees: int = 50,
    search_k: int = -1,
    seed: int = 51,
    progress: Progress = None,
) -> Forest:
    """Write the files of a forest over the vectors and open it.

    The same vectors and options give the same bytes: Annoy is seeded and builds with one thread.

    Args:
        vectors: ``(n, d)`` numbers; not modified
        folder: folder of the files; made if missing. A failed build leaves its files there
        n_trees (50): the number of trees; more is more exact, slower to build and larger
        search_k (-1): number of items that a search for 25 neighbors visits; -1 raises it until nearly all of
            256 sampled queries find their 25 true neighbors
        progress (None): called with ``(done, total)`` as vectors are added; an exception from it stops the build

    Raises:
        OSError: if the files cannot be written
        ValueError: if a vector holds NaN or infinity or has length zero
    """
    with np.errstate(over="ignore"):  # values beyond float32 become infinite, and are refused
        matrix = np.ascontiguousarray(vectors, dtype=np.float32)
    vec.check(matrix)
    folder.mkdir(parents=True, exist_ok=True)
    index_class, reason = annoy_index()
    matrix.tofile(folder / "vectors")
    name = name_by_content(folder / "vectors", ".f32")
    count, dimension = matrix.shape
    facts = ForestFacts(name, count, dimension, n_trees, seed, search_k, reason=reason)
    if count and index_class is not None:
        facts = replace(facts, trees=_write_trees(index_class, matrix, folder, facts, progress))
        facts = _tuned(_open(folder, facts))
    return _open(folder, facts)


def load(folder: Path, facts: ForestFacts) -> Forest:
    """Check the files of a forest, then open it: Annoy trusts its file, and would read past the end.

    Raises:
        OSError: if a file is missing or cannot be read
        ValueError: if a file is not as it was written
    """
    for name in facts.files:
        check_file(folder / name)
    return _open(folder, facts)


def _open(folder: Path, facts: ForestFacts) -> Forest:
    """Map the files of a forest."""
    mapped = np.empty((0, facts.dimension), dtype=np.float32)
    if facts.count:  # an empty file cannot be mapped
        shape = (facts.count, facts.dimension)
        mapped = np.asarray(np.memmap(folder / facts.vectors, dtype=np.float32, mode="r", shape=shape))
    if not facts.trees:
        return Forest(mapped, None, facts)
    index_class, reason = annoy_index()
    if index_class is None:
        return Forest(mapped, None, replace(facts, reason=reason))
    trees = index_class(facts.dimension, "euclidean")
    trees.load(str(folder / facts.trees))
    return Forest(mapped, trees, facts)


def _write_trees(
    index_class: Any, vectors: Singles, folder: Path, facts: ForestFacts, progress: Progress
) -> str:
    """Build in memory and save: on a full disk saving raises, where building in a mapped file would crash."""
    trees = index_class(facts.dimension, "euclidean")
    trees.set_seed(facts.seed)
    for start in range(0, facts.count, _BLOCK_ROWS):
        if progress is not None:
            progress(start, facts.count)
        for row, unit in enumerate(vec.normalise(vectors[start : start + _BLOCK_ROWS]), start):
            trees.add_item(row, unit)
    if progress is not None:
        progress(facts.count, facts.count)
    trees.build(facts.n_trees, n_jobs=1)
    path = folder / "trees"
    try:
        trees.save(str(path))
    except Exception as error:  # Annoy's errors are of no narrower type
        raise OSError(f"Annoy could not write {path}: {error}") from error
    trees.unload()
    return name_by_content(path, ".ann")


def _tuned(forest: Forest) -> ForestFacts:
    """Measure the recall on sampled rows and, if asked to, raise ``search_k`` until it is high enough."""
    facts = forest.facts
    sample = np.random.default_rng(facts.seed).permutation(facts.count)[:_SAMPLED_QUERIES]
    k = min(_NEIGHBORS, facts.count)

    def farthest(candidate: Forest) -> NDArray[np.float64]:
        return np.array([candidate.query(forest.vectors[row], k)[1][-1] for row in sample])

    limits = farthest(Forest(forest.vectors, None, facts)) + _TIE
    tried = facts if facts.search_k != -1 else replace(facts, search_k=facts.n_trees * (_NEIGHBORS + _SPARE))
    while True:
        hits = farthest(Forest(forest.vectors, forest.trees, tried)) <= limits
        tried = replace(tried, recall=float(np.mean(hits)))
        all_visited = tried.search_k >= facts.count * facts.n_trees
        if facts.search_k != -1 or tried.recall >= _TARGET_RECALL or all_visited:
            return tried
        tried = replace(tried, search_k=2 * tried.search_k)
