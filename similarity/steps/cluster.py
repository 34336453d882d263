"""Near-duplicate clusters: DBSCAN labels into a field, tags and the run record."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import fiftyone as fo
import numpy as np

from ..data import runs, splits, sweeps, thresholds, views
from ..data import samples as sm
from ..data.files import files
from ..data.locks import lock
from ..data.splits import Leaks
from ..data.vectors import Vectors, read_vectors
from ..engine import clusters as engine_clusters
from ..engine.calibration import ALIKE, usual_distance
from ..engine.certificate import ALARMING_SHARE
from ..engine.clusters import NOISE
from ..engine.sweep import check_min_samples, eps_for_target
from ..engine.vectors import percent as similarity_percent
from ..options import AUTO, ClusterOptions, WriteRunOptions
from ..progress import Progress, about, silent
from ..result import Result, Skipped, count, listed, percent, skipped_lines, skipped_table, view_field
from ..workflow import CLUSTER, Step
from .shrinking import refuse_shrinking

MOST_TAGS = 1_000  # cluster tags of one run: the App's sidebar stays usable; the field has them all


@dataclass(frozen=True, kw_only=True)
class ClusterResult(Result):
    """What ``cluster_duplicates`` found.

    Attributes:
        run_key: the run
        samples: number of samples asked for
        clusters: number of clusters
        sizes: ``(number, size)`` of every cluster, the largest first
        noise: number of samples that resemble no other one; they are unique, and always kept
        skipped: sample id -> why it has no usable vector
        files: sample id -> file, of the first of them
        eps: the distance used, and ``eps_reason`` why
        metric, min_samples: as in the options
        unique: clusters and noise samples together: how many samples remain if one of each cluster is kept
        largest_share: share of the samples in the largest cluster, in [0, 1]
        warnings: what a person should look at first
        leaks: the clusters that straddle the splits; None where the samples have none
        view: the clusters, one group each
    """

    run_key: str
    samples: int
    clusters: int
    sizes: list[tuple[int, int]]
    noise: int
    skipped: Skipped
    files: dict[str, str]
    eps: float
    eps_reason: str
    metric: str
    min_samples: int
    unique: int
    largest_share: float
    warnings: list[str]
    leaks: Leaks | None = None
    view: fo.DatasetView | None = view_field()

    def summary(self) -> str:
        """The result in words."""
        clustered = self.samples - len(self.skipped)
        lines = [
            *self.warnings,
            f"{count(self.samples, 'sample')}: {count(self.clusters, 'cluster')}, and {count(self.noise, 'sample')} unlike "
            f"any other. One of each are {self.unique:,}: {percent(self.unique, clustered)} to annotate.",
            self.eps_sentence(),
            *([self.leaks.sentence()] if self.leaks else []),
        ]
        if self.skipped:
            lines += ["", f"{count(len(self.skipped), 'sample')} skipped:", *skipped_lines(self.skipped)]
        return "\n".join(lines)

    def eps_sentence(self) -> str:
        """The distance used, as similarity, and the reason."""
        near = f" ({similarity_percent(self.eps):.4g} % similar)" if self.metric == "cosine" else ""
        return f"Two samples are neighbors within {self.metric} distance {self.eps:.6g}{near}: {self.eps_reason}."

    def tables(self) -> dict[str, list[dict[str, str]]]:
        """The largest clusters."""
        names = runs.Names(self.run_key)
        rows = [
            {"cluster": str(number), "samples": f"{size:,}", "tag": names.cluster_tag(number)}
            for number, size in self.sizes[:20]
        ]
        leaks = {"leaks": self.leaks.rows()} if self.leaks and self.leaks.pairs else {}
        return {"largest_clusters": rows} | leaks | skipped_table(self.skipped, self.files)


def cluster(
    samples: fo.core.collections.SampleCollection, options: ClusterOptions, progress: Progress = silent
) -> ClusterResult:
    """Cluster the samples' vectors and write the labels.

    Nothing is written before the labels are known. An earlier result of the run, also of later steps, is replaced.

    Raises:
        ValueError: if the samples, the field or a name does not do, or there is a target and ``min_samples`` is above 2
        WouldShrink: if the run would lose samples, and it was not confirmed
        Busy: if another operator is at work on the run
    """
    dataset = sm.dataset_of(samples)
    if options.target is not None:
        check_min_samples(options.min_samples)
    with lock(dataset, f"run-{options.run_key}"):
        samples = sm.flat(samples)
        runs.refuse_foreign(dataset, options.run_key, _owned(options.run_key))
        refuse_shrinking(samples, options)
        splits.check(dataset, options.splits)
        progress("Reading the vectors", 0, 1)
        vectors = read_vectors(samples, options.embeddings_field)
        eps, reason = _choose_eps(samples, vectors, options, progress)
        labels = engine_clusters.dbscan(
            vectors.matrix,
            eps=eps,
            min_samples=options.min_samples,
            metric=options.metric,
            progress=about(progress, "Comparing the vectors"),
        )
        result = _result(dataset, options, vectors, labels, (eps, reason))
        return write_clusters(dataset, options, CLUSTER, vectors, labels, result, progress)


def write_clusters(
    dataset: fo.Dataset,
    options: WriteRunOptions,
    step: Step,
    vectors: Vectors,
    labels: np.ndarray,
    result: ClusterResult,
    progress: Progress,
    beside: Mapping[str, Mapping[str, str | None]] | None = None,
) -> ClusterResult:
    """Write the labels of a run and its record; an earlier result of the run, also of later steps, is replaced.

    Args:
        step: whose record it is
        vectors: the samples, and what was compared
        labels: ``(n,)`` of these samples
        result: without its view
        beside (None): fields of the run beside its clusters: ``{field: {sample id: text}}``

    Returns:
        the result with its view
    """
    beside, owned = beside or {}, _owned(options.run_key)
    owned["fields"] += beside
    runs.begin(dataset, options.run_key, step, options, owned)
    _write(dataset, options, vectors.ids, labels, result, beside, progress)
    view = views.save_clusters(dataset, runs.Names(options.run_key))
    leaks = splits.save_leaks(dataset, options.run_key, options.recorded())
    result = dataclasses.replace(result, leaks=leaks)
    facts = {
        "eps": result.eps,
        "samples": result.samples,
        "clusters": result.clusters,
        "noise": result.noise,
        "skipped": len(result.skipped),
        "vectors_digest": vectors.digest,
        "whole_dataset": result.samples == sm.exact_count(sm.everything(dataset)),
    }
    runs.finish(dataset, options.run_key, step, facts, result.to_dict() | {"ids": vectors.ids})
    return dataclasses.replace(result, view=view)


def _choose_eps(
    samples: fo.core.collections.SampleCollection,
    vectors: Vectors,
    options: ClusterOptions,
    progress: Progress,
) -> tuple[float, str]:
    """The eps to use, and why."""
    if options.target is not None:
        swept = sweeps.stored(sm.dataset_of(samples), vectors, options, progress).sweep
        wanted = sweeps.wanted(options.target, len(vectors.ids))
        eps, kept = eps_for_target(swept, wanted)
        return eps, f"of the numbers that can be kept, {kept:,} is the nearest to {wanted:,}"
    if options.eps != AUTO:
        return float(options.eps), "as given"
    found = thresholds.require(samples, options.embeddings_field, options.metric)
    measured = "measured for these weights and this layer"
    return found.eps, measured if found.measured else "measured for ImageNet's weights, not for these"


def _result(
    dataset: fo.Dataset, options: ClusterOptions, vectors: Vectors, labels: np.ndarray, eps: tuple[float, str]
) -> ClusterResult:
    found = counted(labels)
    return ClusterResult(
        run_key=options.run_key,
        samples=len(vectors.ids) + len(vectors.skipped),
        skipped=vectors.skipped,
        files=files(dataset, listed(vectors.skipped)),
        eps=eps[0],
        eps_reason=eps[1],
        metric=options.metric,
        min_samples=options.min_samples,
        warnings=_warnings(vectors.matrix, options.metric, eps[0], found["largest_share"]),
        **found,
    )


def counted(labels: np.ndarray) -> dict[str, Any]:
    """The fields of a :class:`ClusterResult` that the labels ``(n,)`` alone give."""
    numbers, counts = np.unique(labels[labels != NOISE], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    sizes = list(zip(numbers[order].tolist(), counts[order].tolist(), strict=True))
    noise = int((labels == NOISE).sum())
    return {
        "clusters": len(sizes),
        "sizes": sizes,
        "noise": noise,
        "unique": len(sizes) + noise,
        "largest_share": sizes[0][1] / len(labels) if sizes else 0.0,
    }


def _warnings(matrix: np.ndarray, metric: str, eps: float, largest: float) -> list[str]:
    usual = usual_distance(matrix, metric)
    warnings = [large_cluster_warning(largest)] if largest > ALARMING_SHARE else []
    if usual < ALIKE * eps:
        warnings.append(alike_warning(usual, metric))
    if not largest and len(matrix) > 1:
        warnings.append("NOTE: no two samples are within eps of each other, so every sample is kept.")
    return warnings


def _write(
    dataset: fo.Dataset,
    options: WriteRunOptions,
    ids: list[str],
    labels: np.ndarray,
    result: ClusterResult,
    beside: Mapping[str, Mapping[str, str | None]],
    progress: Progress,
) -> None:
    names = runs.Names(options.run_key)
    runs.clear(dataset, options.run_key, names.fields, names.tags, names.views)
    told = "Number of the sample's cluster; -1 = noise, empty = not in the run"
    runs.declare(dataset, options.run_key, {names.cluster: (fo.IntField, told)})
    if beside:
        texts = dict.fromkeys(beside, (fo.StringField, "Of the file whose copies were looked for"))
        runs.declare(dataset, options.run_key, texts, beside=options.embeddings_field)
    progress("Writing the labels", 0, 2)
    sm.write(dataset, {names.cluster: dict(zip(ids, labels.tolist(), strict=True)), **beside})
    progress("Writing the tags", 1, 2)
    tagged = {
        names.tag("noise"): [i for i, label in zip(ids, labels, strict=True) if label == NOISE],
        names.tag("skipped"): list(result.skipped),
    }
    if options.tag_clusters:
        members: dict[int, list[str]] = {number: [] for number, size in result.sizes[:MOST_TAGS] if size > 1}
        for sample_id, label in zip(ids, labels.tolist(), strict=True):
            if label in members:
                members[label].append(sample_id)
        tagged |= {names.cluster_tag(number): mine for number, mine in members.items()}
    sm.retag(dataset, None, {tag: mine for tag, mine in tagged.items() if mine})


def _owned(run_key: str) -> dict[str, list[str]]:
    names = runs.Names(run_key)
    return {
        "fields": [names.cluster],
        "views": [names.view(word) for word in ("clusters", "skipped", "leaks")],
    }


def alike_warning(usual: float, metric: str) -> str:
    """Return the warning that eps may not tell these samples apart, from the distance of two samples taken at random."""
    near = f"{similarity_percent(usual):.1f} %" if metric == "cosine" else f"within distance {usual:.3g},"
    return (
        f"WARNING: half of all pairs of these samples are {near} or more alike. Either they show one scene, or VGG16 "
        "hardly tells pictures of this kind apart: look at the worst pairs, and give a smaller eps if they differ."
    )


def large_cluster_warning(share: float) -> str:
    """What to say where one cluster swallows much of the collection."""
    return (
        f"WARNING: one cluster holds {100 * share:.0f} % of the samples. Look at it before anything is left out; a smaller "
        "eps splits it, and cover=True keeps more of it."
    )
