"""Files of the same bytes: a run that needs no model and no threshold."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from ..data import runs, splits
from ..data import samples as sm
from ..data.batch import Batch
from ..data.copies import read_digests
from ..data.embeddings import FieldNames
from ..data.files import sizes, with_names
from ..data.locks import lock
from ..data.vectors import all_equal
from ..engine.clusters import NOISE
from ..options import DIGEST, CopiesOptions, KeepOptions
from ..progress import Progress, silent
from ..result import count, percent, size, skipped_words
from ..workflow import COPIES
from .cluster import counted, write_clusters
from .cluster_result import ClusterResult
from .keep import keep
from .keep_result import KeepResult
from .order import check as check_order
from .plans import refuse_shrinking


@dataclass(frozen=True, kw_only=True)
class CopiesResult(KeepResult):
    """The copies that ``find_copies`` found, and which sample is kept for which.

    Attributes:
        bytes: size of the files that only samples name that are left out
    """

    bytes: int

    def summary(self) -> str:
        """Return the result in words."""
        words = (
            f"{count(self.samples, 'sample')}: {count(self.clusters, 'file is', 'files are')} there more than once. "
            f"{self.kept:,} kept ({percent(self.kept, self.samples)}); {self.dropped:,} dropped, byte by byte equal to a "
            f"kept one ({size(self.bytes)}); {len(self.skipped):,} skipped."
        )
        return "\n".join([words, *skipped_words("Skipped:", self.skipped)])


def check(samples: sm.Samples, options: CopiesOptions) -> None:
    """Refuse, before a file is read, samples, names or an order that cannot be used.

    Raises:
        ValueError: as :func:`find_copies` does
    """
    dataset, names = sm.dataset_of(sm.flat(samples)), runs.Names(options.run_key)
    runs.refuse_foreign(dataset, options.run_key, {"fields": names.fields, "views": names.views})
    splits.check(dataset, options.splits)
    check_order(dataset, options)


def find_copies(samples: sm.Samples, options: CopiesOptions, progress: Progress = silent) -> CopiesResult:
    """Find files of the same bytes, and decide which sample is kept for which.

    Raises:
        ValueError: if the samples or a name cannot be used
        Unconfirmed: if the run would lose samples, and it was not confirmed
        Busy: if another operator is at work on the run
    """
    # The grid may show, say, an earlier run's kept samples, whose tags and fields are about to change.
    check(samples, options)
    samples = sm.settled(sm.flat(samples), f"{options.run_key}_", f"{options.run_key}:")
    _cluster(samples, options, progress)
    kept = keep(samples, options.pick(KeepOptions), progress)
    return CopiesResult(**vars(kept), bytes=_bytes(samples, options.run_key))


def _cluster(samples: sm.Samples, options: CopiesOptions, progress: Progress) -> None:
    """Write which files have the same bytes, as the clusters of the run."""
    dataset = sm.dataset_of(samples)
    with lock(dataset, f"run-{options.run_key}"):
        refuse_shrinking(samples, options)
        progress("Looking at the files", 0, 1)
        found = read_digests(samples, progress)
        if not found.digests:
            raise ValueError(
                f"No sample of {len(found.skipped):,} has a file that can be read (first reason: "
                f"{next(iter(found.skipped.values()))}): put the files back, or correct the samples' filepath"
            )
        labels = _labels(list(found.digests.values()))
        result = ClusterResult(
            run_key=options.run_key,
            samples=len(found.digests) + len(found.skipped),
            **with_names(dataset, found.skipped),
            eps=0.0,
            eps_reason="",
            metric=DIGEST,
            min_samples=2,
            warnings=[],
            **counted(labels),
        )
        beside = FieldNames(options.embeddings_field)
        fields = {beside.digest: found.digests, beside.file: found.marks}
        batch = Batch(all_equal(list(found.digests)), len(labels), [], None)
        write_clusters(dataset, options, COPIES, batch, labels, result, progress, fields)


def _labels(digests: list[str | None]) -> np.ndarray:
    """Return each file's cluster ``(n,)``, numbered in the order of their first files; -1 for a file without a copy."""
    times = Counter(digests)
    several = [digest for digest in times if digest is not None and times[digest] > 1]
    numbers = {digest: number for number, digest in enumerate(several)}
    return np.array([numbers.get(digest, NOISE) for digest in digests], dtype=np.int64)


def _bytes(samples: sm.Samples, run_key: str) -> int:
    """Return the size of the files that only dropped samples name; those that are gone by now count nothing."""
    _, paths, kept = sm.read(samples, "filepath", runs.Names(run_key).kept)
    verdicts = list(zip(paths, kept, strict=True))
    dropped = {path for path, is_kept in verdicts if is_kept is False}
    dropped -= {path for path, is_kept in verdicts if is_kept}
    return sum(sizes(dropped).values())
