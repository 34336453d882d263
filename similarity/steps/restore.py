"""Bring removed samples back into the dataset, as they were."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fiftyone as fo

from ..data import archive as ar
from ..data import plan as removal
from ..data import runs, seals
from ..data import samples as sm
from ..data.embeddings import FieldNames
from ..data.files import files
from ..data.locks import lock
from ..data.raw import Document
from ..options import RestoreOptions
from ..progress import Report, silent
from ..result import Result, Skipped, count, listed, skipped_lines, skipped_table, view_field

_TWICE = "the dataset has a sample of this id, brought back by hand; this one stays in the archive"
_CHANGED = "it changed while it was copied; run restore_removed again"
_BASIC = ("id", "filepath", "tags", "metadata", "created_at", "last_modified_at")


@dataclass(frozen=True, kw_only=True)
class RestoreResult(Result):
    """What ``restore_removed`` brought back.

    Attributes:
        run_key: the run that had left the samples out
        restored: how many samples came back
        restored_ids: their ids
        left: sample id -> why it did not come back
        files: sample id -> file, of the first of them
        missing_files: files of restored samples that are not at their place
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
    missing_files: list[str]
    archived: int
    archive: str | None
    notes: list[str]
    view: fo.core.collections.SampleCollection | None = view_field()

    def summary(self) -> str:
        """The result in words."""
        lines = [f"{count(self.restored, 'sample')} restored."]
        if self.archive:
            lines[0] += f" {count(self.archived, 'sample')} still in {self.archive!r}."
        elif not self.left:
            lines[0] += " All are back, so the archive dataset was deleted."
        if self.missing_files:
            lines.append(
                f"{count(len(self.missing_files), 'file')} of theirs are not in place (e.g. {self.missing_files[0]}); they "
                "may be in the system's trash."
            )
        if self.left:
            lines += ["", "Not restored:", *skipped_lines(self.left)]
        return "\n".join([*lines, *self.notes])

    def tables(self) -> dict[str, list[dict[str, str]]]:
        """The samples that did not come back although they were asked for, and the files that are not there."""
        found = {
            "not_restored": skipped_table(self.left, self.files).get("skipped"),
            "missing_files": [{"file": path} for path in self.missing_files[:20]],
        }
        return {title: rows for title, rows in found.items() if rows}


def restore(
    samples: fo.core.collections.SampleCollection,
    options: RestoreOptions,
    progress: Report = silent,
    *,
    selected: Sequence[str] = (),
) -> RestoreResult:
    """Bring back the samples that ``remove_duplicates`` took out.

    Killed or cancelled, what was brought back until then is in the dataset, and the next call goes on.

    Args:
        samples: the dataset that they were removed from; or its archive dataset, or a view of it, to bring back these
        options: the run; an archive is of one run only, whatever is asked for
        progress: told how far it is
        selected (()): ids of removed samples, to bring back these only

    Raises:
        ValueError: if nothing was removed, none of the selected samples was, or the dataset cannot take them any more
            because of its media type or a field's type or name; nothing has been written then
        Busy: if another operator is at work on the run
    """
    opened = ar.opened(samples._dataset)
    dataset = opened.source if opened else samples._dataset
    run_key = opened.run_key if opened else options.run_key
    with lock(dataset, f"run-{run_key}"):
        archive = ar.find(dataset, run_key)
        if archive is None:
            raise ValueError(
                f"No samples of the run {run_key!r} are in an archive: remove_duplicates removed none, they are all back, "
                "or the archive dataset was deleted"
            )
        wanted, left = _wanted(archive, samples.values("id") if opened else (), selected)
        groups = _by_staleness(archive, wanted)
        missing = _merge_schema(archive, wanted, list(groups))
        restored: list[str] = []
        for stale, ids in groups.items():
            for batch in ar.batches(ids):
                progress("Restoring", len(restored), len(wanted))
                back = archive.give_back(batch, *_not_coming(archive, stale, missing))
                restored += back
                left |= dict.fromkeys(set(batch) - set(back), _CHANGED)
        return _result(archive, restored, left, list(groups))


def _wanted(archive: ar.Archive, viewed: Iterable[str], selected: Sequence[str]) -> tuple[list[str], Skipped]:
    """The samples to bring back, and, for each of the others that were asked for, its id and why it does not."""
    strangers = archive.settle()
    known = archive.inventory() | dict.fromkeys(strangers, _TWICE)
    asked = set(viewed) or set(known)
    if selected:
        asked &= set(selected)
        if not asked:
            raise ValueError(
                "None of the selected samples is among the removed ones: select some in the archive dataset, or clear the "
                "selection to restore them all"
            )
    wanted = sorted(i for i, reason in known.items() if i in asked and not reason)
    # Those that somebody deleted are in no view of the archive.
    return wanted, {i: known[i] for i in sorted(known) if known[i] and (i in asked or known[i] == ar.LOST)}


@dataclass(frozen=True)
class _Stale:
    """The runs, and the fields, that archived samples do not bring back: they were done again without them."""

    runs: tuple[str, ...]
    vectors: tuple[str, ...]

    @property
    def fields(self) -> list[str]:
        """Names of all fields that do not come back."""
        names = [runs.Names(key) for key in self.runs]
        of_runs = [field for n in names for field in (n.cluster, n.kept, n.kept_id, n.similarity)]
        return of_runs + [field for name in self.vectors for field in (name, *FieldNames(name).beside)]


def _by_staleness(archive: ar.Archive, ids: Iterable[str]) -> dict[_Stale, list[str]]:
    """The samples, by what of them does not hold any more."""
    dataset, notes = archive.source, archive.notes()
    now = removal.run_states(dataset), removal.vector_states(dataset)
    groups: dict[_Stale, list[str]] = {}
    known: dict[str, _Stale] = {}
    for sample_id in ids:
        then = notes[sample_id]
        state = json.dumps([then["runs"], then["vectors"]], sort_keys=True)
        if state not in known:
            known[state] = _stale(dataset, then, *now)
        groups.setdefault(known[state], []).append(sample_id)
    return groups


def _stale(
    dataset: fo.Dataset, then: Document, runs_now: Mapping[str, str], vectors_now: Mapping[str, str]
) -> _Stale:
    there = [name for name in then["vectors"] if dataset.has_sample_field(name)]
    return _Stale(
        tuple(key for key, state in then["runs"].items() if runs_now.get(key) != state),
        tuple(name for name in there if vectors_now.get(name) != then["vectors"][name]),
    )


def _merge_schema(archive: ar.Archive, ids: list[str], stales: list[_Stale]) -> list[str]:
    """Add the fields that the dataset lacks; those that none of the samples has a value in stay away.

    Returns:
        the fields that stay away
    """
    dataset, store = archive.source, archive.store
    everywhere = set.intersection(*(set(stale.fields) for stale in stales)) if stales else set()
    schema = {name: kind for name, kind in store.get_field_schema().items() if name not in _BASIC}
    filled = archive.filled({name: seals.key(name, kind) for name, kind in schema.items()}, ids)
    wanted = {name: kind for name, kind in schema.items() if name in filled and name not in everywhere}
    archive.check(wanted)
    ar.merge_schema(dataset, store, wanted, "take back")
    return [name for name in schema if not dataset.has_sample_field(name)]


def _not_coming(archive: ar.Archive, stale: _Stale, missing: Iterable[str]) -> tuple[set[str], Any]:
    """Keys and tags that do not come back."""
    schema = archive.store.get_field_schema()
    unset = {seals.key(name, schema[name]) for name in (*stale.fields, *missing) if name in schema}
    return unset, seals.our_tags(stale.runs)


def _result(
    archive: ar.Archive, restored: list[str], left: Skipped, stales: Iterable[_Stale]
) -> RestoreResult:
    dataset, store = archive.source, archive.store
    archived, named = sm.exact_count(store), files(store, listed(left))
    paths = sorted(set(files(dataset, restored).values()))
    closed = archive.close()
    return RestoreResult(
        run_key=archive.run_key,
        restored=len(restored),
        restored_ids=restored,
        left=left,
        files=named,
        missing_files=[path for path in paths if not Path(path).exists()],
        archived=archived,
        archive=None if closed else archive.name,
        notes=_notes(stales) if restored else [],
        view=sm.everything(dataset).select(restored),
    )


def _notes(stales: Iterable[_Stale]) -> list[str]:
    notes = []
    keys = ", ".join(sorted({key for stale in stales for key in stale.runs}))
    names = ", ".join(sorted({name for stale in stales for name in stale.vectors}))
    if keys:
        notes.append(
            f"These runs were done again without them, so they are not in them now: {keys}. Run cluster_duplicates again"
        )
    if names:
        notes.append(
            f"These fields have vectors of another model now, so theirs stayed away: {names}. Run compute_embeddings"
        )
    return notes
