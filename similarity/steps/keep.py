"""Which sample is kept for which: the deduplicated view, and the proof of what was left out."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import fiftyone as fo
import numpy as np

from ..data import runs, seals, views
from ..data import samples as sm
from ..data.files import files
from ..data.locks import lock
from ..data.vectors import Vectors, read_compared
from ..engine import keepers as engine_keepers
from ..engine.certificate import Certificate, certify
from ..engine.clusters import NOISE
from ..engine.keepers import Keepers
from ..engine.neighbors import FLOOR, reach
from ..options import DIGEST, KeepOptions
from ..progress import Progress, about, silent
from ..result import Skipped, count, listed
from ..workflow import CLUSTER, KEEP
from .cluster import large_cluster_warning
from .keep_result import KeepResult, largest_clusters
from .order import Compared, Standing, standing
from .pairs import LISTED, WORST, equal_pairs, pairs_at, side_by_side, worst_pairs

NOT_IN_RUN = "not in the run: run cluster_duplicates again"


@dataclass(frozen=True)
class _Members:
    """The samples of a view that are in the run, in the view's order.

    Attributes:
        ids, labels, matrix: their ids, ``(n,)`` clusters, ``(n, d)`` vectors
        skipped: sample id -> why it is not in the run, of the view's others
        standing: who of them goes before whom
    """

    ids: list[str]
    labels: np.ndarray
    matrix: np.ndarray
    skipped: Skipped
    standing: Standing


def keep(
    samples: fo.core.collections.SampleCollection, options: KeepOptions, progress: Progress = silent
) -> KeepResult:
    """Decide which samples stand for which, and write it.

    Raises:
        ValueError: if the run is missing, or its vectors or samples have changed since; the message says what to run again
        Busy: if another operator is at work on the run
    """
    dataset, run_key, owned = sm.dataset_of(samples), options.run_key, _owned(options.run_key)
    with lock(dataset, f"run-{run_key}"):
        samples = sm.flat(samples)
        clustering = runs.require(dataset, run_key, CLUSTER)
        runs.refuse_foreign(dataset, run_key, owned)
        progress("Reading the vectors", 0, 3)
        unusable = runs.step_results(dataset, run_key, CLUSTER)["skipped"]
        members = _members(samples, options, clustering, unusable, progress)
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
    progress: Progress,
) -> _Members:
    """The view's samples that are in the run, with the vectors that were clustered."""
    cluster = runs.Names(options.run_key).cluster
    vectors = _clustered(sm.dataset_of(samples), options.run_key, clustering)
    ids, labels = sm.read(samples, cluster)
    skipped = {i: unusable.get(i, NOT_IN_RUN) for i, label in zip(ids, labels, strict=True) if label is None}
    ids = [i for i in ids if i not in skipped]
    if not ids:
        raise ValueError(
            f"None of these samples is in the run {options.run_key!r}: run cluster_duplicates on them first"
        )
    numbers = np.array([label for label in labels if label is not None], dtype=np.int64)
    row = {sample_id: i for i, sample_id in enumerate(vectors.ids)}
    matrix = vectors.matrix[[row[sample_id] for sample_id in ids]]
    compared = Compared(
        samples.exists(cluster),
        ids,
        numbers,
        matrix,
        clustering["options"]["embeddings_field"],
        _eps_and_metric(clustering)[1],
    )
    return _Members(ids, numbers, matrix, skipped, standing(compared, options, progress))


def _clustered(dataset: fo.Dataset, run_key: str, clustering: dict[str, Any]) -> Vectors:
    """The vectors of all samples of the run."""
    field, cluster = clustering["options"]["embeddings_field"], runs.Names(run_key).cluster
    members = sm.everything(dataset).exists(cluster)
    metric = clustering["options"]["metric"]
    vectors = read_compared(members, field, metric) if members.limit(1).count() else None
    if vectors and not vectors.skipped and vectors.digest == clustering["vectors_digest"]:
        return vectors
    raise ValueError(
        f"The vectors in {field!r}, or the samples of the run {run_key!r}, have changed since they were clustered: run "
        f"{clustering.get('operator', CLUSTER.operator)} again"
    )


def _eps_and_metric(clustering: dict[str, Any]) -> tuple[float, str]:
    """For the engine: vectors that are all equal stand for files of the same bytes."""
    metric = clustering["options"]["metric"]
    return (FLOOR, "cosine") if metric == DIGEST else (clustering["eps"], metric)


def _choose(
    members: _Members,
    clustering: dict[str, Any],
    cover: bool,
    progress: Callable[[int, int], None],
) -> Keepers:
    eps, metric = _eps_and_metric(clustering)
    return engine_keepers.keep(
        members.matrix,
        members.labels,
        eps=eps,
        metric=metric,
        rank=members.standing.rank,
        protected=members.standing.forced,
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
    standing = members.standing
    proof = certify(labels, found, eps=eps, metric=metric)
    worst = worst_pairs(members.ids, standing.rank, found)
    equal = np.flatnonzero(~found.kept & (found.distance <= reach(0, metric)))
    equal = pairs_at(members.ids, found, equal[np.argsort(standing.rank[equal])])
    copies, identical = equal_pairs(dataset, clustering["options"]["embeddings_field"], equal)
    kept = int(found.kept.sum())
    without_cover = int(engine_keepers.first_per_cluster(labels, standing.forced, standing.rank).sum())
    dropped = np.flatnonzero(~found.kept & standing.labelled)
    annotated = pairs_at(members.ids, found, dropped[np.argsort(found.similarity[dropped], kind="stable")])
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
        protected=int(standing.protected.sum()),
        by_hand=int(standing.by_hand.sum()),
        label_fields=standing.label_fields,
        labelled=int(standing.labelled.sum()),
        labelled_dropped=len(annotated),
        labelled_pairs=annotated[:WORST],
        eps=eps,
        metric=metric,
        largest=largest_clusters(members.ids, labels, standing.rank, found),
        worst=worst,
        files=files(
            dataset,
            [
                *side_by_side([*worst, *identical[:LISTED], *annotated[:LISTED]]),
                *listed(members.skipped),
            ],
        ),
        worst_similarity=proof.worst_similarity if worst else None,
        copies=copies,
        identical=len(identical),
        identical_pairs=identical[:LISTED],
        beyond_eps=proof.beyond_eps,
        largest_share=proof.largest_share,
        warnings=[large_cluster_warning(proof.largest_share)] if proof.alarm else [],
        notes=[
            *_notes(options.cover, proof, with_cover, without_cover),
            *_labelled(standing, len(annotated)),
        ],
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


def _labelled(standing: Standing, dropped: int) -> list[str]:
    if not dropped:
        return []
    labelled = count(int(standing.labelled.sum()), "labelled sample")
    return [
        f"Of {labelled} ({', '.join(standing.label_fields)}), {dropped:,} are dropped all the same: see the pairs."
    ]


def _of_each(
    dataset: fo.Dataset, clustering: dict[str, Any], members: _Members, found: Keepers
) -> dict[str, Any]:
    """Stored of each sample, beside its fields: distances of the dropped ones, decisions by hand, and seals."""
    dropped = [
        (i, d)
        for i, d, kept in zip(members.ids, found.distance.tolist(), found.kept, strict=True)
        if not kept
    ]
    field, by_bytes = clustering["options"]["embeddings_field"], clustering["options"]["metric"] == DIGEST
    vectors = [None] * len(members.ids) if by_bytes else members.matrix
    return {
        "distances": dict(dropped),
        "chosen": [i for i, chosen in zip(members.ids, members.standing.by_hand, strict=True) if chosen],
        "seals": seals.take(dataset, field, members.ids, vectors, [i for i, _ in dropped]),
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
