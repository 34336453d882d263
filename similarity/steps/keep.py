"""Which sample is kept for which: the deduplicated view, and the proof of what was left out."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import fiftyone as fo
import numpy as np

from ..data import runs, seals, views
from ..data import samples as sm
from ..data.files import files, short_names
from ..data.locks import lock
from ..engine import keepers as engine_keepers
from ..engine.certificate import Certificate, certify
from ..engine.clusters import NOISE
from ..options import KeepOptions
from ..progress import Report, about, silent
from ..result import Result, Skipped, count, listed, percent, skipped_lines, skipped_table, view_field
from . import cluster
from .order import keep_order, protected

STEP = "keep"
NOT_IN_RUN = "not in the run: run cluster_duplicates again"
WORST = 100  # pairs in the saved view of the worst ones


@dataclass(frozen=True)
class Dropped:
    """One sample that is left out, and the kept one that stands for it."""

    id: str
    kept_id: str
    distance: float
    similarity: float


@dataclass(frozen=True, kw_only=True)
class KeepResult(Result):
    """What ``keep_first_per_cluster`` decided.

    Attributes:
        run_key: the run
        samples: number of samples asked for: kept + dropped + skipped
        clusters, noise: how many of each are among them
        kept, dropped: how many
        kept_ids: ids of the kept samples, in the keep order
        duplicates: each dropped sample with its nearest kept one of the same cluster
        skipped: sample id -> why it is neither kept nor dropped
        protected: how many samples are kept because they are protected
        eps, metric: of the clustering
        worst: the dropped samples least similar to their kept one, at most one of each kept one, the worst first
        files: sample id -> file, of the samples in ``worst`` and the first of the skipped ones
        worst_similarity: the smallest similarity in percent; None where nothing is dropped
        beyond_eps: how many dropped samples are farther than eps from every kept one of their cluster
        spreads: cluster number -> largest distance of a member to its kept one
        largest_share: share of the samples in the largest cluster, in [0, 1]
        warnings: what a person should look at first
        notes: what a person should know
        view: the kept samples
    """

    run_key: str
    samples: int
    clusters: int
    noise: int
    kept: int
    dropped: int
    kept_ids: list[str]
    duplicates: list[Dropped]
    skipped: Skipped
    protected: int
    eps: float
    metric: str
    worst: list[Dropped]
    files: dict[str, str]
    worst_similarity: float | None
    beyond_eps: int
    spreads: dict[int, float]
    largest_share: float
    warnings: list[str]
    notes: list[str]
    view: fo.DatasetView | None = view_field()

    def summary(self) -> str:
        """The result in words."""
        lines = [
            *self.warnings,
            f"{count(self.samples, 'sample')}, {count(self.clusters, 'cluster')}, {self.kept:,} kept: "
            f"{percent(self.kept, self.samples)} to annotate. {self.dropped:,} dropped, {len(self.skipped):,} skipped.",
        ]
        if self.worst_similarity is not None:
            lines.append(
                f"The least similar dropped sample is {self.worst_similarity:.2f} % similar to its kept one."
            )
        lines += self.notes
        if self.skipped:
            lines += ["", "Skipped:", *skipped_lines(self.skipped)]
        return "\n".join(lines)

    def tables(self) -> dict[str, list[dict[str, str]]]:
        """The dropped samples least similar to their kept one."""
        names = short_names(self.files)
        rows = [
            {"dropped": names[pair.id], "kept": names[pair.kept_id], "similarity": f"{pair.similarity:.2f} %"}
            for pair in self.worst[:20]
        ]
        return {"worst_pairs": rows} | skipped_table(self.skipped, self.files)


def keep(
    samples: fo.core.collections.SampleCollection, options: KeepOptions, report: Report = silent
) -> KeepResult:
    """Decide which samples stand for which, and write it.

    Raises:
        ValueError: if the run is missing, or its vectors or samples have changed since; the message says what to run again
        Busy: if another operator is at work on the run
    """
    with lock(samples._dataset, f"run-{options.run_key}"):
        return _Keeping(sm.flat(samples), options).run(report)


@dataclass
class _Keeping:
    """One run of the step."""

    samples: fo.core.collections.SampleCollection
    options: KeepOptions

    def run(self, report: Report) -> KeepResult:
        self.dataset, self.names = self.samples._dataset, runs.Names(self.options.run_key)
        self.clustering = runs.require_step(
            self.dataset, self.options.run_key, cluster.STEP, "cluster_duplicates"
        )
        runs.refuse_foreign(self.dataset, self.options.run_key, self._owned())
        report("Reading the vectors", 0, 3)
        self._read()
        result = self._decide(report)
        report("Writing", 2, 3)
        runs.begin(self.dataset, self.options.run_key, STEP, self.options, self._owned())
        self._write(result)
        results = result.to_dict() | {"seals": self._seals(result)}
        runs.finish(self.dataset, self.options.run_key, STEP, self._facts(result), results)
        return dataclasses.replace(result, view=self.dataset.load_saved_view(self.names.view("kept")))

    def _read(self) -> None:
        """The view's samples that are in the run, with vectors that are the ones that were clustered."""
        vectors = self._clustered()
        row = {sample_id: i for i, sample_id in enumerate(vectors.ids)}
        ids, labels = sm.read(self.samples, self.names.cluster)
        self.ids = [sample_id for sample_id, label in zip(ids, labels, strict=True) if label is not None]
        self.labels = np.array([label for label in labels if label is not None], dtype=np.int64)
        self.matrix = vectors.matrix[[row[sample_id] for sample_id in self.ids]]
        self.skipped = self._skipped([i for i, label in zip(ids, labels, strict=True) if label is None])
        if not self.ids:
            raise ValueError(
                f"None of these samples is in the run {self.options.run_key!r}: run cluster_duplicates on them first"
            )

    def _clustered(self) -> sm.Vectors:
        """The vectors of all samples of the run."""
        field, samples = self.clustering["options"]["embeddings_field"], sm.everything(self.dataset)
        if self.dataset.has_sample_field(self.names.cluster):
            members = samples.exists(self.names.cluster)
            vectors = sm.read_vectors(members, field) if members.limit(1).count() else None
            if vectors and not vectors.skipped and vectors.digest == self.clustering["vectors_digest"]:
                return vectors
        raise ValueError(
            f"The vectors in {field!r}, or the samples of the run {self.options.run_key!r}, have changed since they were "
            "clustered: run cluster_duplicates again"
        )

    def _skipped(self, ids: list[str]) -> Skipped:
        self.unusable = runs.load_results(self.dataset, self.options.run_key)[cluster.STEP]["skipped"]
        return {sample_id: self.unusable.get(sample_id, NOT_IN_RUN) for sample_id in ids}

    def _decide(self, report: Report) -> KeepResult:
        self.eps, metric = self.clustering["eps"], self.clustering["options"]["metric"]
        in_run = self.samples.exists(self.names.cluster)
        rank = keep_order(in_run, self.ids, self.matrix, self.labels, self.options, metric)
        guarded = protected(in_run, self.ids, self.options)
        found = engine_keepers.keep(
            self.matrix,
            self.labels,
            eps=self.eps,
            metric=metric,
            rank=rank,
            protected=guarded,
            cover=self.options.cover,
            progress=about(report, "Choosing what is kept"),
        )
        proof = certify(self.labels, found, eps=self.eps, metric=metric)
        return self._result(found, proof, rank, int(guarded.sum()), metric)

    def _result(
        self, found: engine_keepers.Keepers, proof: Certificate, rank: np.ndarray, guarded: int, metric: str
    ) -> KeepResult:
        by_rank = np.argsort(rank, kind="stable")
        duplicates = [self._dropped(found, int(i)) for i in by_rank if not found.kept[i]]
        worst = _worst(duplicates)
        return KeepResult(
            run_key=self.options.run_key,
            samples=len(self.ids) + len(self.skipped),
            clusters=len(set(self.labels.tolist()) - {NOISE}),
            noise=int((self.labels == NOISE).sum()),
            kept=int(found.kept.sum()),
            dropped=len(duplicates),
            kept_ids=[self.ids[i] for i in by_rank if found.kept[i]],
            duplicates=duplicates,
            skipped=self.skipped,
            protected=guarded,
            eps=self.eps,
            metric=metric,
            worst=worst,
            files=files(self.dataset, [*_side_by_side(worst), *listed(self.skipped)]),
            worst_similarity=proof.worst_similarity if duplicates else None,
            beyond_eps=proof.beyond_eps,
            spreads=proof.spreads,
            largest_share=proof.largest_share,
            warnings=[cluster.large_cluster_warning(proof.largest_share)] if proof.alarm else [],
            notes=_notes(proof),
        )

    def _dropped(self, found: engine_keepers.Keepers, i: int) -> Dropped:
        kept_id = self.ids[int(found.kept_index[i])]
        return Dropped(self.ids[i], kept_id, float(found.distance[i]), float(found.similarity[i]))

    def _seals(self, result: KeepResult) -> dict[str, Any]:
        field, dropped = self.clustering["options"]["embeddings_field"], [d.id for d in result.duplicates]
        return seals.take(self.dataset, field, self.ids, self.matrix, dropped)

    def _owned(self) -> dict[str, list[str]]:
        names = self.names
        return {
            "fields": [names.kept, names.kept_id, names.similarity],
            "views": [names.view(word) for word in ("kept", "duplicates", "worst", "clusters", "skipped")],
        }

    def _write(self, result: KeepResult) -> None:
        names, owned = self.names, self._owned()
        runs.clear(self.dataset, self.options.run_key, owned["fields"], names.keep_tags, owned["views"])
        runs.declare(
            self.dataset,
            self.options.run_key,
            {
                names.kept: (fo.BooleanField, "Whether the sample is kept"),
                names.kept_id: (fo.StringField, "Id of its cluster's nearest kept sample; a kept one's own"),
                names.similarity: (fo.FloatField, "Similarity in percent to that sample"),
            },
        )
        sm.write(self.dataset, self._columns(result))
        tags = {
            names.tag("duplicate"): [d.id for d in result.duplicates],
            names.tag("skipped"): [*result.skipped, *(i for i in self.unusable if i not in result.skipped)],
        }
        sm.retag(self.dataset, None, {tag: ids for tag, ids in tags.items() if ids})
        views.save_decision(self.dataset, names, _side_by_side(result.worst))

    def _columns(self, result: KeepResult) -> dict[str, dict[str, Any]]:
        kept, duplicates, names = result.kept_ids, result.duplicates, self.names
        return {
            names.kept: {**dict.fromkeys(kept, True), **{d.id: False for d in duplicates}},
            names.kept_id: {**{i: i for i in kept}, **{d.id: d.kept_id for d in duplicates}},
            names.similarity: {**dict.fromkeys(kept, 100.0), **{d.id: d.similarity for d in duplicates}},
        }

    def _facts(self, result: KeepResult) -> dict[str, Any]:
        return {
            "samples": result.samples,
            "kept": result.kept,
            "dropped": result.dropped,
            "skipped": len(result.skipped),
            "beyond_eps": result.beyond_eps,
        }


def _worst(duplicates: list[Dropped]) -> list[Dropped]:
    """The worst pair of each kept sample, so that a view can show each pair side by side."""
    worst: dict[str, Dropped] = {}
    for dropped in duplicates:
        known = worst.get(dropped.kept_id)
        if known is None or dropped.distance > known.distance:
            worst[dropped.kept_id] = dropped
    return sorted(worst.values(), key=lambda pair: -pair.distance)[:WORST]


def _side_by_side(pairs: list[Dropped]) -> list[str]:
    return [sample_id for pair in pairs for sample_id in (pair.id, pair.kept_id)]


def _notes(proof: Certificate) -> list[str]:
    if not proof.beyond_eps:
        return []
    return [
        f"{count(proof.beyond_eps, 'dropped sample is', 'dropped samples are')} farther than eps from every kept one, "
        "linked to it by look-alikes in between: look at the worst pairs, or keep more with cover=True."
    ]
