"""The result of ``cluster_duplicates``: the clusters, and the warnings about them."""

from dataclasses import dataclass

import fiftyone as fo

from ..data import runs
from ..data.splits import Leaks
from ..engine.vectors import percent as similarity_percent
from ..result import SkippingResult, count, percent, resemblance, view_field


@dataclass(frozen=True, kw_only=True)
class ClusterResult(SkippingResult):
    """The clusters that ``cluster_duplicates`` found.

    Attributes:
        run_key: the run
        samples: number of samples asked for, without those of the reference, as all numbers are
        clusters: number of clusters
        sizes: ``(number, size)`` of every cluster, the largest first
        noise: number of samples that resemble no other one; they are unique, and always kept
        reference: number of samples of the reference that were compared; None without a reference
        reference_skipped: how many others of it have no usable vector
        resembling: how many samples are within eps of one of the reference in their cluster
        without_value: how many samples lack a value of ``within`` or ``order_field``; they are among the noise
        eps: the distance used, and ``eps_reason`` why
        metric, min_samples: as in the options
        unique: how many samples remain if one of each cluster, and none that resembles the reference, is kept
        tagged: how many clusters, the largest ones, have a tag
        largest_share: share of the samples in the largest cluster, in [0, 1]
        warnings: findings that a person should look at first
        engine: where the vectors were compared, if a Ray cluster was asked for
        leaks: the clusters that straddle the splits; None where the samples have none
        view: the clusters, one group each
    """

    run_key: str
    samples: int
    clusters: int
    sizes: list[tuple[int, int]]
    noise: int
    eps: float
    eps_reason: str
    metric: str
    min_samples: int
    unique: int
    reference: int | None = None
    reference_skipped: int = 0
    resembling: int = 0
    without_value: int = 0
    tagged: int = 0
    largest_share: float
    warnings: list[str]
    leaks: Leaks | None = None
    engine: str | None = None
    view: fo.DatasetView | None = view_field()

    def lines(self) -> list[str]:
        """Return the result in words."""
        clustered = self.samples - len(self.skipped)
        known = "" if self.reference is None else f"; {resemblance(self.resembling, self.reference)}"
        samples = count(self.samples, "sample" if self.reference is None else "new sample")
        lines = [
            *self.warnings,
            f"{samples}: {count(self.clusters, 'cluster')}, and {count(self.noise, 'sample')} unlike any "
            f"other. One of each makes {self.unique:,}: {percent(self.unique, clustered)} to annotate{known}.",
            self.eps_sentence(),
            *([self.leaks.sentence()] if self.leaks else []),
        ]
        if self.engine:
            lines.append(f"Compared on {self.engine}.")
        if self.reference_skipped:
            lines.append(
                f"{count(self.reference_skipped, 'reference sample')} without a usable vector, compared with nothing."
            )
        if self.without_value:
            lines.append(
                f"{count(self.without_value, 'sample')} without a value of within or order_field: compared with nothing."
            )
        return lines

    def eps_sentence(self) -> str:
        """Return the distance used, as similarity, and the reason."""
        near = f" ({similarity_percent(self.eps):.4g} % similar)" if self.metric == "cosine" else ""
        return f"Two samples are neighbors within {self.metric} distance {self.eps:.6g}{near}: {self.eps_reason}."

    def tables(self) -> dict[str, list[dict[str, str]]]:
        """Return the largest clusters, and the pairs that straddle the splits."""
        names = runs.Names(self.run_key)
        rows = [
            {
                "cluster": str(number),
                "samples": f"{size:,}",
                "tag": names.cluster_tag(number) if place < self.tagged else "",
            }
            for place, (number, size) in enumerate(self.sizes[:20])
        ]
        leaks = {"leaks": self.leaks.rows()} if self.leaks and self.leaks.pairs else {}
        return {"largest_clusters": rows} | leaks | super().tables()


def alike_warning(usual: float, metric: str) -> str:
    """Return the warning that eps may not tell these samples apart, from the distance of two samples taken at random."""
    near = f"{similarity_percent(usual):.1f} %" if metric == "cosine" else f"within distance {usual:.3g},"
    return (
        f"WARNING: half of all pairs of these samples are {near} or more alike. Either they show one scene, or VGG16 "
        "hardly tells pictures of this kind apart: look at the worst pairs, and give a smaller eps if they differ."
    )


def large_cluster_warning(share: float) -> str:
    """Return the warning that one cluster holds a large share of the samples."""
    return (
        f"WARNING: one cluster holds {100 * share:.0f} % of the samples. Look at it before anything is left out; a smaller "
        "eps splits it, and cover=True keeps more of it."
    )
