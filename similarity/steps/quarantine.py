"""Move the files of removed samples aside."""

import os
from collections import Counter
from dataclasses import dataclass, field

import fiftyone as fo

from ..data import archive as ar
from ..data.locks import lock
from ..exports.targets import size
from ..options import QuarantineOptions
from ..progress import Report, silent
from ..removal import quarantine as qu
from ..removal.relocate import Occupied, clean, relocate
from ..result import Result, count

_SHOWN, _REASONS = 20, 5
OTHER = "another file is at its place"


@dataclass(frozen=True, kw_only=True)
class MediaResult(Result):
    """What became of files.

    Attributes:
        run_key: the run
        files: how many were moved, or would be
        bytes: their size
        left: path -> why the file was not moved
        folders: the quarantine folders
    """

    run_key: str
    files: int
    bytes: int
    left: dict[str, str]
    folders: list[str]

    def tables(self) -> dict[str, list[dict[str, str]]]:
        """The files that were not moved."""
        rows = [{"file": path, "reason": reason} for path, reason in list(self.left.items())[:_SHOWN]]
        return {"left_in_place": rows} if rows else {}

    def left_lines(self) -> list[str]:
        """The same in words."""
        if not self.left:
            return []
        reasons = Counter(self.left.values())
        lines = [f"- {count(number, 'file')}: {reason}" for reason, number in reasons.most_common(_REASONS)]
        return ["", f"{count(len(self.left), 'file')} left in place:", *lines]


@dataclass(frozen=True, kw_only=True)
class QuarantineResult(MediaResult):
    """What ``quarantine_media`` moved aside, or would move.

    Attributes:
        confirmed: whether it was carried out; else nothing was changed
        away: how many files were in quarantine before
    """

    confirmed: bool
    away: int

    def summary(self) -> str:
        """The result in words."""
        files, into = count(self.files, "file"), ", ".join(self.folders)
        if not self.files:
            lines = [
                "No file to move."
                + (f" {count(self.away, 'file')} in quarantine already." if self.away else "")
            ]
        elif self.confirmed:
            lines = [f"{files} ({size(self.bytes)}) moved to {into}. restore_media brings them back."]
        else:
            lines = [
                f"{files} ({size(self.bytes)}) of removed samples would be moved to {into}.",
                "Nothing has been changed. Confirm to move them (confirm=True); restore_media then brings them back.",
            ]
        return "\n".join([*lines, *self.left_lines()])


def quarantine(
    samples: fo.core.collections.SampleCollection, options: QuarantineOptions, report: Report = silent
) -> QuarantineResult:
    """Plan which files of removed samples are moved aside or, if confirmed, move them.

    A file that any sample of the database uses stays, and so does one that is not what it was when its sample was removed.
    Media beside the picture (masks, thumbnails) stay too. Killed, the next call moves the rest; a failure moves back what
    was moved.

    Args:
        samples: the dataset that the samples were removed from, or their archive
        options: the run, and where to
        report: told how far it is

    Raises:
        ValueError: if nothing was removed, there is no folder that does, no room in it, or a file cannot be moved
        Busy: if another operator is at work on the run
    """
    dataset, run_key = whose(samples._dataset, options.run_key)
    with lock(dataset, f"run-{run_key}"):
        archive = ar.find(dataset, run_key)
        if archive is None:
            raise ValueError(
                f"There are no removed samples of the run {run_key!r}: quarantine_media moves the files of what "
                "remove_duplicates removed"
            )
        plan = qu.plan(archive, options.folder, archive.settle(), report)
        if options.confirm and plan.moves:
            _Moving(archive, plan, report).run()
        return QuarantineResult(
            run_key=run_key,
            files=len(plan.moves),
            bytes=sum(move.size for move in plan.moves),
            left=plan.left,
            folders=[str(journal.folder) for journal in plan.journals],
            confirmed=options.confirm,
            away=plan.away,
        )


def whose(dataset: fo.Dataset, run_key: str) -> tuple[fo.Dataset, str]:
    """The dataset and run that are meant: an archive stands for those its samples are from."""
    opened = ar.opened(dataset)
    return (opened.source, opened.run_key) if opened else (dataset, run_key)


@dataclass
class _Moving:
    """A plan that is carried out."""

    archive: ar.Archive
    plan: qu.Plan
    report: Report
    moved: list[qu.Move] = field(default_factory=list)

    def run(self) -> None:
        self._note()
        try:
            for done, move in enumerate(self.plan.moves):
                self.report("Moving files aside", done, len(self.plan.moves))
                self._move(move)
        except OSError as error:
            self._undo()
            raise ValueError(f"A file cannot be moved ({error}). Nothing was moved") from error
        self.plan.moves = self.moved

    def _note(self) -> None:
        """Write down where everything goes before anything does."""
        for journal in self.plan.journals:
            try:
                journal.write()
            except OSError as error:
                raise ValueError(
                    f"Nothing can be written in {journal.folder}: {error.strerror}. Nothing was moved; name another folder"
                ) from error
        self.archive.note_folders([*self.archive.folders, *(str(j.folder) for j in self.plan.journals)])

    def _move(self, move: qu.Move) -> None:
        try:
            relocate(move.origin, move.target)
        except Occupied:
            self.plan.left[str(move.origin)] = f"{OTHER} in the quarantine: {move.target}"
        else:
            self.moved.append(move)

    def _undo(self) -> None:
        """Move back what was moved, and forget where it went."""
        for move in reversed(self.moved):
            relocate(move.target, move.origin)
        for journal in self.plan.journals:
            for move in self.plan.moves:
                clean(move.target)
                if not os.path.lexists(move.target):
                    journal.entries.pop(str(move.origin), None)
            journal.tidy()
            if journal.entries:
                journal.write()
        remaining = [str(journal.folder) for journal in self.plan.journals if journal.entries]
        ours = {str(journal.folder) for journal in self.plan.journals}
        self.archive.note_folders([*(set(self.archive.folders) - ours), *remaining])
