"""An index against its field as it is now: the forest without what is gone or has changed, and what it lacks, counted.

The App's server makes a new results object for every click, so states are kept in the process beside the index that
they are of: a click where nothing was written costs a millisecond.
"""

from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import fiftyone as fo
import numpy as np
from numpy.typing import NDArray

from ..data import freshness
from ..data.freshness import ABSENT, UNKNOWN, Look
from ..data.samples import everything
from ..data.vectors import gather
from ..result import Skipped, count
from .store import BuiltIndex, IndexFolder, IndexSettings, Version, load

_CHUNK = 10_000  # vectors read at once


@dataclass(frozen=True)
class IndexStatus:
    """How an index relates to its field.

    Args:
        built: the number of vectors in the forest
        newer: samples that have got a vector since; they are not found
        changed: samples in the forest with another vector since; they are not found
        removed: samples in the forest that have no vector any more; they are not found
        skipped: sample id -> why it was not usable when the index was built
        exact: whether queries are answered without Annoy
        reason: why, or ``""``
        recall: the share of sampled queries whose ten neighbors were all true ones, measured when built
        search_k: how many items a search for ten neighbors visits
    """

    built: int
    newer: int
    changed: int
    removed: int
    skipped: Skipped
    exact: bool
    reason: str
    recall: float
    search_k: int

    def to_dict(self) -> dict[str, Any]:
        """Return the status as plain Python values."""
        return asdict(self)

    def lacks(self) -> str:
        """The samples that have a vector and cannot be found, in words; ``""`` where there are none."""
        kinds = ((self.newer, "newer sample"), (self.changed, "changed sample"))
        found = " and ".join(count(number, kind) for number, kind in kinds if number)
        return found and f"{found} {'is' if self.newer + self.changed == 1 else 'are'} not in the index"

    def advice(self) -> str:
        """What the index lacks, and what to do; ``""`` where it lacks nothing."""
        lacks = self.lacks()
        return lacks and f"{lacks}: build it again (build_similarity_index)."


@dataclass(frozen=True, eq=False)
class State:
    """What an index holds now; immutable. Positions number its samples: the rows that are still valid, in their order.

    Args:
        built: the index as built
        known: the ids of all samples at the last look
        cleared: ids of samples that have no vector any more
        changed: ids of rows whose samples have another one
        newer: ids of samples that have got a vector since
        seen: the last look; None before the first
    """

    built: BuiltIndex
    known: frozenset[str]
    cleared: frozenset[str] = frozenset()
    changed: frozenset[str] = frozenset()
    newer: frozenset[str] = frozenset()
    seen: Look | None = None

    def refreshed(self, dataset: fo.Dataset, name: str) -> "State":
        """Return the state after a look at the field ``name``; itself if nothing was written."""
        now = freshness.look(dataset, name, self.built.settled)
        if now == self.seen:
            return self
        before = self.seen.marks if self.seen else {}
        moved = [mark for mark, number in now.marks.items() if before.get(mark) != number]
        suspects = freshness.stamps(dataset, name, moved) if moved else {}
        known = self.known.union(suspects)
        if len(known) != now.count:
            live = freshness.ids(dataset)
            returned = live - known  # raw copies of removed samples keep their marks
            suspects |= freshness.stamps(dataset, name, among=returned) if returned else {}
            known = frozenset(live)
        state = replace(self, known=known, seen=now)
        return state._sorted(dataset, name, suspects)

    def _sorted(self, dataset: fo.Dataset, name: str, suspects: dict[str, str]) -> "State":
        """Sort the suspects, with their stamps, into unchanged, cleared, changed and newer ones."""
        rows, stamps = self.built.row_of, self.built.stamps
        cleared: set[str] = set()
        changed: set[str] = set()
        newer: set[str] = set()
        unsure = []
        for sample_id, stamp in suspects.items():
            if stamp == UNKNOWN:
                unsure.append(sample_id)
            elif stamp == ABSENT:
                cleared.add(sample_id)
            elif stamp != stamps.get(sample_id):
                (changed if sample_id in rows else newer).add(sample_id)
        for start in range(0, len(unsure), _CHUNK):
            self._compare(dataset, name, unsure[start : start + _CHUNK], changed, newer)
        return replace(
            self,
            cleared=self.cleared.difference(suspects) | cleared,
            changed=self.changed.difference(suspects) | changed,
            newer=(self.newer.difference(suspects) | newer) & self.known,
        )

    def _compare(
        self, dataset: fo.Dataset, name: str, ids: list[str], changed: set[str], newer: set[str]
    ) -> None:
        """Add to ``changed`` and ``newer`` those of ``ids`` that are, by the vectors themselves."""
        rows, forest = self.built.row_of, self.built.forest
        read = gather(everything(dataset).select(ids), name, forest.facts.dimension or None)
        vectors = dict(zip(read.ids, read.matrix, strict=True))
        for sample_id in ids:
            vector = vectors.get(sample_id)
            if sample_id in rows:
                if vector is None or not np.array_equal(vector, forest.vectors[rows[sample_id]]):
                    changed.add(sample_id)
            elif vector is not None:
                newer.add(sample_id)

    @cached_property
    def _rows(self) -> NDArray[np.int64]:
        """The valid rows, by position; none where the field holds another model's vectors."""
        if self.seen and self.seen.made_with != self.built.made_with:
            return np.empty(0, dtype=np.int64)
        stale = self.cleared | self.changed
        valid = [sample_id in self.known and sample_id not in stale for sample_id in self.built.row_of]
        return np.flatnonzero(valid)

    @cached_property
    def ids(self) -> NDArray[np.str_]:
        """The sample ids, by position."""
        return self.built.ids[self._rows]

    @cached_property
    def position_of(self) -> dict[str, int]:
        """Sample id -> position."""
        return {sample_id: position for position, sample_id in enumerate(self.ids.tolist())}

    @property
    def dimension(self) -> int:
        """The number of values of a vector; 0 where there is none."""
        return self.built.forest.facts.dimension

    @property
    def status(self) -> IndexStatus:
        """How the index relates to its field."""
        grown = self.built.forest
        present = len(self.known.intersection(self.built.row_of).difference(self.cleared))
        return IndexStatus(
            built=len(grown),
            newer=len(self.newer),
            changed=present - len(self._rows),
            removed=len(grown) - present,
            skipped=self.built.skipped,
            exact=grown.exact,
            reason=grown.facts.reason,
            recall=grown.facts.recall,
            search_k=grown.facts.search_k,
        )

    def vectors(self, positions: NDArray[np.int64] | None = None) -> np.ndarray:
        """Return the vectors at positions, all when None, as a new ``(m, d)`` float32 array."""
        return self.built.forest.vectors[self._rows if positions is None else self._rows[positions]]

    def nearest(
        self,
        query: np.ndarray,
        k: int | None,
        *,
        allowed: NDArray[np.bool_] | None = None,
        first: NDArray[np.int64] | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the positions nearest to a vector and their cosine distances, nearest first.

        Args:
            query: ``(d,)``
            k: how many, all when None
            allowed (None): booleans by position: those that may be returned
            first (None): positions that come before all others if they are allowed, the nearest first
        """
        if not len(self._rows):
            return np.empty(0, dtype=np.int64), np.empty(0)
        mask = None
        if allowed is not None or len(self._rows) < len(self.built.ids):
            mask = np.zeros(len(self.built.ids), dtype=np.bool_)
            mask[self._rows if allowed is None else self._rows[allowed]] = True
        leading = None if first is None else self._rows[first]
        rows, distances = self.built.forest.query(query, k, allowed=mask, first=leading)
        return np.searchsorted(self._rows, rows), distances


@lru_cache(maxsize=4)
def _latest(version: Version) -> list[State]:
    """A place for the latest state of an index, its only item."""
    built = load(version)
    return [State(built, frozenset(built.stamps))]


def current(folder: IndexFolder, dataset: fo.Dataset, settings: IndexSettings) -> State:
    """Return the up-to-date state of an index, from memory, from its files, or built from the field where they are missing.

    Raises:
        IndexDamaged: if the files are not as they were written
        HomeError: if they cannot be read or written
    """
    version = folder.version(settings)
    while version is None:
        folder.build(settings, again=False)
        version = folder.version(settings)
    latest = _latest(version)
    latest[0] = latest[0].refreshed(dataset, settings.embeddings_field)
    return latest[0]
