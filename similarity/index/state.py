"""An index brought up to date: the forest as built, without what was removed, and beside it what is new.

The App's server makes a new results object for every click, so states are kept in the process, keyed by the
index they are of: a click costs the one aggregation that tells that nothing has changed.
"""

import threading
from collections import OrderedDict
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine import exact
from ..engine import vectors as vec
from .field import ABSENT, UNKNOWN, Fingerprint, Stamp, VectorField
from .store import Base, IndexFolder, IndexSettings

# Bulk writes stamp all their samples with the time they began, and clocks of machines differ; what was
# modified this long before the newest sample seen is looked at again.
_OVERLAP = timedelta(seconds=60)
_KEPT_STATES = 4


@dataclass(frozen=True)
class IndexStatus:
    """How an index relates to its field.

    Args:
        built: the number of vectors in the forest
        added: samples with a vector since
        removed: samples in the forest that have no vector any more
        changed: samples in the forest with another vector since
        unusable: sample id -> why its vector is not in the index
        exact: whether queries are answered without Annoy
        reason: why, or ``""``
        recall: the share of sampled queries whose ten neighbors were all true ones, measured when built
        search_k: how many items a search for ten neighbors visits
    """

    built: int
    added: int
    removed: int
    changed: int
    unusable: dict[str, str]
    exact: bool
    reason: str
    recall: float
    search_k: int

    def to_dict(self) -> dict[str, Any]:
        """Return the status as plain Python values."""
        return asdict(self)


@dataclass(frozen=True)
class State:
    """What an index holds now; immutable.

    Positions number its samples: first the rows of the forest that are still valid, in their order, then the
    samples that are new or have a new vector.

    Args:
        base: the index as built
        alive: ``(n,)`` booleans, the rows of the forest that are still valid
        delta: sample id -> vector, of what is new
        stamps: sample id -> stamp, of all samples there are
        unusable: sample id -> why its vector is not in the index
        fingerprint: the field's when the state was brought up to date
        recent: sample id -> ``last_modified_at``, of the samples looked at then
    """

    base: Base
    alive: NDArray[np.bool_]
    delta: dict[str, np.ndarray]
    stamps: dict[str, str]
    unusable: dict[str, str]
    fingerprint: Fingerprint
    recent: dict[str, datetime] = field(default_factory=dict)

    @classmethod
    def of(cls, base: Base) -> "State":
        """The state of an index that was just built."""
        alive = np.ones(len(base.ids), dtype=np.bool_)
        return cls(base, alive, {}, base.stamps, base.unusable, base.fingerprint)

    @cached_property
    def ids(self) -> np.ndarray:
        """The sample ids, by position."""
        return np.concatenate([self.base.ids[self.alive], np.array(list(self.delta), dtype=np.str_)])

    @cached_property
    def position_of(self) -> dict[str, int]:
        """Sample id -> position."""
        return {sample_id: position for position, sample_id in enumerate(self.ids.tolist())}

    @property
    def dimension(self) -> int:
        """The number of values of a vector; 0 where there is none."""
        return self.base.forest.facts.dimension or self._new_vectors.shape[1]

    @property
    def status(self) -> IndexStatus:
        """How the index relates to its field."""
        grown = self.base.forest
        changed = sum(sample_id in self.base.row_of for sample_id in self.delta)
        return IndexStatus(
            built=len(grown),
            added=len(self.delta) - changed,
            removed=int(np.count_nonzero(~self.alive)) - changed,
            changed=changed,
            unusable=dict(self.unusable),
            exact=grown.exact,
            reason=grown.reason,
            recall=grown.facts.recall,
            search_k=grown.facts.search_k,
        )

    def vectors(self, positions: NDArray[np.int64] | None = None) -> np.ndarray:
        """Return the vectors at positions, all when None, as a new ``(m, d)`` float32 array."""
        positions = np.arange(len(self.ids)) if positions is None else positions
        matrix = np.empty((len(positions), self.dimension), dtype=np.float32)
        new = positions >= len(self._rows)
        matrix[~new] = self.base.forest.vectors[self._rows[positions[~new]]]
        matrix[new] = self._new_vectors[positions[new] - len(self._rows)]
        return matrix

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
            allowed (None): booleans by position: what may be returned
            first (None): positions that come before all others if they are allowed, the nearest first
        """
        if not len(self.ids):
            return np.empty(0, dtype=np.int64), np.empty(0)
        first = np.empty(0, dtype=np.int64) if first is None else first
        if allowed is not None:
            first = first[allowed[first]]
        old, new = self._in_forest(query, k, allowed), self._in_delta(query, k, allowed)
        own = exact.distances(self.vectors(first), query, np.arange(len(first)))
        positions = np.concatenate([first, old[0], new[0]])
        distances = np.concatenate([own, old[1], new[1]])
        late = np.arange(len(positions)) >= len(first)
        distinct = ~(late & np.isin(positions, first))
        order = np.lexsort((positions, distances, late))
        order = order[distinct[order]][:k]
        return positions[order], distances[order]

    def refreshed(self, source: VectorField) -> "State":
        """Return the state with what changed in the field since; itself if nothing has."""
        now = source.fingerprint()
        if now == self.fingerprint:
            return self
        other_model = now.provenance != self.fingerprint.provenance
        seen = self.fingerprint.modified
        stamps = source.stamps(None if other_model or seen is None else seen - _OVERLAP)
        suspects = [row for row in stamps if other_model or self._may_differ(row)]
        known, gone = self.stamps | {row.sample_id: row.stamp for row in stamps}, set()
        if len(known) != now.count:
            live = {sample_id: known.get(sample_id, ABSENT) for sample_id in source.ids()}
            known, gone = live, known.keys() - live.keys()
        recent = {row.sample_id: row.modified for row in stamps}
        state = replace(self, stamps=known, fingerprint=now, recent=recent)
        return state._updated(source, suspects, gone) if suspects or gone else state

    def _may_differ(self, row: Stamp) -> bool:
        """Whether a sample's vector must be read to know if it is the one we have."""
        if row.stamp == UNKNOWN:
            return self.recent.get(row.sample_id) != row.modified
        return self.stamps.get(row.sample_id, ABSENT) != row.stamp

    def _updated(self, source: VectorField, suspects: list[Stamp], gone: set[str]) -> "State":
        """Forget the samples that are gone, and take in the vectors of the suspects as they are now."""
        dropped = gone | {row.sample_id for row in suspects}
        alive, row_of = self.alive.copy(), self.base.row_of
        alive[[row_of[sample_id] for sample_id in dropped if sample_id in row_of]] = False
        delta = {sample_id: vector for sample_id, vector in self.delta.items() if sample_id not in dropped}
        unusable = {sample_id: why for sample_id, why in self.unusable.items() if sample_id not in dropped}
        with_vector = [row.sample_id for row in suspects if row.stamp != ABSENT and row.sample_id not in gone]
        for block in source.blocks(with_vector, self.dimension or None):
            unusable |= block.unusable
            for sample_id, vector in zip(block.ids, block.vectors, strict=True):
                row = row_of.get(sample_id)
                if row is not None and np.array_equal(vector, self.base.forest.vectors[row]):
                    alive[row] = True
                else:
                    delta[sample_id] = vector
        return replace(self, alive=alive, delta=delta, unusable=unusable)

    @cached_property
    def _rows(self) -> NDArray[np.int64]:
        """The forest's rows, by position."""
        return np.flatnonzero(self.alive)

    @cached_property
    def _new_vectors(self) -> np.ndarray:
        """The vectors of the delta."""
        if not self.delta:
            return np.empty((0, self.base.forest.facts.dimension), dtype=np.float32)
        return np.stack(list(self.delta.values()))

    def _in_forest(
        self, query: np.ndarray, k: int | None, allowed: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The nearest of the forest's valid rows, as positions."""
        count = len(self._rows)
        if not count:
            return np.empty(0, dtype=np.int64), np.empty(0)
        mask = None if self.alive.all() else self.alive
        if allowed is not None:
            mask = np.zeros(len(self.alive), dtype=np.bool_)
            mask[self._rows[allowed[:count]]] = True
        rows, distances = self.base.forest.query(query, k, allowed=mask)
        return np.searchsorted(self._rows, rows), distances

    def _in_delta(
        self, query: np.ndarray, k: int | None, allowed: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The nearest of what is new, as positions."""
        count = len(self._rows)
        rows = np.arange(len(self.delta)) if allowed is None else np.flatnonzero(allowed[count:])
        size = len(rows) if k is None else min(k, len(rows))
        if not size:
            return np.empty(0, dtype=np.int64), np.empty(0)
        matrix = self._new_vectors
        found, distances = exact.nearest(matrix, vec.norms(matrix), query, size, rows)
        return found + count, distances


_states: "OrderedDict[str, State]" = OrderedDict()
_guard = threading.Lock()


def current(folder: IndexFolder, source: VectorField, settings: IndexSettings) -> State:
    """Return the up-to-date state of an index, from memory, from its files, or built from the field."""
    key = str(folder.path)
    with _guard:
        state = _states.get(key)
    if state is None or state.base.manifest != folder.manifest():
        state = State.of(folder.load_or_build(source, settings))
    return remember(folder, state.refreshed(source))


def remember(folder: IndexFolder, state: State) -> State:
    """Keep a state for the next results object; of the least used indexes it is dropped."""
    with _guard:
        _states[str(folder.path)] = state
        _states.move_to_end(str(folder.path))
        while len(_states) > _KEPT_STATES:
            _states.popitem(last=False)
    return state


def forget(folder: IndexFolder) -> None:
    """Drop the state of an index."""
    with _guard:
        _states.pop(str(folder.path), None)
