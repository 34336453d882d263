"""A report of a run that people can hand on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data import decisions, runs
from ..data import samples as sm
from ..data.locks import lock
from ..exports import manifest, targets
from ..exports.manifest import Row
from ..exports.report import write_report
from ..handover_options import ReportOptions
from ..progress import Progress, silent
from ..result import SkippingResult, percent
from ..workflow import KEEP


@dataclass(frozen=True, kw_only=True)
class ReportResult(SkippingResult):
    """The report that ``write_report`` wrote.

    Attributes:
        export_dir: the folder, absolute
        page: the report's file, absolute
        samples: number of samples asked for: kept + dropped + skipped
        kept, dropped: how many
    """

    export_dir: str
    page: str
    samples: int
    kept: int
    dropped: int

    def lines(self) -> list[str]:
        """Return the result in words."""
        return [
            f"The report is {self.page}: {self.kept:,} of {self.samples:,} samples kept "
            f"({percent(self.kept, self.samples)} to annotate), {self.dropped:,} dropped, {len(self.skipped):,} skipped."
        ]


def check(samples: sm.Samples, options: ReportOptions) -> None:
    """Refuse, before a file is looked at, samples, and a run that has no result or that a person has overruled since.

    Raises:
        ValueError: as :func:`report` does
    """
    dataset = sm.dataset_of(sm.flat(samples))
    runs.require(dataset, options.run_key, KEEP)
    decisions.require_heeded(dataset, options.run_key)


def report(samples: sm.Samples, options: ReportOptions, progress: Progress = silent) -> ReportResult:
    """Write ``report.html``, one file that needs nothing beside itself, and its figures, manifest and clusters.

    The folder appears when everything is in it. The samples are not changed.

    Raises:
        ValueError: if the run has no result, or the folder cannot be used; nothing has been written then
        Busy: if another operator is at work on the run
    """
    samples = sm.flat(samples)
    with lock(sm.dataset_of(samples), f"run-{options.run_key}"):
        check(samples, options)
        target = targets.target(options.export_dir)
        rows = manifest.read(samples, options.run_key)
        with target.writing() as folder:
            write_report(samples, rows, options, folder, progress)
        return ReportResult(**account(samples, rows, target.path))


def account(samples: sm.Samples, rows: Sequence[Row], folder: Path) -> dict[str, Any]:
    """Return the fields of a :class:`ReportResult`."""
    counts = manifest.counts(rows)
    return {
        "export_dir": str(folder),
        "page": str(folder / "report.html"),
        "samples": counts["samples"],
        "kept": counts[manifest.KEPT],
        "dropped": counts[manifest.DROPPED],
        **manifest.skipped(samples, rows),
    }
