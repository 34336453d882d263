"""The state of an index against its field: the forest without missing or changed samples, and counts of the differences.

The App's server makes a new results object for every click. So states are cached in the process, beside their index: a
click without a write since costs a millisecond.
"""

from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import fiftyone as fo
import numpy as np
from numpy.typing import NDArray

from ..data import freshness
from ..data.freshness import Look
from ..result import Skipped, count
from .store import BuiltIndex, IndexFolder, IndexSettings, Version


@dataclass(frozen=True)
class IndexStatus:
    """The differences of an index and its field.

    Attributes:
        built: the number of vectors in the forest
        newer: number of samples with a vector since; they are not found
        changed: number of samples in the forest with another vector since; they are not found
        removed: number of samples in the forest that have no vector any more; they are not found
        skipped: sample id -> why it was not usable when the index was built
        exact: whether queries are answered without Annoy
    """

    built: int
    newer: int
    changed: int
    removed: int
    skipped: Skipped
    exact: bool

    def lacks(self) -> str:
        """Return the samples that have a vector and cannot be found, in words; ``""`` where there are none."""
        kinds = ((self.newer, "newer sample"), (self.changed, "changed sample"))
        found = " and ".join(count(number, kind) for number, kind in kinds if number)
        return found and f"{found} {'is' if self.newer + self.changed == 1 else 'are'} not in the index"

    def advice(self) -> str:
        """Return the missing samples and the remedy, in words; ``""`` where none are missing."""
        lacks = self.lacks()
        return lacks and f"{lacks}: build it again (build_similarity_index)."


@dataclass(frozen=True, eq=False)
class State:
    """The current contents of an index; immutable. Positions number its samples: the valid rows, in their order.

    Attributes:
        changes: sample id -> stamp, of the samples with another stamp than at the build; None where they are gone
        seen: the last look; None before the first one
    """

    built: BuiltIndex
    changes: dict[str, str | None] = field(default_factory=dict)
    seen: Look | None = None

    def refreshed(self, dataset: fo.Dataset, name: str) -> "State":
        """Return the state after a look at the field ``name``; itself if nothing was written."""
        now = freshness.look(dataset, name, self.built.settled)
        if now == self.seen:
            return self
        before, stamps = self.seen.marks if self.seen else {}, self.built.stamps
        moved = [mark for mark, number in now.marks.items() if before.get(mark) != number]
        changes = self.changes | (freshness.stamps(dataset, name, moved) if moved else {})
        grown = sum((i not in stamps) - (stamp is None) for i, stamp in changes.items())
        if len(stamps) + grown != now.count:
            live = freshness.ids(dataset)
            known = {i for i in stamps.keys() | changes.keys() if changes.get(i, "") is not None}
            changes |= dict.fromkeys(known - live)
            returned = live - known  # restored samples are raw copies with their old marks
            changes |= freshness.stamps(dataset, name, among=returned) if returned else {}
        changes = {i: stamp for i, stamp in changes.items() if stamp != stamps.get(i)}
        return State(self.built, changes, now)

    @cached_property
    def _rows(self) -> NDArray[np.int64]:
        """The valid rows, by position; none where the field holds another model's vectors."""
        if self.seen and self.seen.made_with != self.built.made_with:
            return np.empty(0, dtype=np.int64)
        stale = [self.built.row_of[i] for i in self.changes if i in self.built.row_of]
        return np.delete(np.arange(len(self.built.ids)), stale)

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
        """The differences of the index and its field."""
        rows, built = self.built.row_of, len(self.built.ids)
        removed = sum(i in rows and not stamp for i, stamp in self.changes.items())
        return IndexStatus(
            built=built,
            newer=sum(i not in rows and bool(stamp) for i, stamp in self.changes.items()),
            changed=built - removed - len(self._rows),
            removed=removed,
            skipped=self.built.skipped,
            exact=self.built.forest.exact,
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
            k: number of positions, all when None
            allowed (None): booleans by position, true where it may be returned
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
def _latest(folder: IndexFolder, settings: IndexSettings, version: Version) -> list[State]:
    """Return the latest state of an index as the only item; none where the index must be built."""
    built = folder.read(settings)
    return [] if built is None else [State(built)]


def current(folder: IndexFolder, dataset: fo.Dataset, settings: IndexSettings) -> State:
    """Return the up-to-date state of an index, from memory, from its files, or built from the field where they are missing.

    Raises:
        IndexDamaged: if the files are not as they were written
        HomeError: if they cannot be read or written
    """
    while not (latest := _latest(folder, settings, folder.version())):
        folder.build(dataset, settings, again=False)
    latest[0] = latest[0].refreshed(dataset, settings.embeddings_field)
    return latest[0]
