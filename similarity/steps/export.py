"""The kept samples in a format that annotation tools read, with the account of all the others."""

from dataclasses import dataclass
from pathlib import Path

import fiftyone as fo

from ..data import runs
from ..data import samples as sm
from ..data.locks import lock
from ..exports import formats, manifest, media, targets
from ..exports.report import write_report
from ..options import ExportOptions
from ..progress import Report, silent
from ..result import Result, Skipped, count, percent, skipped_lines, skipped_table
from . import cluster, keep


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
        files: sample id -> file, of them
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
        if self.skipped:
            lines += ["", "Skipped:", *skipped_lines(self.skipped)]
        return "\n".join(lines)


def export(
    samples: fo.core.collections.SampleCollection, options: ExportOptions, report: Report = silent
) -> ExportResult:
    """Write the kept ones of the samples, a manifest of all of them, the clusters and the report.

    The folder appears when everything is in it. The samples are not changed.

    Raises:
        ValueError: if the run has no result, the folder or the labels do not do, pictures are missing, or there is no
            room; nothing has been written then
        Busy: if another operator is at work on the run
    """
    samples = sm.flat(samples)
    with lock(samples._dataset, f"run-{options.run_key}"):
        return _Exporting(samples, options).run(report)


@dataclass
class _Exporting:
    """One run of the step."""

    samples: fo.core.collections.SampleCollection
    options: ExportOptions

    def run(self, report: Report) -> ExportResult:
        report("Checking", 0, 1)
        target = self._check()
        with target.writing() as folder:
            self._write(folder, report)
            written = sum(file.stat().st_size for file in self._copies(folder))
        return self._result(target.path, written)

    def _check(self) -> targets.Target:
        """Everything that can be known to fail, before anything is written."""
        options, dataset = self.options, self.samples._dataset
        runs.require_step(dataset, options.run_key, cluster.STEP, "cluster_duplicates")
        runs.require_step(dataset, options.run_key, keep.STEP, "keep_first_per_cluster")
        target = targets.target(options.export_dir)
        formats.check_labels(self.samples, options)
        self.rows = manifest.read(self.samples, options.run_key)
        self.kept = [row for row in self.rows if row.status == manifest.KEPT]
        if not self.kept:
            raise ValueError(
                f"None of these {len(self.rows):,} samples is kept in the run {options.run_key!r}: choose the dataset, or a "
                "view that holds kept ones"
            )
        if formats.reads_pictures(options):
            media.check([row.filepath for row in self.kept], target, options.media)
        return target

    def _write(self, folder: Path, report: Report) -> None:
        options = self.options
        self.files = {}
        if options.media != media.NONE:
            self.files = formats.file_names(self.samples, self.kept, options)
            pairs = [(row.filepath, folder / self.files[row.id]) for row in self.kept]
            media.place(pairs, options.media, report)
        kept = self.samples.select([row.id for row in self.kept])
        name = f"{self.samples._dataset.name}-{options.run_key}-kept"
        formats.write_labels(kept, self.files, folder, name, options, report)
        self.rows = manifest.with_files(self.rows, self.files)
        write_report(self.samples, self.rows, options, folder, report)

    def _copies(self, folder: Path) -> list[Path]:
        return [folder / file for file in self.files.values()] if self.options.media == media.COPY else []

    def _result(self, folder: Path, written: int) -> ExportResult:
        counts = manifest.counts(self.rows)
        return ExportResult(
            run_key=self.options.run_key,
            export_dir=str(folder),
            dataset_type=self.options.dataset_type,
            media=self.options.media,
            samples=counts["samples"],
            kept=counts[manifest.KEPT],
            dropped=counts[manifest.DROPPED],
            **manifest.skipped(self.rows),
            pictures=len(self.files),
            bytes=written,
        )
