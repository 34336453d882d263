"""The kept samples in a format that annotation tools read, with the account of all the others."""

from dataclasses import dataclass
from pathlib import Path

from ..data import decisions, runs
from ..data import samples as sm
from ..data.files import sizes
from ..data.frames import hold_frames
from ..data.locks import lock
from ..exports import formats, manifest, media, targets
from ..exports.labels import write_labels
from ..exports.manifest import Row
from ..exports.report import write_report
from ..handover_options import ExportOptions
from ..progress import Progress, silent
from ..result import count, percent, size
from ..workflow import KEEP
from .report import ReportResult, account


@dataclass(frozen=True, kw_only=True)
class ExportResult(ReportResult):
    """The folder that ``export_deduplicated`` wrote.

    Attributes:
        dataset_type, media: as in the options
        masks_lost: how many masks are not exported, since the format holds only the boxes around them
        pictures: number of picture files in the export
        bytes: their size together; 0 where they are linked or left out
    """

    dataset_type: str
    media: str
    masks_lost: int
    pictures: int
    bytes: int

    def lines(self) -> list[str]:
        """Return the result in words."""
        done = {
            media.COPY: f"copied ({size(self.bytes)})",
            media.SYMLINK: "linked",
            media.NONE: "only named",
        }
        lines = [
            f"{count(self.kept, 'sample')} of {self.samples:,} ({percent(self.kept, self.samples)} to annotate) exported as "
            f"{self.dataset_type}, their pictures {done[self.media]}. {self.dropped:,} dropped, {len(self.skipped):,} "
            "skipped.",
            f"The folder is {self.export_dir}: report.html shows what was kept and left out, manifest.csv lists it.",
        ]
        if self.masks_lost:
            lines.append(
                f"{count(self.masks_lost, 'mask')} left out: {self.dataset_type} holds only the boxes around them."
            )
        return lines


def check(samples: sm.Samples, options: ExportOptions) -> None:
    """Refuse, before a file is looked at, samples, a run or labels that cannot be used.

    Raises:
        ValueError: as :func:`export` does
    """
    samples = sm.flat(samples)
    runs.require(sm.dataset_of(samples), options.run_key, KEEP)
    decisions.require_heeded(sm.dataset_of(samples), options.run_key)
    formats.check(_kept(samples, options), options)


def export(samples: sm.Samples, options: ExportOptions, progress: Progress = silent) -> ExportResult:
    """Write the kept ones of the samples, a manifest of all of them, the clusters, the report, and of frames their times.

    The folder appears when everything is in it. The samples are not changed.

    Raises:
        ValueError: if the run has no result, the folder or the labels cannot be used, pictures are missing, or the
            disk is full; nothing has been written then
        Busy: if another operator is at work on the run
    """
    with lock(sm.dataset_of(samples), f"run-{options.run_key}"):
        check(samples, options)
        samples = sm.flat(samples)
        progress("Checking", 0, 1)
        target = targets.target(options.export_dir)
        rows = manifest.read(samples, options.run_key)
        content = _content(samples, rows, options)
        exported = content.pictures if options.media != media.NONE else {}
        rows = manifest.with_files(rows, exported)
        copied = [*_pairs(rows), *content.masks.items()]
        media.check([*(file for file, _ in copied), *content.read], target, options.media)
        with target.writing() as folder:
            media.place([(file, folder / new) for file, new in copied], options.media, progress)
            write_labels(content, folder, options, progress)
            write_report(samples, rows, options, folder, progress)
            if hold_frames(samples):
                manifest.write_frames(samples, rows, folder / "frames.csv")
        return _result(samples, rows, content, options, target.path)


def _content(samples: sm.Samples, rows: list[Row], options: ExportOptions) -> formats.Content:
    """Return the content of the export, which is of the kept samples."""
    kept = [row for row in rows if row.status == manifest.KEPT]
    if not kept:
        raise ValueError(
            f"No sample of {len(rows):,} is kept in the run {options.run_key!r}: choose the dataset, or a view "
            "that holds kept ones"
        )
    return formats.content(_kept(samples, options), kept, options)


def _kept(samples: sm.Samples, options: ExportOptions) -> sm.Samples:
    return sm.where(samples, runs.Names(options.run_key).kept, True)


def _pairs(rows: list[Row]) -> list[tuple[str, str]]:
    return [(row.filepath, row.exported) for row in rows if row.exported]


def _result(
    samples: sm.Samples, rows: list[Row], content: formats.Content, options: ExportOptions, folder: Path
) -> ExportResult:
    exported = [str(folder / new) for _, new in _pairs(rows)]
    return ExportResult(
        **account(samples, rows, folder),
        dataset_type=options.dataset_type,
        media=options.media,
        masks_lost=content.masks_lost,
        pictures=len(exported),
        bytes=sum(sizes(exported).values()) if options.media == media.COPY else 0,
    )
