"""The choice of the kept samples: the deduplicated view, and the proof for each dropped sample."""

import dataclasses
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import fiftyone as fo
import numpy as np

from .. import ray
from ..data import runs, seals, views
from ..data import samples as sm
from ..data.files import file_names
from ..data.locks import lock
from ..engine import bins
from ..engine import keepers as engine_keepers
from ..engine.certificate import Certificate, certify
from ..engine.clusters import NOISE
from ..engine.keepers import Keepers
from ..engine.neighbors import reach
from ..options import DIGEST, KeepOptions
from ..progress import Progress, about, silent
from ..result import Skipped, count, listed
from ..workflow import CLUSTER, KEEP
from .cluster import LEAST, engine
from .cluster_result import large_cluster_warning
from .keep_result import KeepResult
from .members import Members, eps_and_metric, read_members
from .order import Standing
from .order import check as check_order
from .pairs import LISTED, WORST, equal_pairs, pairs_at, side_by_side, worst_pairs


def check(samples: sm.Samples, options: KeepOptions) -> dict[str, Any]:
    """Return the record of the run's clustering; refuse, before a vector is read, options that cannot be used.

    Raises:
        ValueError: as :func:`keep` does
    """
    dataset, run_key = sm.dataset_of(sm.flat(samples)), options.run_key
    clustering = runs.require(dataset, run_key, CLUSTER)
    reference = clustering["options"].get("reference")
    if options.reference not in (None, reference):
        raise ValueError(
            f"reference is {options.reference!r}, and the run {run_key!r} was clustered with {reference!r}: leave it "
            "out, or run cluster_duplicates again"
        )
    runs.refuse_foreign(dataset, run_key, _owned(run_key))
    check_order(dataset, options)
    return clustering


def keep(
    samples: sm.Samples,
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
        clustering = check(samples, options)
        samples = sm.flat(samples)
        progress("Reading the vectors", 0, 3)
        unusable = runs.step_results(dataset, run_key, CLUSTER)["skipped"]
        few = clustering["samples"] < least
        on = None if few else opened.enter_context(ray.cluster(options.ray))
        members = read_members(samples, options, clustering, unusable, progress, on)
        found = _choose(members, clustering, options.cover, about(progress, "Choosing what is kept"))
        covering = found
        if not options.cover:
            covering = _choose(members, clustering, True, about(progress, "Counting with cover"))
        result = _result(dataset, options, clustering, members, found, int(covering.kept.sum()))
        result = dataclasses.replace(result, engine=engine(on, options, least))
        progress("Writing", 2, 3)
        runs.begin(dataset, run_key, KEEP, options, owned)
        view = _write(dataset, options, members, found, result, unusable)
        facts = ("samples", "kept", "dropped", "copies", "identical", "beyond_eps", "engine")
        runs.finish(
            dataset,
            run_key,
            KEEP,
            {name: getattr(result, name) for name in facts} | {"skipped": len(result.skipped)},
            result.to_dict() | _of_each(dataset, clustering, members, found, sm.is_ordered(samples)),
        )
        return dataclasses.replace(result, view=view)


def _choose(
    members: Members,
    clustering: dict[str, Any],
    cover: bool,
    progress: Callable[[int, int], None],
) -> Keepers:
    eps, metric = eps_and_metric(clustering)
    more = (0, len(members.ids) - members.new)
    found = bins.keep(
        members.matrix,
        members.labels,
        eps=eps,
        metric=metric,
        rank=np.pad(members.standing.rank, more),
        protected=np.pad(members.standing.forced, more),
        cover=cover,
        constraints=members.constraints,
        progress=progress,
    )
    return found.first(members.new)


def _result(
    dataset: fo.Dataset,
    options: KeepOptions,
    clustering: dict[str, Any],
    members: Members,
    found: Keepers,
    with_cover: int,
) -> KeepResult:
    eps, metric, labels = clustering["eps"], clustering["options"]["metric"], members.labels[: members.new]
    standing = members.standing
    proof = certify(labels, found, eps=eps, metric=metric)
    worst = worst_pairs(members.ids, standing.rank, found)
    equal = np.flatnonzero(~found.kept & (found.distance <= reach(0, metric)))
    equal = pairs_at(members.ids, found, equal[np.argsort(standing.rank[equal])])
    copies, identical = equal_pairs(dataset, clustering["options"]["embeddings_field"], equal)
    kept = int(found.kept.sum())
    alone = found.kept_index < members.new
    first = engine_keepers.first_per_cluster(labels[alone], standing.forced[alone], standing.rank[alone])
    without_cover = int(first.sum())
    dropped = np.flatnonzero(~found.kept & standing.labelled)
    annotated = pairs_at(members.ids, found, dropped[np.argsort(found.similarity[dropped], kind="stable")])
    return KeepResult(
        run_key=options.run_key,
        samples=members.new + len(members.skipped),
        clusters=len(np.unique(labels[labels != NOISE])),
        noise=int((labels == NOISE).sum()),
        kept=kept,
        dropped=members.new - kept,
        reference=clustering.get("reference"),
        resembling=members.new - int(alone.sum()),
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
        worst=worst,
        files=file_names(
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
            *_notes(options.cover, proof, _beyond_gap(members, found), with_cover, without_cover),
            *_labelled(standing, len(annotated)),
        ],
    )


def _beyond_gap(members: Members, found: Keepers) -> int:
    """Return how many dropped samples are farther than max_gap from their kept one."""
    if members.constraints is None:
        return 0
    dropped = np.flatnonzero(~found.kept)
    return int((~members.constraints.allow(dropped, members.constraints, found.kept_index[dropped])).sum())


def _notes(
    cover: bool, proof: Certificate, beyond_gap: int, with_cover: int, without_cover: int
) -> list[str]:
    if with_cover == without_cover:
        return []
    if cover:
        return [
            "Every dropped sample is within eps of a kept one. One of each cluster (cover=False) would be "
            f"{without_cover:,}, and some dropped samples farther than eps from every kept one."
        ]
    far = count(proof.beyond_eps, "dropped sample is", "dropped samples are")
    gap = f", and {beyond_gap:,} farther than max_gap" if beyond_gap else ""
    return [
        f"{far} farther than eps from every kept one{gap}, linked to it by look-alikes in between: look at the worst pairs. "
        f"With cover, {with_cover:,} are kept and none is."
    ]


def _labelled(standing: Standing, dropped: int) -> list[str]:
    if not dropped:
        return []
    labelled = count(int(standing.labelled.sum()), "labelled sample")
    fields, are = ", ".join(standing.label_fields), count(dropped, "is", "are")
    return [f"Of {labelled} ({fields}), {are} dropped all the same: see the pairs."]


def _of_each(
    dataset: fo.Dataset, clustering: dict[str, Any], members: Members, found: Keepers, ordered: bool
) -> dict[str, Any]:
    """Return the values that are stored of each sample beside its fields: distances, decisions by hand, order, and seals.

    Args:
        ordered: whether the view has an order of its own
    """
    dropped = [
        (i, d)
        for i, d, kept in zip(members.ids[: members.new], found.distance.tolist(), found.kept, strict=True)
        if not kept
    ]
    field, by_bytes = clustering["options"]["embeddings_field"], clustering["options"]["metric"] == DIGEST
    vectors = [None] * len(members.ids) if by_bytes else members.matrix
    return {
        "distances": dict(dropped),
        "chosen": np.array(members.ids)[: members.new][members.standing.by_hand].tolist(),
        "order": members.ids[: members.new] if ordered else None,
        "seals": seals.take(dataset, field, members.ids, vectors, [i for i, _ in dropped])
        | {"reference": members.ids[members.new :]},
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
    members: Members,
    found: Keepers,
    result: KeepResult,
    unusable: Skipped,
) -> fo.DatasetView:
    names, ids = runs.Names(options.run_key), members.ids
    runs.declare(
        dataset,
        options.run_key,
        {
            names.kept: (fo.BooleanField, "Whether the sample is kept"),
            names.kept_id: (
                fo.StringField,
                "Id of its cluster's nearest kept, or reference, sample; a kept one's own",
            ),
            names.similarity: (fo.FloatField, "Similarity in percent to that sample"),
        },
    )
    columns = {
        names.kept: found.kept.tolist(),
        names.kept_id: [ids[i] for i in found.kept_index],
        names.similarity: found.similarity.tolist(),
    }
    ids = ids[: members.new]
    sm.replace(dataset, {name: dict(zip(ids, values, strict=True)) for name, values in columns.items()})
    tags = {
        names.tag("duplicate"): [i for i, kept in zip(ids, found.kept, strict=True) if not kept],
        names.tag("skipped"): list(members.skipped | unusable),
    }
    sm.replace_tags(dataset, tags)
    return views.save_decision(dataset, names, side_by_side(result.worst))
