"""Which sample is kept for which: the deduplicated view, and the proof of what was left out."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import fiftyone as fo
import numpy as np

from ..data import runs, seals, views
from ..data import samples as sm
from ..data.files import files
from ..data.locks import lock
from ..data.vectors import Vectors, read_vectors
from ..engine import keepers as engine_keepers
from ..engine.certificate import Certificate, certify
from ..engine.clusters import NOISE
from ..options import KeepOptions
from ..progress import Report, about, silent
from ..result import Skipped, count, listed
from ..workflow import CLUSTER, KEEP
from . import cluster
from .keep_result import KeepResult
from .order import keep_order, protected
from .pairs import LISTED, Dropped, equal_pairs, side_by_side, worst_pairs

NOT_IN_RUN = "not in the run: run cluster_duplicates again"


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
        self.clustering = runs.require(self.dataset, self.options.run_key, CLUSTER)
        runs.refuse_foreign(self.dataset, self.options.run_key, self._owned())
        report("Reading the vectors", 0, 3)
        self._read()
        result = self._decide(report)
        report("Writing", 2, 3)
        runs.begin(self.dataset, self.options.run_key, KEEP, self.options, self._owned())
        self._write(result)
        results = result.to_dict() | {"seals": self._seals(result)}
        runs.finish(self.dataset, self.options.run_key, KEEP, self._facts(result), results)
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

    def _clustered(self) -> Vectors:
        """The vectors of all samples of the run."""
        field, samples = self.clustering["options"]["embeddings_field"], sm.everything(self.dataset)
        if self.dataset.has_sample_field(self.names.cluster):
            members = samples.exists(self.names.cluster)
            vectors = read_vectors(members, field) if members.limit(1).count() else None
            if vectors and not vectors.skipped and vectors.digest == self.clustering["vectors_digest"]:
                return vectors
        raise ValueError(
            f"The vectors in {field!r}, or the samples of the run {self.options.run_key!r}, have changed since they were "
            "clustered: run cluster_duplicates again"
        )

    def _skipped(self, ids: list[str]) -> Skipped:
        self.unusable = runs.step_results(self.dataset, self.options.run_key, CLUSTER)["skipped"]
        return {sample_id: self.unusable.get(sample_id, NOT_IN_RUN) for sample_id in ids}

    def _decide(self, report: Report) -> KeepResult:
        self.eps, metric = self.clustering["eps"], self.clustering["options"]["metric"]
        in_run = self.samples.exists(self.names.cluster)
        rank = keep_order(in_run, self.ids, self.matrix, self.labels, self.options, metric)
        guarded = protected(in_run, self.ids, self.options)
        found = self._choose(rank, guarded, self.options.cover, report)
        proof = certify(self.labels, found, eps=self.eps, metric=metric)
        covering = found if self.options.cover else self._choose(rank, guarded, True, report)
        numbers = {
            "kept_with_cover": int(covering.kept.sum()),
            "kept_without_cover": engine_keepers.first_per_cluster(self.labels, guarded),
        }
        return self._result(found, proof, rank, int(guarded.sum()), numbers)

    def _choose(
        self, rank: np.ndarray, guarded: np.ndarray, cover: bool, report: Report
    ) -> engine_keepers.Keepers:
        return engine_keepers.keep(
            self.matrix,
            self.labels,
            eps=self.eps,
            metric=self.clustering["options"]["metric"],
            rank=rank,
            protected=guarded,
            cover=cover,
            progress=about(
                report, "Choosing what is kept" if cover == self.options.cover else "Counting with cover"
            ),
        )

    def _result(
        self,
        found: engine_keepers.Keepers,
        proof: Certificate,
        rank: np.ndarray,
        guarded: int,
        numbers: dict[str, int],
    ) -> KeepResult:
        by_rank = np.argsort(rank, kind="stable")
        duplicates = [self._dropped(found, int(i)) for i in by_rank if not found.kept[i]]
        worst = worst_pairs(duplicates)
        metric = self.clustering["options"]["metric"]
        field = self.clustering["options"]["embeddings_field"]
        copies, identical = equal_pairs(self.dataset, field, metric, duplicates)
        pairs = identical[:LISTED]
        return KeepResult(
            run_key=self.options.run_key,
            samples=len(self.ids) + len(self.skipped),
            clusters=len(set(self.labels.tolist()) - {NOISE}),
            noise=int((self.labels == NOISE).sum()),
            kept=int(found.kept.sum()),
            dropped=len(duplicates),
            **numbers,
            kept_ids=[self.ids[i] for i in by_rank if found.kept[i]],
            duplicates=duplicates,
            skipped=self.skipped,
            protected=guarded,
            eps=self.eps,
            metric=metric,
            worst=worst,
            files=files(self.dataset, [*side_by_side([*worst, *pairs]), *listed(self.skipped)]),
            worst_similarity=proof.worst_similarity if duplicates else None,
            copies=copies,
            identical=len(identical),
            identical_pairs=pairs,
            beyond_eps=proof.beyond_eps,
            spreads=proof.spreads,
            largest_share=proof.largest_share,
            warnings=[cluster.large_cluster_warning(proof.largest_share)] if proof.alarm else [],
            notes=self._notes(proof, numbers),
        )

    def _dropped(self, found: engine_keepers.Keepers, i: int) -> Dropped:
        kept_id = self.ids[int(found.kept_index[i])]
        return Dropped(self.ids[i], kept_id, float(found.distance[i]), float(found.similarity[i]))

    def _notes(self, proof: Certificate, numbers: dict[str, int]) -> list[str]:
        with_cover, without = numbers["kept_with_cover"], numbers["kept_without_cover"]
        if with_cover == without:
            return []
        if self.options.cover:
            return [
                f"Every dropped sample is within eps of a kept one. One of each cluster (cover=False) would be {without:,}, "
                "and some dropped samples farther than eps from every kept one."
            ]
        far = count(proof.beyond_eps, "dropped sample is", "dropped samples are")
        return [
            f"{far} farther than eps from every kept one, linked to it by look-alikes in between: look at the worst pairs. "
            f"With cover, {with_cover:,} are kept and none is."
        ]

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
        views.save_decision(self.dataset, names, side_by_side(result.worst))

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
            "copies": result.copies,
            "identical": result.identical,
            "skipped": len(result.skipped),
            "beyond_eps": result.beyond_eps,
        }
