"""A folder for each cluster, with copies or links of its pictures."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from ..data import runs
from ..data import samples as sm
from ..data.locks import lock
from ..engine.clusters import NOISE
from ..exports import manifest, media, targets
from ..exports.manifest import KEPT, SKIPPED, Row
from ..handover_options import FoldersOptions
from ..progress import Progress, silent
from ..result import SkippingResult, count
from ..workflow import CLUSTER, KEEP

UNIQUE_FOLDER, SKIPPED_FOLDER = "unique", "skipped"
KEPT_PREFIX = "KEPT-"  # upper case: most file browsers then show the kept picture first


@dataclass(frozen=True, kw_only=True)
class FoldersResult(SkippingResult):
    """The folders that ``group_into_folders`` wrote.

    Attributes:
        export_dir: the folder, absolute
        samples: number of samples asked for: clustered + unique + skipped
        clusters: number of cluster folders
        clustered, unique: how many samples are in a cluster, and in none
        kept: how many are kept; None before the keep step
        pictures: number of picture files written
    """

    export_dir: str
    samples: int
    clusters: int
    clustered: int
    unique: int
    kept: int | None
    pictures: int

    def lines(self) -> list[str]:
        """Return the result in words."""
        skipped = f", {len(self.skipped):,} skipped, in {SKIPPED_FOLDER!r} where they have a file"
        lines = [
            f"{count(self.clustered, 'picture')} in {count(self.clusters, 'cluster folder')}, {self.unique:,} in "
            f"{UNIQUE_FOLDER!r}{skipped if self.skipped else ''}.",
            f"The folder is {self.export_dir}; manifest.csv lists every sample.",
        ]
        if self.kept is not None:
            lines.append(f"The kept picture of each cluster has a name that begins with {KEPT_PREFIX!r}.")
        return lines


def check(samples: sm.Samples, options: FoldersOptions) -> bool:
    """Return whether the run has decided what is kept; refuse, before a file is looked at, a run without clusters.

    Raises:
        ValueError: as :func:`folders` does
    """
    dataset = sm.dataset_of(sm.flat(samples))
    decided = runs.is_finished(runs.load(dataset, options.run_key), KEEP)
    runs.require(dataset, options.run_key, KEEP if decided else CLUSTER)
    return decided


def folders(samples: sm.Samples, options: FoldersOptions, progress: Progress = silent) -> FoldersResult:
    """Write a folder for each cluster, one for the samples in none, one for the skipped ones, and a manifest.

    The folder appears when everything is in it. The samples are not changed.

    Raises:
        ValueError: if the run has no clusters, the folder cannot be used, pictures are missing, or the disk is full or they
            cannot be linked; nothing has been written then
        Busy: if another operator is at work on the run
    """
    samples = sm.flat(samples)
    with lock(sm.dataset_of(samples), f"run-{options.run_key}"):
        decided = check(samples, options)
        progress("Checking", 0, 1)
        target = targets.target(options.export_dir)
        rows = manifest.read(samples, options.run_key, decided)
        rows = manifest.with_files(rows, _file_names(rows))
        placed = [(row.filepath, row.exported) for row in rows if row.exported]
        media.check([file for file, _ in placed], target, options.media)
        with target.writing() as folder:
            media.place([(file, folder / new) for file, new in placed], options.media, progress)
            manifest.write(rows, folder / "manifest.csv")
        return _result(samples, rows, options, str(target.path), decided)


def _file_names(rows: list[Row]) -> dict[str, str]:
    """Return the place of each row's picture; a skipped sample may have none."""
    names: dict[str, media.UniqueNames] = defaultdict(media.UniqueNames)
    files = {}
    for row in rows:
        if row.status != SKIPPED or Path(row.filepath).is_file():
            prefix = KEPT_PREFIX if row.status == KEPT and row.cluster != NOISE else ""
            folder = _folder(row)
            files[row.id] = f"{folder}/{names[folder].name(Path(row.filepath).name, prefix)}"
    return files


def _folder(row: Row) -> str:
    if row.status == SKIPPED:
        return SKIPPED_FOLDER
    return UNIQUE_FOLDER if row.cluster == NOISE else f"cluster_{row.cluster:04d}"


def _result(
    samples: sm.Samples, rows: list[Row], options: FoldersOptions, folder: str, decided: bool
) -> FoldersResult:
    found, counts = manifest.clusters(rows), manifest.counts(rows)
    clustered = sum(len(c.members) for c in found)
    return FoldersResult(
        export_dir=folder,
        samples=len(rows),
        clusters=len(found),
        clustered=clustered,
        unique=len(rows) - clustered - counts[SKIPPED],
        kept=counts[KEPT] if decided else None,
        **manifest.skipped(samples, rows),
        pictures=sum(bool(row.exported) for row in rows),
    )
