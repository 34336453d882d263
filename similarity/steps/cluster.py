"""Near-duplicate clusters: DBSCAN labels into a field, tags and the run record."""

import dataclasses
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import fiftyone as fo
import numpy as np

from .. import ray
from ..data import batch as bt
from ..data import runs, splits, sweeps, thresholds, views
from ..data import samples as sm
from ..data.batch import Batch
from ..data.files import with_names
from ..data.locks import lock
from ..data.vectors import Vectors, check_vector_field
from ..engine import bins, tiles
from ..engine import clusters as engine_clusters
from ..engine.calibration import ALIKE, usual_distance
from ..engine.certificate import ALARMING_SHARE
from ..engine.clusters import NOISE
from ..engine.pieces import picked
from ..engine.sweep import check_min_samples, eps_for_target
from ..options import AUTO, ClusterOptions, RayOptions, WriteRunOptions
from ..progress import Progress, about, silent
from ..workflow import CLUSTER, Step
from .cluster_result import ClusterResult, alike_warning, large_cluster_warning
from .plans import refuse_shrinking

LEAST = 50_000  # samples from which a cluster's start takes less time than it saves


def check(
    samples: sm.Samples,
    options: ClusterOptions,
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Refuse, before a vector is read, samples, names, limits or a threshold that cannot be used.

    Args:
        provenance (None): of the vectors, where they are still to be made

    Raises:
        ValueError: as :func:`cluster` does
    """
    samples, dataset = sm.flat(samples), sm.dataset_of(samples)
    runs.refuse_foreign(dataset, options.run_key, _owned(options.run_key))
    splits.check(dataset, options.splits)
    bt.check(samples, options)
    if provenance is None:
        check_vector_field(samples, options.embeddings_field)
        provenance = sm.provenance(samples, options.embeddings_field)
    if options.target is not None:
        check_min_samples(options.min_samples)
        sweeps.wanted(options.target, sm.exact_count(samples))
    elif options.eps == AUTO:
        thresholds.require(provenance, options.embeddings_field, options.metric)


def cluster(
    samples: sm.Samples,
    options: ClusterOptions,
    progress: Progress = silent,
    *,
    least: int = LEAST,
) -> ClusterResult:
    """Cluster the samples' vectors, with those of the reference, and write the labels.

    Nothing is written before the labels are known. An earlier result of the run, also of later steps, is replaced.

    Args:
        least (50,000): with fewer samples, a Ray cluster that is asked for is not used

    Raises:
        ValueError: if the samples, the field or a name cannot be used, or there is a target and ``min_samples`` is above 2
        Unconfirmed: if the run would lose samples, and it was not confirmed
        Busy: if another operator is at work on the run
    """
    dataset = sm.dataset_of(samples)
    with lock(dataset, f"run-{options.run_key}"), ExitStack() as opened:
        check(samples, options)
        samples = sm.flat(samples)
        refuse_shrinking(samples, options)
        progress("Reading the vectors", 0, 1)
        few = sm.exact_count(samples) < least
        on = None if few else opened.enter_context(ray.cluster(options.ray))
        run = on.run if on else tiles.here
        batch = bt.read(samples, options, on)
        vectors, constraints = batch.vectors, batch.values.constraints if batch.values else None
        eps, reason = _choose_eps(samples, vectors, options, progress, run)
        labels = engine_clusters.dbscan(
            vectors.matrix,
            eps=eps,
            min_samples=options.min_samples,
            metric=options.metric,
            constraints=constraints,
            run=run,
            progress=about(progress, "Comparing the vectors"),
        )
        # The reference has the clusters that it stands for, which are the new samples'.
        labels[batch.new :][~np.isin(labels[batch.new :], labels[: batch.new])] = NOISE
        result = _result(dataset, options, batch, labels, (eps, reason))
        result = dataclasses.replace(result, engine=engine(on, options, least))
        return write_clusters(dataset, options, CLUSTER, batch, labels, result, progress)


def engine(on: ray.Cluster | None, options: RayOptions, least: int) -> str | None:
    """Say where vectors are compared; None where no Ray cluster was asked for."""
    if not ray.wanted(options.ray):
        return None
    return str(on) if on else f"this machine: Ray is of use from {least:,} samples"


def write_clusters(
    dataset: fo.Dataset,
    options: WriteRunOptions,
    step: Step,
    batch: Batch,
    labels: np.ndarray,
    result: ClusterResult,
    progress: Progress,
    beside: Mapping[str, Mapping[str, str | None]] | None = None,
) -> ClusterResult:
    """Write the labels of a run and its record; an earlier result of the run, also of later steps, is replaced.

    Args:
        step: whose record it is
        batch: the samples, with the vectors that were compared
        labels: ``(n,)`` of these samples
        result: without its view
        beside (None): fields of the run beside its clusters: ``{field: {sample id: text}}``

    Returns:
        the result with its view
    """
    beside, owned, vectors = beside or {}, _owned(options.run_key), batch.vectors
    tagged = sum(size > 1 for _, size in result.sizes[: options.tag_clusters])
    result = dataclasses.replace(result, tagged=tagged)
    owned["fields"] += beside
    progress("Writing the labels", 0, 1)  # the last one: cancelled below, the earlier result would be lost
    runs.begin(dataset, options.run_key, step, options, owned)
    _write(dataset, options, batch, labels, result, beside)
    view = views.save_clusters(dataset, runs.Names(options.run_key))
    leaks = splits.save_leaks(dataset, options.run_key, options.recorded())
    result = dataclasses.replace(result, leaks=leaks, view=view)
    facts = {name: getattr(result, name) for name in ("eps", "samples", "clusters", "noise", "engine")} | {
        "skipped": len(result.skipped),
        "vectors_digest": vectors.digest,
        "whole_dataset": result.samples + len(batch.reference) == sm.exact_count(sm.everything(dataset)),
    }
    results = result.to_dict() | {"ids": vectors.ids[: batch.new]}
    if result.reference is not None:
        facts["reference"] = result.reference
        results["reference_ids"] = batch.reference
    if batch.values is not None:
        facts["values_digest"] = batch.values.digest
    runs.finish(dataset, options.run_key, step, facts, results)
    return result


def _choose_eps(
    samples: sm.Samples,
    vectors: Vectors,
    options: ClusterOptions,
    progress: Progress,
    run: tiles.Run,
) -> tuple[float, str]:
    """Return the eps to use, and why."""
    if options.target is not None:
        swept = sweeps.stored(sm.dataset_of(samples), vectors, options, progress, run).sweep
        wanted = sweeps.wanted(options.target, len(vectors.ids))
        eps, kept = eps_for_target(swept, wanted)
        return eps, f"of the numbers that can be kept, {kept:,} is the nearest to {wanted:,}"
    if options.eps != AUTO:
        return float(options.eps), "as given"
    provenance = sm.provenance(samples, options.embeddings_field)
    found = thresholds.require(provenance, options.embeddings_field, options.metric)
    measured = "measured for these weights and this layer"
    return found.eps, measured if found.measured else "measured for ImageNet's weights, not for these"


def _result(
    dataset: fo.Dataset, options: ClusterOptions, batch: Batch, labels: np.ndarray, eps: tuple[float, str]
) -> ClusterResult:
    vectors, values, new = batch.vectors, batch.values, batch.new
    found, resembling = counted(labels[:new]), 0
    if batch.reference:
        how = {"eps": eps[0], "metric": options.metric, "constraints": values.constraints}
        chosen = bins.keep(vectors.matrix, labels, **how)
        found["unique"], resembling = int(chosen.kept.sum()), int((chosen.kept_index[:new] >= new).sum())
    return ClusterResult(
        run_key=options.run_key,
        samples=new + len(vectors.skipped),
        **with_names(dataset, vectors.skipped),
        eps=eps[0],
        eps_reason=eps[1],
        metric=options.metric,
        min_samples=options.min_samples,
        reference=None if options.reference is None else len(vectors.ids) - new,
        reference_skipped=len(batch.reference) - (len(vectors.ids) - new),
        resembling=resembling,
        without_value=int(values.missing[:new].sum()) if values else 0,
        warnings=_warnings(
            picked(vectors.matrix, np.arange(new)), options.metric, eps[0], found["largest_share"]
        ),
        **found,
    )


def counted(labels: np.ndarray) -> dict[str, Any]:
    """Return the fields of a :class:`ClusterResult` that the labels ``(n,)`` alone give."""
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
    batch: Batch,
    labels: np.ndarray,
    result: ClusterResult,
    beside: Mapping[str, Mapping[str, str | None]],
) -> None:
    names, ids = runs.Names(options.run_key), batch.vectors.ids
    runs.clear(dataset, options.run_key, names.fields, names.tags, names.views)
    told = "Number of the sample's cluster; -1 = noise, empty = not in the run"
    runs.declare(dataset, options.run_key, {names.cluster: (fo.IntField, told)})
    if beside:
        texts = dict.fromkeys(beside, (fo.StringField, "Of the file whose copies were looked for"))
        runs.declare(dataset, options.run_key, texts, beside=options.embeddings_field)
    sm.write(dataset, {names.cluster: dict(zip(ids, labels.tolist(), strict=True)), **beside})
    new, labels = np.array(ids[: batch.new]), labels[: batch.new]
    tagged = {names.tag("noise"): new[labels == NOISE].tolist(), names.tag("skipped"): list(result.skipped)}
    largest = [number for number, _ in result.sizes[: result.tagged]]
    tagged |= {names.cluster_tag(number): new[labels == number].tolist() for number in largest}
    sm.tag(dataset, tagged)


def _owned(run_key: str) -> dict[str, list[str]]:
    names = runs.Names(run_key)
    return {
        "fields": [names.cluster],
        "views": [names.view(word) for word in ("clusters", "skipped", "leaks")],
    }
