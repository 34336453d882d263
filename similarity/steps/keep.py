"""Which sample is kept for which: the deduplicated view, and the proof of what was left out."""

import dataclasses
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import fiftyone as fo
import numpy as np

from .. import ray
from ..data import runs, seals, views
from ..data import samples as sm
from ..data.files import files
from ..data.locks import lock
from ..data.vectors import Vectors, read_vectors
from ..engine import bins
from ..engine import keepers as engine_keepers
from ..engine.certificate import Certificate, certify
from ..engine.clusters import NOISE
from ..engine.keepers import Keepers
from ..engine.neighbors import reach
from ..engine.pieces import Pieces, Store
from ..options import KeepOptions
from ..progress import Progress, about, silent
from ..result import Skipped, count, listed
from ..workflow import CLUSTER, KEEP
from .cluster import LEAST
from .cluster_result import large_cluster_warning
from .keep_result import KeepResult, largest_clusters
from .order import keep_order, protected
from .pairs import LISTED, equal_pairs, pairs_at, side_by_side, worst_pairs

NOT_IN_RUN = "not in the run: run cluster_duplicates again"


@dataclass(frozen=True)
class _Members:
    """The samples of a view that are in the run, in the view's order.

    Attributes:
        ids, labels, matrix: their ids, ``(n,)`` clusters, ``(n, d)`` vectors
        skipped: sample id -> why it is not in the run, of the view's others
        guarded: ``(n,)`` whether they are kept in any case
        rank: ``(n,)`` smaller is preferred
    """

    ids: list[str]
    labels: np.ndarray
    matrix: Any
    skipped: Skipped
    guarded: np.ndarray
    rank: np.ndarray


def keep(
    samples: fo.core.collections.SampleCollection,
    options: KeepOptions,
    progress: Progress = silent,
    *,
    least: int = LEAST,
) -> KeepResult:
    """Decide which samples stand for which, and write it.

    Args:
        least (50,000): with fewer samples, a Ray cluster that is asked for is not used

    Raises:
        ValueError: if the run is missing, or its vectors or samples have changed since; the message says what to run again
        Busy: if another operator is at work on the run
    """
    dataset, run_key, owned = sm.dataset_of(samples), options.run_key, _owned(options.run_key)
    with lock(dataset, f"run-{run_key}"), ExitStack() as opened:
        samples = sm.flat(samples)
        clustering = runs.require(dataset, run_key, CLUSTER)
        runs.refuse_foreign(dataset, run_key, owned)
        progress("Reading the vectors", 0, 3)
        unusable = runs.step_results(dataset, run_key, CLUSTER)["skipped"]
        few = clustering["samples"] < least
        on = None if few else opened.enter_context(ray.cluster(options.ray))
        members = _members(samples, options, clustering, unusable, on)
        found = _choose(members, clustering, options.cover, about(progress, "Choosing what is kept"))
        covering = found
        if not options.cover:
            covering = _choose(members, clustering, True, about(progress, "Counting with cover"))
        result = _result(dataset, options, clustering, members, found, int(covering.kept.sum()))
        progress("Writing", 2, 3)
        runs.begin(dataset, run_key, KEEP, options, owned)
        _write(dataset, options, members, found, result, unusable)
        facts = ("samples", "kept", "dropped", "copies", "identical", "beyond_eps")
        runs.finish(
            dataset,
            run_key,
            KEEP,
            {name: getattr(result, name) for name in facts} | {"skipped": len(result.skipped)},
            result.to_dict() | _of_each(dataset, clustering, members, found),
        )
        return dataclasses.replace(result, view=dataset.load_saved_view(runs.Names(run_key).view("kept")))


def _members(
    samples: fo.core.collections.SampleCollection,
    options: KeepOptions,
    clustering: dict[str, Any],
    unusable: Skipped,
    store: Store | None,
) -> _Members:
    """The view's samples that are in the run, with the vectors that were clustered."""
    cluster, metric = runs.Names(options.run_key).cluster, clustering["options"]["metric"]
    vectors = _clustered(sm.dataset_of(samples), options.run_key, clustering, store)
    ids, labels = sm.read(samples, cluster)
    skipped = {i: unusable.get(i, NOT_IN_RUN) for i, label in zip(ids, labels, strict=True) if label is None}
    ids = [i for i in ids if i not in skipped]
    if not ids:
        raise ValueError(
            f"None of these samples is in the run {options.run_key!r}: run cluster_duplicates on them first"
        )
    numbers = np.array([label for label in labels if label is not None], dtype=np.int64)
    row = {sample_id: i for i, sample_id in enumerate(vectors.ids)}
    rows = np.array([row[sample_id] for sample_id in ids])
    distant = isinstance(vectors.matrix, Pieces)
    matrix = vectors.matrix.chosen(rows) if distant else vectors.matrix[rows]
    in_run = samples.exists(cluster)
    rank = keep_order(in_run, ids, matrix, numbers, options, metric)
    return _Members(ids, numbers, matrix, skipped, protected(in_run, ids, options), rank)


def _clustered(dataset: fo.Dataset, run_key: str, clustering: dict[str, Any], store: Store | None) -> Vectors:
    """The vectors of all samples of the run."""
    field, cluster = clustering["options"]["embeddings_field"], runs.Names(run_key).cluster
    members = sm.everything(dataset).exists(cluster)
    vectors = read_vectors(members, field, store) if members.limit(1).count() else None
    if vectors and not vectors.skipped and vectors.digest == clustering["vectors_digest"]:
        return vectors
    raise ValueError(
        f"The vectors in {field!r}, or the samples of the run {run_key!r}, have changed since they were clustered: run "
        "cluster_duplicates again"
    )


def _choose(
    members: _Members,
    clustering: dict[str, Any],
    cover: bool,
    progress: Callable[[int, int], None],
) -> Keepers:
    return bins.keep(
        members.matrix,
        members.labels,
        eps=clustering["eps"],
        metric=clustering["options"]["metric"],
        rank=members.rank,
        protected=members.guarded,
        cover=cover,
        progress=progress,
    )


def _result(
    dataset: fo.Dataset,
    options: KeepOptions,
    clustering: dict[str, Any],
    members: _Members,
    found: Keepers,
    with_cover: int,
) -> KeepResult:
    eps, metric, labels = clustering["eps"], clustering["options"]["metric"], members.labels
    proof = certify(labels, found, eps=eps, metric=metric)
    worst = worst_pairs(members.ids, members.rank, found)
    equal = np.flatnonzero(~found.kept & (found.distance <= reach(0, metric)))
    equal = pairs_at(members.ids, found, equal[np.argsort(members.rank[equal])])
    copies, identical = equal_pairs(dataset, clustering["options"]["embeddings_field"], equal)
    kept = int(found.kept.sum())
    without_cover = engine_keepers.first_per_cluster(labels, members.guarded)
    return KeepResult(
        run_key=options.run_key,
        samples=len(members.ids) + len(members.skipped),
        clusters=len(np.unique(labels[labels != NOISE])),
        noise=int((labels == NOISE).sum()),
        kept=kept,
        dropped=len(members.ids) - kept,
        kept_with_cover=with_cover,
        kept_without_cover=without_cover,
        skipped=members.skipped,
        protected=int(members.guarded.sum()),
        eps=eps,
        metric=metric,
        largest=largest_clusters(members.ids, labels, members.rank, found),
        worst=worst,
        files=files(dataset, [*side_by_side([*worst, *identical[:LISTED]]), *listed(members.skipped)]),
        worst_similarity=proof.worst_similarity if worst else None,
        copies=copies,
        identical=len(identical),
        identical_pairs=identical[:LISTED],
        beyond_eps=proof.beyond_eps,
        largest_share=proof.largest_share,
        warnings=[large_cluster_warning(proof.largest_share)] if proof.alarm else [],
        notes=_notes(options.cover, proof, with_cover, without_cover),
    )


def _notes(cover: bool, proof: Certificate, with_cover: int, without_cover: int) -> list[str]:
    if with_cover == without_cover:
        return []
    if cover:
        return [
            "Every dropped sample is within eps of a kept one. One of each cluster (cover=False) would be "
            f"{without_cover:,}, and some dropped samples farther than eps from every kept one."
        ]
    far = count(proof.beyond_eps, "dropped sample is", "dropped samples are")
    return [
        f"{far} farther than eps from every kept one, linked to it by look-alikes in between: look at the worst pairs. "
        f"With cover, {with_cover:,} are kept and none is."
    ]


def _of_each(
    dataset: fo.Dataset, clustering: dict[str, Any], members: _Members, found: Keepers
) -> dict[str, Any]:
    """Stored of each sample, beside its fields: a dropped one's distance to its kept one, and the seals."""
    dropped = [
        (i, d)
        for i, d, kept in zip(members.ids, found.distance.tolist(), found.kept, strict=True)
        if not kept
    ]
    field = clustering["options"]["embeddings_field"]
    return {
        "distances": dict(dropped),
        "seals": seals.take(dataset, field, members.ids, members.matrix, [i for i, _ in dropped]),
    }


def _owned(run_key: str) -> dict[str, list[str]]:
    names = runs.Names(run_key)
    return {
        "fields": [names.kept, names.kept_id, names.similarity],
        "views": [names.view(word) for word in ("kept", "duplicates", "worst", "clusters", "skipped")],
    }


def _write(
    dataset: fo.Dataset,
    options: KeepOptions,
    members: _Members,
    found: Keepers,
    result: KeepResult,
    unusable: Skipped,
) -> None:
    names, owned, ids = runs.Names(options.run_key), _owned(options.run_key), members.ids
    runs.clear(dataset, options.run_key, owned["fields"], names.keep_tags, owned["views"])
    runs.declare(
        dataset,
        options.run_key,
        {
            names.kept: (fo.BooleanField, "Whether the sample is kept"),
            names.kept_id: (fo.StringField, "Id of its cluster's nearest kept sample; a kept one's own"),
            names.similarity: (fo.FloatField, "Similarity in percent to that sample"),
        },
    )
    columns = {
        names.kept: found.kept.tolist(),
        names.kept_id: [ids[i] for i in found.kept_index],
        names.similarity: found.similarity.tolist(),
    }
    sm.write(dataset, {name: dict(zip(ids, values, strict=True)) for name, values in columns.items()})
    tags = {
        names.tag("duplicate"): [i for i, kept in zip(ids, found.kept, strict=True) if not kept],
        names.tag("skipped"): list(members.skipped | unusable),
    }
    sm.retag(dataset, None, {tag: tagged for tag, tagged in tags.items() if tagged})
    views.save_decision(dataset, names, side_by_side(result.worst))
