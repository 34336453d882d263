"""Near-duplicate clusters: DBSCAN labels into a field, tags and the run record."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import fiftyone as fo
import numpy as np

from ..data import runs, sweeps, thresholds, views
from ..data import samples as sm
from ..data.files import files
from ..data.locks import lock
from ..data.vectors import Vectors, read_vectors
from ..engine import clusters as engine_clusters
from ..engine.calibration import ALIKE, usual_distance
from ..engine.certificate import ALARMING_SHARE
from ..engine.clusters import NOISE
from ..engine.sweep import check_min_samples, eps_for_target
from ..engine.vectors import percent as similarity_percent
from ..options import AUTO, ClusterOptions
from ..progress import Report, about, silent
from ..result import Result, Skipped, count, listed, percent, skipped_lines, skipped_table, view_field
from ..workflow import CLUSTER

MOST_TAGS = 1_000  # cluster tags of one run: the App's sidebar stays usable; the field has them all


@dataclass(frozen=True)
class Cluster:
    """One cluster: its number in the field, and its members in the order of the view."""

    number: int
    size: int
    members: list[str]


@dataclass(frozen=True)
class Choice:
    """The eps that is used, and why."""

    eps: float
    reason: str


@dataclass(frozen=True, kw_only=True)
class ClusterResult(Result):
    """What ``cluster_duplicates`` found.

    Attributes:
        run_key: the run
        samples: number of samples asked for
        clusters: number of clusters
        members: every cluster, the largest first
        noise: number of samples that resemble no other one; they are unique, and always kept
        noise_ids: their ids
        skipped: sample id -> why it has no usable vector
        files: sample id -> file, of the first of them
        eps: the distance used, and ``eps_reason`` why
        metric, min_samples: as in the options
        unique: clusters and noise samples together: how many samples remain if one of each cluster is kept
        largest_share: share of the samples in the largest cluster, in [0, 1]
        warnings: what a person should look at first
        view: the clusters, one group each
    """

    run_key: str
    samples: int
    clusters: int
    members: list[Cluster]
    noise: int
    noise_ids: list[str]
    skipped: Skipped
    files: dict[str, str]
    eps: float
    eps_reason: str
    metric: str
    min_samples: int
    unique: int
    largest_share: float
    warnings: list[str]
    view: fo.DatasetView | None = view_field()

    def summary(self) -> str:
        """The result in words."""
        clustered = self.samples - len(self.skipped)
        lines = [
            *self.warnings,
            f"{count(self.samples, 'sample')}: {count(self.clusters, 'cluster')}, and {count(self.noise, 'sample')} unlike "
            f"any other. One of each are {self.unique:,}: {percent(self.unique, clustered)} to annotate.",
            self.eps_sentence(),
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
            {"cluster": str(c.number), "samples": f"{c.size:,}", "tag": names.cluster_tag(c.number)}
            for c in self.members[:20]
        ]
        return {"largest_clusters": rows} | skipped_table(self.skipped, self.files)


def cluster(
    samples: fo.core.collections.SampleCollection, options: ClusterOptions, report: Report = silent
) -> ClusterResult:
    """Cluster the samples' vectors and write the labels.

    Nothing is written before the labels are known. An earlier result of the run, also of later steps, is replaced.

    Raises:
        ValueError: if the samples, the field or a name does not do, or there is a target and ``min_samples`` is above 2
        Busy: if another operator is at work on the run
    """
    if options.target is not None:
        check_min_samples(options.min_samples)
    with lock(samples._dataset, f"run-{options.run_key}"):
        samples = sm.flat(samples)
        runs.refuse_foreign(samples._dataset, options.run_key, _owned(options.run_key))
        report("Reading the vectors", 0, 1)
        vectors = read_vectors(samples, options.embeddings_field)
        choice = _choose_eps(samples, vectors, options, report)
        labels = engine_clusters.dbscan(
            vectors.matrix,
            eps=choice.eps,
            min_samples=options.min_samples,
            metric=options.metric,
            progress=about(report, "Comparing the vectors"),
        )
        return _Writing(samples, options, vectors, labels, choice).run(report)


def _choose_eps(
    samples: fo.core.collections.SampleCollection,
    vectors: Vectors,
    options: ClusterOptions,
    report: Report,
) -> Choice:
    if options.target is not None:
        swept = sweeps.swept(samples._dataset, vectors, options.metric, options.min_samples, report)
        wanted = sweeps.wanted(options.target, len(vectors.ids))
        eps, kept = eps_for_target(swept, wanted)
        return Choice(eps, f"of the numbers that can be kept, {kept:,} is the nearest to {wanted:,}")
    if options.eps != AUTO:
        return Choice(float(options.eps), "as given")
    found = thresholds.require(samples, options.embeddings_field, options.metric)
    measured = "measured for these weights and this layer"
    return Choice(found.eps, measured if found.measured else "measured for ImageNet's weights, not for these")


@dataclass
class _Writing:
    """The labels on their way into the dataset."""

    samples: fo.core.collections.SampleCollection
    options: ClusterOptions
    vectors: Vectors
    labels: np.ndarray
    choice: Choice

    def run(self, report: Report) -> ClusterResult:
        self.dataset, self.names = self.samples._dataset, runs.Names(self.options.run_key)
        result = self._result()
        runs.begin(self.dataset, self.options.run_key, CLUSTER, self.options, _owned(self.options.run_key))
        self._write(result, report)
        view = views.save_clusters(self.dataset, self.names)
        runs.finish(self.dataset, self.options.run_key, CLUSTER, self._facts(result), result.to_dict())
        return dataclasses.replace(result, view=view)

    def _write(self, result: ClusterResult, report: Report) -> None:
        names = self.names
        runs.clear(self.dataset, self.options.run_key, names.fields, names.tags, names.views)
        runs.declare(
            self.dataset,
            self.options.run_key,
            {
                self.names.cluster: (
                    fo.IntField,
                    "Number of the sample's cluster; -1 = noise, empty = not in the run",
                )
            },
        )
        report("Writing the labels", 0, 2)
        labels = [int(label) for label in self.labels]
        sm.write(self.dataset, {self.names.cluster: dict(zip(self.vectors.ids, labels, strict=True))})
        report("Writing the tags", 1, 2)
        sm.retag(self.dataset, None, self._tags(result))

    def _tags(self, result: ClusterResult) -> dict[str, list[str]]:
        tags = {self.names.tag("noise"): result.noise_ids, self.names.tag("skipped"): list(result.skipped)}
        if self.options.tag_clusters:
            for cluster in [c for c in result.members if c.size > 1][:MOST_TAGS]:
                tags[self.names.cluster_tag(cluster.number)] = cluster.members
        return {tag: ids for tag, ids in tags.items() if ids}

    def _facts(self, result: ClusterResult) -> dict[str, Any]:
        return {
            "eps": result.eps,
            "samples": result.samples,
            "clusters": result.clusters,
            "noise": result.noise,
            "skipped": len(result.skipped),
            "vectors_digest": self.vectors.digest,
            "whole_dataset": result.samples == sm.everything(self.dataset).count(),
        }

    def _result(self) -> ClusterResult:
        ids = np.array(self.vectors.ids, dtype=object)
        members = _members(self.labels, ids)
        noise = [str(i) for i in ids[self.labels == NOISE]]
        largest = members[0].size / len(ids) if members else 0.0
        return ClusterResult(
            run_key=self.options.run_key,
            samples=len(ids) + len(self.vectors.skipped),
            clusters=len(members),
            members=members,
            noise=len(noise),
            noise_ids=noise,
            skipped=self.vectors.skipped,
            files=files(self.dataset, listed(self.vectors.skipped)),
            eps=self.choice.eps,
            eps_reason=self.choice.reason,
            metric=self.options.metric,
            min_samples=self.options.min_samples,
            unique=len(members) + len(noise),
            largest_share=largest,
            warnings=self._warnings(largest, len(members)),
        )

    def _warnings(self, largest: float, clusters: int) -> list[str]:
        usual = usual_distance(self.vectors.matrix, self.options.metric)
        warnings = [large_cluster_warning(largest)] if largest > ALARMING_SHARE else []
        if usual < ALIKE * self.choice.eps:
            warnings.append(alike_warning(usual, self.options.metric))
        if not clusters and len(self.vectors.ids) > 1:
            warnings.append("NOTE: no two samples are within eps of each other, so every sample is kept.")
        return warnings


def _owned(run_key: str) -> dict[str, list[str]]:
    names = runs.Names(run_key)
    return {"fields": [names.cluster], "views": [names.view("clusters"), names.view("skipped")]}


def _members(labels: np.ndarray, ids: np.ndarray) -> list[Cluster]:
    """The clusters, the largest first; one sort for all of them."""
    order = np.argsort(labels, kind="stable")
    numbers, starts = np.unique(labels[order], return_index=True)
    groups = np.split(ids[order], starts[1:])
    found = [
        Cluster(int(number), len(group), [str(i) for i in group])
        for number, group in zip(numbers, groups, strict=True)
        if number != NOISE
    ]
    return sorted(found, key=lambda cluster: (-cluster.size, cluster.number))


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
