"""Bring removed samples back into the dataset, as they were."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..data import archive as ar
from ..data import archive_fields, runs, seals
from ..data import samples as sm
from ..data.embeddings import FieldNames
from ..data.files import file_names, files
from ..data.locks import lock
from ..handover_options import RestoreOptions
from ..progress import Progress, silent
from ..result import Result, Skipped, count, listed, skipped_table, skipped_words, view_field

_TWICE = "the dataset has a sample of this id, brought back by hand; this one stays in the archive"
_CHANGED = "it changed while it was copied; run restore_removed again"


@dataclass(frozen=True, kw_only=True)
class RestoreResult(Result):
    """The samples that ``restore_removed`` brought back.

    Attributes:
        run_key: the run that had left the samples out
        restored: how many samples came back
        left: sample id -> why it did not come back
        files: sample id -> its file's name, of the first of them
        missing_files: files of restored samples that are not at their place
        archived: how many samples are in the archive still
        archive: name of the archive dataset; None if it is not needed any more and was deleted
        notes: steps that must be run again, in words
        view: the samples that came back
    """

    run_key: str
    restored: int
    left: Skipped
    files: dict[str, str]
    missing_files: list[str]
    archived: int
    archive: str | None
    notes: list[str]
    view: sm.Samples | None = view_field()

    def summary(self) -> str:
        """Return the result in words."""
        lines = [f"{count(self.restored, 'sample')} restored."]
        if self.archive:
            lines[0] += f" {count(self.archived, 'sample')} still in {self.archive!r}."
        elif not self.left:
            lines[0] += " All are back, so the archive dataset was deleted."
        if self.missing_files:
            lines.append(
                f"Of their files, {count(len(self.missing_files), 'is', 'are')} not in place (e.g. "
                f"{self.missing_files[0]}): look in the system's trash."
            )
        return "\n".join([*lines, *skipped_words("Not restored:", self.left), *self.notes])

    def tables(self) -> dict[str, list[dict[str, str]]]:
        """Return the samples that did not come back although they were asked for, and the files that are not there."""
        missing = [{"file": path} for path in self.missing_files[:20]]
        tables = skipped_table(self.left, self.files, "not_restored")
        return tables | ({"missing_files": missing} if missing else {})


@dataclass(frozen=True)
class _Stale:
    """The runs, and the fields of vectors, that were made again while samples were away, whose part does not come back."""

    runs: tuple[str, ...]
    vectors: tuple[str, ...]

    @property
    def fields(self) -> set[str]:
        """Names of all fields that do not come back."""
        of_runs = {field for key in self.runs for field in runs.Names(key).fields}
        return of_runs | {field for name in self.vectors for field in (name, *FieldNames(name).beside)}

    def notes(self) -> list[str]:
        """Tell a person which they are."""
        notes = []
        if self.runs:
            notes.append(
                "These runs were done again without them, so they are not in them now: "
                f"{', '.join(self.runs)}. Run cluster_duplicates again."
            )
        if self.vectors:
            notes.append(
                "These fields have vectors of another model now, so theirs stayed away: "
                f"{', '.join(self.vectors)}. Run compute_embeddings."
            )
        return notes


def check(samples: sm.Samples, options: RestoreOptions, selected: Sequence[str] = ()) -> ar.Archive:
    """Return the archive with the removed samples.

    Raises:
        ValueError: if there is none
    """
    dataset, opened = sm.dataset_of(samples), ar.opened(sm.dataset_of(samples))
    archive = ar.find(opened.source, opened.run_key) if opened else ar.find(dataset, options.run_key)
    if archive is None:
        raise ValueError(
            f"No samples of the run {options.run_key!r} are in an archive: remove_duplicates removed none, they are all "
            "back, or the archive dataset was deleted"
        )
    return archive


def restore(
    samples: sm.Samples,
    options: RestoreOptions,
    progress: Progress = silent,
    *,
    selected: Sequence[str] = (),
) -> RestoreResult:
    """Bring back the samples that ``remove_duplicates`` took out.

    Killed or cancelled, the samples brought back until then are in the dataset, and the next call goes on.

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
    opened = ar.opened(sm.dataset_of(samples))
    dataset = opened.source if opened else sm.dataset_of(samples)
    run_key = opened.run_key if opened else options.run_key
    with lock(dataset, f"run-{run_key}"):
        archive = check(samples, options)
        wanted, left = _wanted(archive, samples.values("id") if opened else None, selected)
        groups = _by_staleness(archive, wanted)
        everywhere = set.intersection(*(stale.fields for stale in groups)) if groups else set()
        missing = archive_fields.add_to_source(dataset, archive.store, archive.record, wanted, everywhere)
        restored: list[str] = []
        for stale, ids in groups.items():
            for batch in ar.batches(ids):
                progress("Restoring", len(restored), len(wanted))
                back = archive.give_back(batch, missing | stale.fields, stale.runs)
                restored += back
                left |= dict.fromkeys(set(batch) - set(back), _CHANGED)
        return _result(archive, restored, left, groups)


def _wanted(
    archive: ar.Archive, viewed: Iterable[str] | None, selected: Sequence[str]
) -> tuple[list[str], Skipped]:
    """Find the samples to bring back, and, of the others that were asked for, why they do not come.

    Args:
        viewed: ids of the samples in a view of the archive; None for all of the archive
        selected: ids of those of them that are asked for; empty for all of them
    """
    strangers = archive.settle()
    known = archive.inventory() | dict.fromkeys(strangers, _TWICE)
    asked = set(known if viewed is None else viewed)
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


def _by_staleness(archive: ar.Archive, ids: Iterable[str]) -> dict[_Stale, list[str]]:
    """Group samples by the part of them that does not hold any more."""
    notes, now, groups = archive.notes(), seals.states(archive.source), {}
    there = archive.source.get_field_schema()
    for sample_id in ids:
        then = notes[sample_id]
        done_again, of_another_model = (
            sorted(name for name, state in then[kind].items() if now[kind].get(name) != state)
            for kind in ("runs", "vectors")
        )
        stale = _Stale(tuple(done_again), tuple(name for name in of_another_model if name in there))
        groups.setdefault(stale, []).append(sample_id)
    return groups


def _result(
    archive: ar.Archive, restored: list[str], left: Skipped, stales: Iterable[_Stale]
) -> RestoreResult:
    dataset, store = archive.source, archive.store
    archived, named = sm.exact_count(store), file_names(store, listed(left))
    paths = sorted(set(files(dataset, restored).values()))
    closed = archive.close()
    return RestoreResult(
        run_key=archive.run_key,
        restored=len(restored),
        left=left,
        files=named,
        missing_files=[path for path in paths if not Path(path).exists()],
        archived=archived,
        archive=None if closed else archive.name,
        notes=list(dict.fromkeys(note for stale in stales for note in stale.notes())) if restored else [],
        view=sm.everything(dataset).select(restored),
    )
