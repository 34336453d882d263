"""Near-duplicate clusters: DBSCAN labels into a field, tags and the run record."""

import dataclasses
from contextlib import ExitStack

import fiftyone as fo
import numpy as np

from .. import ray
from ..data import runs, sweeps, thresholds, views
from ..data import samples as sm
from ..data.files import files
from ..data.locks import lock
from ..data.seals import json_digest
from ..data.vectors import Vectors, read_vectors
from ..engine import clusters as engine_clusters
from ..engine import tiles
from ..engine.calibration import ALIKE, usual_distance
from ..engine.certificate import ALARMING_SHARE
from ..engine.clusters import NOISE
from ..engine.sweep import check_min_samples, eps_for_target
from ..options import AUTO, ClusterOptions
from ..progress import Progress, about, silent
from ..result import count, listed
from ..workflow import CLUSTER
from .cluster_result import ClusterResult, alike_warning, large_cluster_warning

LEAST = 50_000  # samples from which a cluster's start takes less time than it saves
MOST_TAGS = 1_000  # cluster tags of one run: the App's sidebar stays usable; the field has them all


class WouldShrink(ValueError):
    """Samples of the run are not among those asked for, and would leave it; nothing was written.

    Args:
        message: how many, and the remedy
        plan: name of what would be lost
        lost: ids of the samples that would leave the run
    """

    def __init__(self, message: str, plan: str, lost: list[str]):
        super().__init__(message)
        self.plan = plan
        self.lost = lost


def cluster(
    samples: fo.core.collections.SampleCollection,
    options: ClusterOptions,
    progress: Progress = silent,
    *,
    least: int = LEAST,
) -> ClusterResult:
    """Cluster the samples' vectors and write the labels.

    Nothing is written before the labels are known. An earlier result of the run, also of later steps, is replaced.

    Args:
        least (50,000): with fewer samples, a Ray cluster that is asked for is not used

    Raises:
        ValueError: if the samples, the field or a name does not do, or there is a target and ``min_samples`` is above 2
        WouldShrink: if the run would lose samples, and it was not confirmed
        Busy: if another operator is at work on the run
    """
    dataset = sm.dataset_of(samples)
    if options.target is not None:
        check_min_samples(options.min_samples)
    with lock(dataset, f"run-{options.run_key}"), ExitStack() as opened:
        samples = sm.flat(samples)
        runs.refuse_foreign(dataset, options.run_key, _owned(options.run_key))
        refuse_shrinking(samples, options)
        progress("Reading the vectors", 0, 1)
        few = sm.exact_count(samples) < least
        on = None if few else opened.enter_context(ray.cluster(options.ray))
        run = on.run if on else tiles.here
        vectors = read_vectors(samples, options.embeddings_field, on)
        eps, reason = _choose_eps(samples, vectors, options, progress, run)
        labels = engine_clusters.dbscan(
            vectors.matrix,
            eps=eps,
            min_samples=options.min_samples,
            metric=options.metric,
            run=run,
            progress=about(progress, "Comparing the vectors"),
        )
        result = _result(dataset, options, vectors, labels, (eps, reason))
        if ray.wanted(options.ray):
            where = str(on) if on else f"this machine: Ray is of use from {least:,} samples"
            result = dataclasses.replace(result, engine=where)
        runs.begin(dataset, options.run_key, CLUSTER, options, _owned(options.run_key))
        _write(dataset, options, vectors.ids, labels, result, progress)
        view = views.save_clusters(dataset, runs.Names(options.run_key))
        facts = {
            "eps": result.eps,
            "samples": result.samples,
            "clusters": result.clusters,
            "noise": result.noise,
            "skipped": len(result.skipped),
            "vectors_digest": vectors.digest,
            "engine": result.engine,
            "whole_dataset": result.samples == sm.exact_count(sm.everything(dataset)),
        }
        runs.finish(dataset, options.run_key, CLUSTER, facts, result.to_dict() | {"ids": vectors.ids})
        return dataclasses.replace(result, view=view)


def refuse_shrinking(samples: fo.core.collections.SampleCollection, options: ClusterOptions) -> None:
    """Refuse to take samples out of a run that nobody confirmed to be lost.

    Raises:
        WouldShrink: if samples of the run are not among ``samples``, and ``confirm`` is off
        ValueError: if it is on, and the ``plan`` that was looked at is another one
    """
    dataset, run_key, field = sm.dataset_of(samples), options.run_key, runs.Names(options.run_key).cluster
    if not runs.owns_field(dataset, run_key, field):
        return
    members = sm.everything(dataset).exists(field).values("id")
    lost = sorted(set(members) - set(sm.flat(samples).values("id")))
    plan = json_digest({"run_key": run_key, "lost": lost})
    if lost and not options.confirm:
        raise WouldShrink(
            f"{count(len(lost), 'sample')} of the run {run_key!r} ({len(members):,} in all) are not in this view and would "
            "lose their clusters and decisions. Cluster the whole dataset, choose another run_key, or confirm it "
            "(confirm=True)",
            plan,
            lost,
        )
    if lost and options.plan not in (None, plan):
        raise ValueError(
            f"The run {run_key!r} would lose other samples than in the plan {options.plan!r} that was shown, so nothing was "
            "changed: look at the new plan first"
        )


def _choose_eps(
    samples: fo.core.collections.SampleCollection,
    vectors: Vectors,
    options: ClusterOptions,
    progress: Progress,
    run: tiles.Run,
) -> tuple[float, str]:
    """The eps to use, and why."""
    if options.target is not None:
        swept = sweeps.stored(sm.dataset_of(samples), vectors, options, progress, run).sweep
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
    numbers, counts = np.unique(labels[labels != NOISE], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    sizes = list(zip(numbers[order].tolist(), counts[order].tolist(), strict=True))
    noise = int((labels == NOISE).sum())
    largest = sizes[0][1] / len(labels) if sizes else 0.0
    return ClusterResult(
        run_key=options.run_key,
        samples=len(vectors.ids) + len(vectors.skipped),
        clusters=len(sizes),
        sizes=sizes,
        noise=noise,
        skipped=vectors.skipped,
        files=files(dataset, listed(vectors.skipped)),
        eps=eps[0],
        eps_reason=eps[1],
        metric=options.metric,
        min_samples=options.min_samples,
        unique=len(sizes) + noise,
        largest_share=largest,
        warnings=_warnings(vectors.matrix, options.metric, eps[0], largest),
    )


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
    options: ClusterOptions,
    ids: list[str],
    labels: np.ndarray,
    result: ClusterResult,
    progress: Progress,
) -> None:
    names = runs.Names(options.run_key)
    runs.clear(dataset, options.run_key, names.fields, names.tags, names.views)
    told = "Number of the sample's cluster; -1 = noise, empty = not in the run"
    runs.declare(dataset, options.run_key, {names.cluster: (fo.IntField, told)})
    progress("Writing the labels", 0, 2)
    sm.write(dataset, {names.cluster: dict(zip(ids, labels.tolist(), strict=True))})
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
    return {"fields": [names.cluster], "views": [names.view("clusters"), names.view("skipped")]}
