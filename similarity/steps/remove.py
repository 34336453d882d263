"""Take the samples that a run left out of the dataset, into an archive that they can be brought back from."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import fiftyone as fo
import fiftyone.core.labels as fol

from ..data import archive as ar
from ..data import runs, seals, trash
from ..data import samples as sm
from ..data.checks import EDITED, Checks
from ..data.files import file_names, sizes
from ..data.labels import labels_path
from ..data.locks import lock
from ..data.vectors import check_vector_field
from ..engine.images import file_mark
from ..handover_options import TRASH, RemoveOptions
from ..options import DIGEST
from ..progress import Progress, silent
from ..result import Result, Skipped, count, listed, percent, size, skipped_table, skipped_words, view_field
from ..workflow import CLUSTER, KEEP
from .plans import require_same

_BY_HAND = "another version of it is in the archive already; it was brought back by hand"


@dataclass(frozen=True, kw_only=True)
class RemoveResult(Result):
    """The samples that ``remove_duplicates`` removed, or would remove.

    Attributes:
        run_key: the run
        plan: name of the plan: the same as long as the run is not done again
        confirmed: whether it was carried out; else nothing was changed
        dataset: name of the dataset
        samples: number of samples in the dataset, before; without those of the run's reference, as is ``remain``
        removed: how many of them were removed, or would be
        remain: how many are in the dataset afterwards, or would be
        left: sample id -> why it stays although the run leaves it out
        files: sample id -> its file's name, of the first of them
        labels: how many labels the removed samples carry; they go with them
        bytes: size of their files
        archived: how many samples are in the archive now
        archive: name of the archive dataset; None if there is none
        files_compared: whether files were compared with the embedded ones; else with their size and time at the run
        trashed: how many files of removed samples were moved to the system's trash, or would be
        trashed_bytes: size of these
        files_left: path -> why the file stays although it was to go to the trash
        view: the samples to be removed; after they were, the kept ones
    """

    run_key: str
    plan: str
    confirmed: bool
    dataset: str
    samples: int
    removed: int
    remain: int
    left: Skipped
    files: dict[str, str]
    labels: int
    bytes: int
    archived: int
    archive: str | None
    files_compared: bool
    trashed: int = 0
    trashed_bytes: int = 0
    files_left: dict[str, str] = field(default_factory=dict)
    view: sm.Samples | None = view_field()

    def summary(self) -> str:
        """Return the result in words."""
        lines = [self._samples(), *self._files()]
        if not self.confirmed and (self.removed or self.trashed):
            confirm = "Confirm to remove them (confirm=True); restore_removed then brings them back."
            lines.append(f"Nothing has been changed. {confirm}")
        lines += skipped_words(f"{count(len(self.left), 'sample')} left in place:", self.left)
        if not self.files_compared and self.removed:
            lines.append(
                "\nThe vectors are not OnlyOne's, so nobody knows which bytes were embedded: files were compared with those "
                "at the time of the run, by size and time."
            )
        return "\n".join(lines)

    def _samples(self) -> str:
        labels, remain = count(self.labels, "label"), count(self.remain, "remains", "remain")
        removed = count(self.removed, "sample")
        if self.removed and self.confirmed:
            return (
                f"{removed} removed, {remain} in {self.dataset!r}. Every field, label and tag ({labels}) is in the dataset "
                f"{self.archive!r}: restore_removed brings them back."
            )
        if self.removed:
            return (
                f"{removed} of {self.samples:,} would be removed from {self.dataset!r} with {labels}, which leaves "
                f"{self.remain:,}: {percent(self.remain, self.samples)} to annotate."
            )
        if self.archived:
            return f"No more to remove: {self.archive!r} has {count(self.archived, 'sample')} of the run already."
        return "Nothing to remove" + ("." if self.left else ": the run leaves none of these samples out.")

    def _files(self) -> list[str]:
        if not self.trashed and not self.files_left:
            return [f"Their files ({size(self.bytes)}) stay where they are."] if self.removed else []
        verb = "Moved" if self.confirmed else "To be moved"
        trashed = (
            f"{verb} to the system's trash: {count(self.trashed, 'file')} ({size(self.trashed_bytes)}) of the run's removed "
            "samples, earlier ones too; the disk is free when the trash is emptied."
        )
        stay = f"{count(len(self.files_left), 'file stays', 'files stay')}:"
        return [trashed, *skipped_words(stay, self.files_left, "file")]

    def tables(self) -> dict[str, list[dict[str, str]]]:
        """Return the samples that stay although the run leaves them out, and the files that do not go to the trash."""
        left = skipped_table(self.left, self.files, "left_in_place")
        return left | skipped_table(self.files_left, {}, "files_left")


def remove(samples: sm.Samples, options: RemoveOptions, progress: Progress = silent) -> RemoveResult:
    """Plan the removal of the samples that a run left out or, if confirmed, carry it out.

    Every sample is checked again at the moment it is removed, and stays if it fails. Files go to the trash last, when all
    samples are in the archive. Killed or cancelled, the samples removed until then are in the archive, and the next call
    goes on, with the files too.

    Raises:
        ValueError: if the run is not finished, was done again since the plan, or samples cannot be archived
        Busy: if another operator is at work on the run, or removes samples of the dataset
    """
    dataset, run_key = sm.dataset_of(samples), options.run_key
    # The second lock is for two runs of which each keeps what the other drops.
    with lock(dataset, f"run-{run_key}"), lock(dataset, "removal"):
        plan, checks, files_compared = _require(dataset, options)
        before = runs.count_new(dataset, run_key)
        archive = ar.find(dataset, run_key)
        strangers = archive.settle() if archive else set()
        gone, left = _each_batch(samples, checks, strangers, options, progress)
        size_of_files = sum(sizes(gone.values()).values())
        archive = ar.find(dataset, run_key)
        labels = _labels(archive.store if archive and options.confirm else dataset, gone)
        trashing = options.files == TRASH
        trashed = _trash(dataset, archive, strangers, gone, options, progress) if trashing else {}
        if archive and archive.close():
            archive = None
        return RemoveResult(
            run_key=run_key,
            plan=plan,
            confirmed=options.confirm,
            dataset=dataset.name,
            samples=before,
            removed=len(gone),
            remain=runs.count_new(dataset, run_key) - (0 if options.confirm else len(gone)),
            left=left,
            files=file_names(dataset, listed(left)),
            labels=labels,
            bytes=size_of_files,
            **trashed,
            archived=len(archive.ids()) if archive else 0,
            archive=archive.name if archive else None,
            files_compared=files_compared,
            view=_view(dataset, options, gone),
        )


def check(samples: sm.Samples, options: RemoveOptions) -> None:
    """Refuse, before a sample is read, an archive, a system without a trash, and a run that is not finished.

    Raises:
        ValueError: as :func:`remove` does
    """
    dataset = sm.dataset_of(samples)
    if ar.opened(dataset) is not None:
        raise ValueError(
            f"{dataset.name!r} is an archive of removed samples: run remove_duplicates on the dataset they are from"
        )
    if options.files == TRASH:
        trash.require()
    runs.require(dataset, options.run_key, KEEP)


def left_out(samples: sm.Samples, run_key: str) -> sm.Samples:
    """Return the samples that a run leaves out; an empty view, say of duplicates that are removed already, is no mistake."""
    pictures = sm.flat(samples) if samples.limit(1).values("id") else samples
    return sm.where(pictures, runs.Names(run_key).kept, False)


def _require(dataset: fo.Dataset, options: RemoveOptions) -> tuple[str, Checks, bool]:
    """Return the plan's name, the checks, and whether files are compared; refuse a plan that nobody looked at."""
    check(dataset, options)
    run_key, wanted = options.run_key, options.plan
    record = runs.load(dataset, run_key)
    plan = seals.run_state(record)
    require_same(wanted, plan, f"The run {run_key!r} was done again", "removed")
    sealed = runs.step_results(dataset, run_key, KEEP)["seals"]
    compared = record["steps"][CLUSTER.name]["options"]
    field = compared["embeddings_field"]
    if compared["metric"] != DIGEST:
        check_vector_field(dataset, field)
    return plan, Checks(dataset, run_key, sealed, field, thorough=options.confirm), not sealed["files"]


def _each_batch(
    samples: sm.Samples,
    checks: Checks,
    strangers: set[str],
    options: RemoveOptions,
    progress: Progress,
) -> tuple[dict[str, str], Skipped]:
    """Check the samples that the run leaves out and, if confirmed, move them, batch by batch.

    Args:
        strangers: ids of samples that are not touched, because the archive has another version of them

    Returns:
        id -> file of the samples that were removed, or would be, and, for each of the others, its id and why it stays
    """
    samples = left_out(samples, options.run_key)
    wanted = sorted(samples.values("id"))
    gone: dict[str, str] = {}
    left = {i: _BY_HAND for i in wanted if i in strangers}
    for batch in ar.batches([i for i in wanted if i not in strangers]):
        progress("Removing" if options.confirm else "Checking", len(gone), len(wanted))
        fit, reasons = checks.check(batch)
        left |= reasons
        if options.confirm and fit:
            moved = ar.ready(samples, options.run_key).take(fit)
            left |= {str(d["_id"]): EDITED for d in fit if str(d["_id"]) not in moved}
            fit = [d for d in fit if str(d["_id"]) in moved]
        gone |= {str(d["_id"]): d["filepath"] for d in fit}
    return gone, left


def _labels(dataset: fo.Dataset, ids: Iterable[str]) -> int:
    """Count the labels of samples."""
    samples = sm.everything(dataset).select(list(ids))
    fields = samples.get_field_schema(embedded_doc_type=fol.Label)
    return sum(samples.count(labels_path(samples, name)) for name in fields)


def _trash(
    dataset: fo.Dataset,
    archive: ar.Archive | None,
    strangers: set[str],
    gone: Mapping[str, str],
    options: RemoveOptions,
    progress: Progress,
) -> dict[str, Any]:
    """Move the files of all removed samples of the run to the trash, or find out which would be; part of the result."""
    leaving: list[tuple[fo.Dataset, Collection[str]]] = [(dataset, gone)]
    marks = {} if options.confirm else {path: file_mark(path) for path in gone.values()}
    if archive:
        archived = set(archive.ids()) - strangers
        marks |= {note["path"]: note["file"] for i, note in archive.notes().items() if i in archived}
        leaving.append((archive.store, archived))
    going, left = trash.plan(marks, leaving, progress)
    if options.confirm:
        left |= trash.send(going, progress)
    sent = [number for path, number in going.items() if path not in left]
    return {"trashed": len(sent), "trashed_bytes": sum(sent), "files_left": left}


def _view(dataset: fo.Dataset, options: RemoveOptions, gone: Iterable[str]) -> sm.Samples | None:
    if not options.confirm:
        return sm.everything(dataset).select(list(gone))
    kept = runs.Names(options.run_key).view("kept")
    return dataset.load_saved_view(kept) if dataset.has_saved_view(kept) else None
