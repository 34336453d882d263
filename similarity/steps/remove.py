"""Take what a run left out of the dataset, into an archive that it can be brought back from."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.core.fields as fof
import fiftyone.core.labels as fol

from ..data import archive as ar
from ..data import plan as removal
from ..data import runs
from ..data import samples as sm
from ..data.files import files
from ..data.locks import lock
from ..data.seals import json_digest
from ..exports.targets import size
from ..options import RemoveOptions
from ..progress import Report, silent
from ..result import Result, Skipped, count, listed, percent, skipped_lines, skipped_table, view_field
from ..workflow import CLUSTER, KEEP

_BY_HAND = "another version of it is in the archive already; it was brought back by hand"


@dataclass(frozen=True, kw_only=True)
class RemoveResult(Result):
    """What ``remove_duplicates`` removed, or would remove.

    Attributes:
        run_key: the run
        plan: name of the plan: the same as long as the run is not done again
        confirmed: whether it was carried out; else nothing was changed
        samples: number of samples asked for, before
        removed: how many of them were removed, or would be
        removed_ids: their ids
        left: sample id -> why it stays although the run leaves it out
        files: sample id -> file, of the first of them
        labels: how many labels the removed samples carry; they go with them
        bytes: size of their files, which stay where they are
        archived: how many samples are in the archive now
        archive: name of the archive dataset; None if there is none
        files_compared: whether files were compared with what was embedded; else with what they were when the run was done
        view: the samples to be removed; after they were, the kept ones
    """

    run_key: str
    plan: str
    confirmed: bool
    samples: int
    removed: int
    removed_ids: list[str]
    left: Skipped
    files: dict[str, str]
    labels: int
    bytes: int
    archived: int
    archive: str | None
    files_compared: bool
    view: fo.core.collections.SampleCollection | None = view_field()

    def summary(self) -> str:
        """The result in words."""
        lines = self._done() if self.confirmed else self._planned()
        if self.left:
            lines += ["", f"{count(len(self.left), 'sample')} left in place:", *skipped_lines(self.left)]
        if not self.files_compared and self.removed:
            lines += [
                "",
                "The vectors are not OnlyOne's, so nobody knows which bytes were embedded: files were compared, by size and "
                "time, with what they were when the run was done.",
            ]
        return "\n".join(lines)

    def _planned(self) -> list[str]:
        if not self.removed:
            return [self._nothing()]
        return [
            f"{count(self.removed, 'sample')} of {self.samples:,} would be removed, which leaves "
            f"{self.samples - self.removed:,}: {percent(self.samples - self.removed, self.samples)} to annotate. "
            f"{count(self.labels, 'label')} go with them. Their files ({size(self.bytes)}) stay where they are.",
            "Nothing has been changed. Confirm to remove them (confirm=True); restore_removed then brings them back.",
        ]

    def _done(self) -> list[str]:
        if not self.removed:
            return [self._nothing()]
        return [
            f"{count(self.removed, 'sample')} removed, {self.samples - self.removed:,} remain. They are in the dataset "
            f"{self.archive!r} with every field, label and tag ({count(self.labels, 'label')}): bring them back with "
            "restore_removed.",
            f"Their files ({size(self.bytes)}) are where they were; quarantine_media moves them aside.",
        ]

    def _nothing(self) -> str:
        if self.archived:
            return f"Nothing to remove: {count(self.archived, 'sample')} of the run are in {self.archive!r} already."
        return "Nothing to remove: the run leaves none of these samples out."

    def tables(self) -> dict[str, list[dict[str, str]]]:
        """The samples that stay although the run leaves them out."""
        rows = skipped_table(self.left, self.files).get("skipped")
        return {"left_in_place": rows} if rows else {}


def remove(
    samples: fo.core.collections.SampleCollection, options: RemoveOptions, report: Report = silent
) -> RemoveResult:
    """Plan the removal of what a run left out or, if confirmed, carry it out.

    Every sample is checked again at the moment it is removed; what fails a check stays. Killed or cancelled, what was
    removed until then is in the archive, and the next call goes on.

    Raises:
        ValueError: if the run is not finished, was done again since the plan, or samples cannot be archived
        Busy: if another operator is at work on the run, or removes samples of the dataset
    """
    dataset = samples._dataset
    # The second lock is for two runs of which each keeps what the other drops.
    with lock(dataset, f"run-{options.run_key}"), lock(dataset, "removal"):
        return _Removing(samples, options, report).run()


@dataclass
class _Removing:
    """One run of the step."""

    samples: fo.core.collections.SampleCollection
    options: RemoveOptions
    report: Report
    removed: list[str] = field(default_factory=list)
    left: Skipped = field(default_factory=dict)
    paths: set[str] = field(default_factory=set)
    labels: int = 0

    def run(self) -> RemoveResult:
        self.dataset, run_key = self.samples._dataset, self.options.run_key
        self._refuse_archive()
        embeddings_field = self._require_run()
        sealed = runs.step_results(self.dataset, run_key, KEEP)["seals"]
        self.checks = removal.Checks(
            self.dataset, run_key, sealed, embeddings_field, thorough=self.options.confirm
        )
        self._find()
        self._each_batch()
        if self.archive and self.archive.close():
            self.archive = None
        return self._result(files_compared=not sealed["files"])

    def _find(self) -> None:
        """What the run leaves out of the samples; an interrupted removal is finished first."""
        self.before = self.samples.count()
        self.collection = sm.flat(self.samples) if self.before else self.samples
        self.archive = ar.find(self.dataset, self.options.run_key)
        strangers = set(self.archive.settle()) if self.archive else set()
        wanted = removal.left_out(self.collection, self.options.run_key) if self.before else []
        self.left |= {i: _BY_HAND for i in wanted if i in strangers}
        self.wanted = [i for i in wanted if i not in strangers]
        self.before = self.collection.count()

    def _refuse_archive(self) -> None:
        if ar.opened(self.dataset) is not None:
            raise ValueError(
                f"{self.dataset.name!r} is an archive of removed samples: run remove_duplicates on the dataset they are from"
            )

    def _require_run(self) -> str:
        """The embeddings field of the run, which is finished and the one that was looked at."""
        run_key, wanted = self.options.run_key, self.options.plan
        clustering = runs.require(self.dataset, run_key, CLUSTER)
        keeping = runs.require(self.dataset, run_key, KEEP)
        self.plan = json_digest({"cluster": clustering, "keep": keeping})
        if wanted is not None and wanted != self.plan:
            raise ValueError(
                f"The run {run_key!r} was done again since the plan {wanted} was shown, so nothing was removed: look at the "
                "new plan first"
            )
        embeddings_field = clustering["options"]["embeddings_field"]
        sm.check_vector_field(self.dataset, embeddings_field)
        return embeddings_field

    def _each_batch(self) -> None:
        words = "Removing" if self.options.confirm else "Looking at what the run leaves out"
        for start in range(0, len(self.wanted), ar.MOVE):
            self.report(words, start, len(self.wanted))
            batch = self.wanted[start : start + ar.MOVE]
            fit, left = self.checks.check(batch)
            moved = self._move(fit) if self.options.confirm and fit else [str(d["_id"]) for d in fit]
            self.left |= left | {
                str(d["_id"]): removal.EDITED for d in fit if str(d["_id"]) not in set(moved)
            }
            self._count([d for d in fit if str(d["_id"]) in set(moved)])
            self.removed += moved

    def _move(self, fit: list[ar.Document]) -> list[str]:
        if self.archive is None:
            self.archive = ar.create(self.collection, self.options.run_key)
        self.archive.check_schema()
        return self.archive.take(fit, removal.removal_note(self.dataset, fit))

    def _count(self, documents: Iterable[ar.Document]) -> None:
        schema = self.dataset.get_field_schema(embedded_doc_type=fol.Label)
        for document in documents:
            self.labels += _labels(document, schema)
            self.paths.add(document["filepath"])

    def _result(self, files_compared: bool) -> RemoveResult:
        found = RemoveResult(
            run_key=self.options.run_key,
            plan=self.plan,
            confirmed=self.options.confirm,
            samples=self.before,
            removed=len(self.removed),
            removed_ids=self.removed,
            left=self.left,
            files=files(self.dataset, listed(self.left)),
            labels=self.labels,
            bytes=sum(map(_bytes, self.paths)),
            archived=len(self.archive.ids()) if self.archive else 0,
            archive=self.archive.name if self.archive else None,
            files_compared=files_compared,
        )
        return replace(found, view=self._view())

    def _view(self) -> fo.core.collections.SampleCollection | None:
        if not self.options.confirm:
            return sm.everything(self.dataset).select(self.removed)
        kept = runs.Names(self.options.run_key).view("kept")
        return self.dataset.load_saved_view(kept) if self.dataset.has_saved_view(kept) else None


def _labels(document: ar.Document, schema: dict[str, fof.Field]) -> int:
    """How many labels a raw document holds."""
    return sum(_labels_in(document.get(field.db_field or name), field) for name, field in schema.items())


def _labels_in(value: Any, field: fof.Field) -> int:
    if not value:
        return 0
    kind = field.document_type
    return len(value[kind._LABEL_LIST_FIELD] or ()) if issubclass(kind, fol._HasLabelList) else 1


def _bytes(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0
