"""The kept samples in a format that annotation tools read, with the account of all the others."""

from dataclasses import dataclass
from pathlib import Path

import fiftyone as fo

from ..data import decisions, runs
from ..data import samples as sm
from ..data.frames import hold_frames
from ..data.locks import lock
from ..exports import formats, manifest, media, targets
from ..exports.labels import write_labels
from ..exports.manifest import Row
from ..exports.report import write_report
from ..handover_options import ExportOptions
from ..progress import Progress, silent
from ..result import Result, Skipped, count, percent, skipped_lines, skipped_table
from ..workflow import KEEP

Samples = fo.core.collections.SampleCollection


@dataclass(frozen=True, kw_only=True)
class ExportResult(Result):
    """What ``export_deduplicated`` wrote.

    Attributes:
        run_key: the run
        export_dir: the folder, absolute
        dataset_type, media: as in the options
        samples: number of samples asked for: kept + dropped + skipped
        kept, dropped: how many; the kept ones are exported
        skipped: sample id -> why it is neither kept nor dropped
        files: sample id -> its file's name, of the first of them
        masks_lost: how many masks are not exported, since the format holds only the boxes around them
        pictures: number of picture files in the export
        bytes: their size together; 0 where they are linked or left out
    """

    run_key: str
    export_dir: str
    dataset_type: str
    media: str
    samples: int
    kept: int
    dropped: int
    skipped: Skipped
    files: dict[str, str]
    masks_lost: int
    pictures: int
    bytes: int

    def tables(self) -> dict[str, list[dict[str, str]]]:
        """The skipped samples."""
        return skipped_table(self.skipped, self.files)

    def summary(self) -> str:
        """The result in words."""
        done = {
            media.COPY: f"copied ({targets.size(self.bytes)})",
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
        if self.skipped:
            lines += ["", "Skipped:", *skipped_lines(self.skipped)]
        return "\n".join(lines)


def check(samples: Samples, options: ExportOptions) -> None:
    """Refuse, before a file is looked at, samples, a run or labels that do not do.

    Raises:
        ValueError: as :func:`export` does
    """
    samples = sm.flat(samples)
    runs.require(sm.dataset_of(samples), options.run_key, KEEP)
    decisions.require_heeded(sm.dataset_of(samples), options.run_key)
    formats.check(_kept(samples, options), options)


def export(samples: Samples, options: ExportOptions, progress: Progress = silent) -> ExportResult:
    """Write the kept ones of the samples, a manifest of all of them, the clusters, the report, and of frames their times.

    The folder appears when everything is in it. The samples are not changed.

    Raises:
        ValueError: if the run has no result, the folder or the labels do not do, pictures are missing, or the
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


def _content(samples: Samples, rows: list[Row], options: ExportOptions) -> formats.Content:
    """What is exported: of the samples that are kept."""
    kept = [row for row in rows if row.status == manifest.KEPT]
    if not kept:
        raise ValueError(
            f"No sample of {len(rows):,} is kept in the run {options.run_key!r}: choose the dataset, or a view "
            "that holds kept ones"
        )
    return formats.content(_kept(samples, options), kept, options)


def _kept(samples: Samples, options: ExportOptions) -> Samples:
    return samples.match(fo.ViewField(runs.Names(options.run_key).kept) == True)  # noqa: E712


def _pairs(rows: list[Row]) -> list[tuple[str, str]]:
    return [(row.filepath, row.exported) for row in rows if row.exported]


def _result(
    samples: Samples, rows: list[Row], content: formats.Content, options: ExportOptions, folder: Path
) -> ExportResult:
    counts, exported = manifest.counts(rows), [folder / new for _, new in _pairs(rows)]
    return ExportResult(
        run_key=options.run_key,
        export_dir=str(folder),
        dataset_type=options.dataset_type,
        media=options.media,
        samples=counts["samples"],
        kept=counts[manifest.KEPT],
        dropped=counts[manifest.DROPPED],
        **manifest.skipped(samples, rows),
        masks_lost=content.masks_lost,
        pictures=len(exported),
        bytes=sum(file.stat().st_size for file in exported) if options.media == media.COPY else 0,
    )
