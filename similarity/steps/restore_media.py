"""Move quarantined files back to where they were."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import fiftyone as fo

from ..data import archive as ar
from ..data.locks import lock
from ..exports.targets import size
from ..options import RestoreMediaOptions
from ..progress import Report, silent
from ..removal import journal as jn
from ..removal import quarantine as qu
from ..removal.relocate import Occupied, clean, relocate
from ..result import count
from .quarantine import OTHER, MediaResult, whose


@dataclass(frozen=True, kw_only=True)
class RestoreMediaResult(MediaResult):
    """What ``restore_media`` brought back; ``folders`` are those that hold files still."""

    def summary(self) -> str:
        """The result in words."""
        lines = [f"{count(self.files, 'file')} ({size(self.bytes)}) back in place."]
        if self.folders:
            lines.append(f"There are files in {', '.join(self.folders)} still.")
        return "\n".join([*lines, *self.left_lines()])


def restore_media(
    samples: fo.core.collections.SampleCollection, options: RestoreMediaOptions, report: Report = silent
) -> RestoreMediaResult:
    """Move quarantined files back to where they were.

    A file whose place is taken by another one stays in quarantine. Killed, the next call moves the rest.

    Args:
        samples: the dataset that the samples were removed from, or their archive
        options: the run
        report: told how far it is

    Raises:
        ValueError: if no quarantine is known, or there is no room for the files
        Busy: if another operator is at work on the run
    """
    dataset, run_key = whose(samples._dataset, options.run_key)
    with lock(dataset, f"run-{run_key}"):
        archive = ar.find(dataset, run_key)
        folders = _named(options.folder) or (archive.folders if archive else [])
        if not folders:
            raise ValueError(
                f"No files of the run {run_key!r} are in quarantine. Where its archive dataset was deleted, name the folder"
            )
        return _Returning(run_key, folders, report).run(archive)


def _named(folder: str | None) -> list[str]:
    if folder is None:
        return []
    path = Path(os.path.realpath(Path(folder).expanduser()))
    if jn.read(path) is None:
        raise ValueError(f"{path} is no quarantine of OnlyOne's: it has no {jn.NAME}")
    return [str(path)]


@dataclass
class _Returning:
    """Quarantine folders that are emptied."""

    run_key: str
    folders: list[str]
    report: Report
    files: int = 0
    bytes: int = 0
    left: dict[str, str] = field(default_factory=dict)

    def run(self, archive: ar.Archive | None) -> RestoreMediaResult:
        remaining = [folder for folder in self.folders if not self._empty(Path(folder))]
        if archive is not None:
            others = set(archive.folders) - set(self.folders)
            archive.note_folders([*others, *remaining])
            archive.close()
        return RestoreMediaResult(
            run_key=self.run_key, files=self.files, bytes=self.bytes, left=self.left, folders=remaining
        )

    def _empty(self, folder: Path) -> bool:
        """Empty one folder; return whether nothing of it is needed any more."""
        if not folder.exists():
            self.left[str(folder)] = "the folder is not there: is its disk connected?"
            return False
        journal = jn.read(folder)
        if journal is None:
            return True
        self._check_room(journal)
        total = len(journal.entries)
        for done, (origin, target) in enumerate(list(self._targets(journal))):
            self.report("Moving files back", done, total)
            if self._move_back(Path(origin), target):
                del journal.entries[origin]
        journal.write()
        journal.tidy()
        return not journal.entries

    def _targets(self, journal: jn.Journal) -> Iterator[tuple[str, Path]]:
        return ((origin, journal.folder / to) for origin, to in journal.entries.items())

    def _check_room(self, journal: jn.Journal) -> None:
        by_folder: dict[Path, list[tuple[Path, int]]] = {}
        for origin, target in self._targets(journal):
            if target.exists():
                place = qu.existing(Path(origin).parent)
                by_folder.setdefault(place, []).append((target, target.stat().st_size))
        for place, files in by_folder.items():
            qu.check_room(place, files)

    def _move_back(self, origin: Path, target: Path) -> bool:
        """Move one file back; return whether the quarantine is done with it."""
        clean(origin, target)
        if not os.path.lexists(target):
            if not os.path.lexists(origin):
                self.left[str(origin)] = f"somebody has taken it out of the quarantine: {target}"
            return True
        number = target.stat().st_size
        try:
            relocate(target, origin)
        except Occupied:
            self.left[str(origin)] = f"{OTHER}; this one stays at {target}"
            return False
        except OSError as error:
            self.left[str(origin)] = f"it cannot be moved back: {error.strerror}; it stays at {target}"
            return False
        self.files, self.bytes = self.files + 1, self.bytes + number
        return True
