"""Bring removed samples back into the dataset, as they were."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import fiftyone as fo

from ..data import archive as ar
from ..data import plan as removal
from ..data import runs, seals
from ..data import samples as sm
from ..data.embeddings import FieldNames
from ..data.files import files
from ..data.locks import lock
from ..options import RestoreOptions
from ..progress import Report, silent
from ..result import Result, Skipped, count, listed, skipped_lines, skipped_table, view_field

_TWICE = "the dataset has a sample of this id, brought back by hand; this one stays in the archive"
_CHANGED = "it changed while it was copied; run restore_removed again"
_BASIC = ("id", "filepath", "tags", "metadata", "created_at", "last_modified_at", ar.REMOVAL)


@dataclass(frozen=True, kw_only=True)
class RestoreResult(Result):
    """What ``restore_removed`` brought back.

    Attributes:
        run_key: the run that had left the samples out
        restored: how many samples came back
        restored_ids: their ids
        left: sample id -> why it stays in the archive
        files: sample id -> file, of the first of them
        archived: how many samples are in the archive still
        archive: name of the archive dataset; None if it is not needed any more and was deleted
        notes: what a person should know
        view: the samples that came back
    """

    run_key: str
    restored: int
    restored_ids: list[str]
    left: Skipped
    files: dict[str, str]
    archived: int
    archive: str | None
    notes: list[str]
    view: fo.core.collections.SampleCollection | None = view_field()

    def summary(self) -> str:
        """The result in words."""
        lines = [f"{count(self.restored, 'sample')} restored."]
        if self.archived:
            lines[0] += f" {self.archived:,} are in {self.archive!r} still."
        elif self.archive is None:
            lines[0] += " All are back, so the archive dataset was deleted."
        if self.left:
            lines += ["", "Left in the archive:", *skipped_lines(self.left)]
        return "\n".join([*lines, *self.notes])

    def tables(self) -> dict[str, list[dict[str, str]]]:
        """The samples that stay in the archive although they were asked for."""
        rows = skipped_table(self.left, self.files).get("skipped")
        return {"left_in_archive": rows} if rows else {}


def restore(
    samples: fo.core.collections.SampleCollection,
    options: RestoreOptions,
    report: Report = silent,
    *,
    selected: Sequence[str] = (),
) -> RestoreResult:
    """Bring back what ``remove_duplicates`` took out.

    Killed or cancelled, what was brought back until then is in the dataset, and the next call goes on.

    Args:
        samples: the dataset that they were removed from; or its archive dataset, or a view of it, to bring back these
        options: the run; an archive is of one run only, whatever is asked for
        report: told how far it is
        selected (()): ids of removed samples, to bring back these only

    Raises:
        ValueError: if nothing was removed, none of the selected samples was, or a field has another type by now
        Busy: if another operator is at work on the run
    """
    opened = ar.opened(samples._dataset)
    dataset = opened.source if opened else samples._dataset
    run_key = opened.run_key if opened else options.run_key
    with lock(dataset, f"run-{run_key}"):
        archive = ar.find(dataset, run_key)
        if archive is None:
            raise ValueError(
                f"No samples of the run {run_key!r} are in an archive: remove_duplicates removed none, or they are all back"
            )
        wanted = samples.values("id") if opened and samples.count() else archive.ids()
        return _Restoring(archive, _chosen(wanted, selected), report).run()


def _chosen(wanted: Iterable[str], selected: Sequence[str]) -> list[str]:
    if not selected:
        return sorted(wanted)
    chosen = sorted(set(wanted) & set(selected))
    if not chosen:
        raise ValueError(
            "None of the selected samples is among the removed ones: select some in the archive dataset, or clear the "
            "selection to restore them all"
        )
    return chosen


@dataclass(frozen=True)
class _Stale:
    """What of archived samples does not hold any more, because it was done again without them."""

    runs: tuple[str, ...]
    fields: tuple[str, ...]


@dataclass
class _Restoring:
    """One run of the step."""

    archive: ar.Archive
    wanted: list[str]
    report: Report
    left: Skipped = field(default_factory=dict)
    restored: list[str] = field(default_factory=list)
    stale_runs: set[str] = field(default_factory=set)
    stale_vectors: set[str] = field(default_factory=set)

    def run(self) -> RestoreResult:
        archive, dataset = self.archive, self.archive.source
        strangers = set(archive.settle())
        self.left |= {i: _TWICE for i in self.wanted if i in strangers}
        still = set(archive.ids()) - strangers
        groups = self._by_staleness([i for i in self.wanted if i in still])
        missing = self._merge_schema(list(groups))
        for stale, ids in groups.items():
            self._give_back(ids, stale, missing)
        archived = len(archive.ids())
        named = files(archive.store, listed(self.left))
        notes, closed = self._notes(archived), archive.close()
        return RestoreResult(
            run_key=archive.run_key,
            restored=len(self.restored),
            restored_ids=self.restored,
            left=self.left,
            files=named,
            archived=archived,
            archive=None if closed else archive.name,
            notes=notes,
            view=sm.everything(dataset).select(self.restored),
        )

    def _by_staleness(self, ids: list[str]) -> dict[_Stale, list[str]]:
        """The samples, by what of them does not hold any more."""
        dataset, groups, known = self.archive.source, {}, {}
        runs_now, vectors_now = removal.run_states(dataset), removal.vector_states(dataset)
        for document in seals.documents(self.archive.store, ids, [ar.REMOVAL]):
            then = document[ar.REMOVAL]
            state = json.dumps([then["runs"], then["vectors"]], sort_keys=True)
            if state not in known:
                known[state] = self._stale(then, runs_now, vectors_now)
            groups.setdefault(known[state], []).append(str(document["_id"]))
        return groups

    def _stale(self, then: dict[str, Any], runs_now: dict[str, str], vectors_now: dict[str, str]) -> _Stale:
        redone = [key for key, state in then["runs"].items() if runs_now.get(key) != state]
        dataset = self.archive.source
        remade = [
            name
            for name, state in then["vectors"].items()
            if dataset.has_sample_field(name) and vectors_now.get(name) != state
        ]
        self.stale_runs.update(redone)
        self.stale_vectors.update(remade)
        names = [runs.Names(key) for key in redone]
        fields = [field for n in names for field in (n.cluster, n.kept, n.kept_id, n.similarity)]
        beside = [field for name in remade for field in (name, *FieldNames(name).beside)]
        return _Stale(tuple(redone), (*fields, *beside))

    def _merge_schema(self, stales: list[_Stale]) -> list[str]:
        """Add what fields the dataset lacks; the fields that no sample has a value in stay away.

        Returns:
            the fields that stay away
        """
        dataset, store = self.archive.source, self.archive.store
        everywhere = set.intersection(*(set(stale.fields) for stale in stales)) if stales else set()
        schema = {name: kind for name, kind in store.get_field_schema().items() if name not in _BASIC}
        wanted = {
            name: kind
            for name, kind in schema.items()
            if name not in everywhere and _filled(store, name, kind)
        }
        ar.merge_schema(dataset, store, wanted, "take back")
        return [name for name in schema if not dataset.has_sample_field(name)]

    def _give_back(self, ids: list[str], stale: _Stale, missing: list[str]) -> None:
        schema = self.archive.store.get_field_schema()
        unset = {seals.key(name, schema[name]) for name in (*stale.fields, *missing) if name in schema}
        tags = seals.our_tags(stale.runs)
        for start in range(0, len(ids), ar.MOVE):
            self.report("Restoring", len(self.restored), len(self.wanted))
            batch = sorted(ids)[start : start + ar.MOVE]
            back = self.archive.give_back(batch, unset, tags)
            self.restored += back
            self.left |= {i: _CHANGED for i in batch if i not in set(back)}

    def _notes(self, archived: int) -> list[str]:
        notes = []
        if self.stale_runs and self.restored:
            keys = ", ".join(sorted(self.stale_runs))
            notes.append(
                f"These runs were done again without them, so they are not in them now: {keys}. Run cluster_duplicates again"
            )
        if self.stale_vectors and self.restored:
            names = ", ".join(sorted(self.stale_vectors))
            notes.append(
                f"These fields have vectors of another model now, so theirs stayed away: {names}. Run compute_embeddings"
            )
        if self.archive.folders:
            where = (
                ""
                if archived
                else f"; until then the empty dataset {self.archive.name!r} remembers where they are"
            )
            notes.append(f"Files are in quarantine: restore_media brings them back{where}.")
        return notes


def _filled(dataset: fo.Dataset, name: str, kind: fo.Field) -> bool:
    return (
        dataset._sample_collection.find_one({seals.key(name, kind): {"$ne": None}}, {"_id": True}) is not None
    )
