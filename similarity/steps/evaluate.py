"""How well a run's clusters agree with true groups, and which pairs confuse."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import fiftyone as fo
import numpy as np

from .. import truth
from ..data import runs, sweeps, views
from ..data import samples as sm
from ..data.files import files, short_names
from ..data.locks import lock
from ..engine import evaluation as ev
from ..engine.vectors import between
from ..engine.vectors import percent as similarity_percent
from ..options import EvaluateOptions
from ..progress import Report, silent
from ..result import Result, count, view_field
from . import cluster

CONFUSING = 50  # pairs of either kind that are listed, and shown in the saved view
CURVE = 200  # points of the curve that people see
CHANGED = (
    "The vectors have changed since they were clustered: for other thresholds, run cluster_duplicates again."
)
NO_SWEEP = "Other thresholds are looked at with min_samples 1 or 2 only."


@dataclass(frozen=True)
class Agreement:
    """How well the clusters at one eps agree with the groups.

    Attributes:
        precision: share of the pairs in one cluster that are of one group, in [0, 1]
        recall: share of the pairs of one group that are in one cluster
        mixed: clusters of several groups
    """

    eps: float
    precision: float
    recall: float
    mixed: int


@dataclass(frozen=True)
class Confusion:
    """A pair that the clusters get wrong: joined though of two groups, or parted though of one.

    Attributes:
        joined: whether the pair links two groups; else it is the nearest link between two parts of one
        similarity: in percent
    """

    id: str
    other_id: str
    group: str
    other_group: str
    joined: bool
    similarity: float


@dataclass(frozen=True, kw_only=True)
class EvaluateResult(Result):
    """What ``evaluate_clusters`` found.

    Attributes:
        run_key: the run
        groups_field: the field with the true groups
        samples: number of samples evaluated: those of the run with a true group
        without_group: number of samples of the run that have none
        not_in_run: number of the samples asked for that the run does not have
        eps, metric, min_samples: of the clustering
        joined_pairs, right_pairs, true_pairs: pairs in one cluster; of those, of one group; of one group at all
        precision, recall, f1: of these pairs, in [0, 1]
        groups: every true group, the largest first
        mixed: the clusters of several groups, the largest first
        lost: groups of which no sample is kept
        curve: the agreement at every eps, thinned for drawing; empty if the vectors have changed since
        best: the agreement where the F1 is highest; None without a curve
        clean: the agreement of the highest recall without a mixed cluster; None without a curve, or if copies mix
        confusing: the pairs joined wrongly, then those parted wrongly, the most similar first, 50 of each at most
        files: sample id -> file, of these pairs
        notes: what a person should know
        view: those of them that share no sample, each side by side
    """

    run_key: str
    groups_field: str
    samples: int
    without_group: int
    not_in_run: int
    eps: float
    metric: str
    min_samples: int
    joined_pairs: int
    right_pairs: int
    true_pairs: int
    precision: float
    recall: float
    f1: float
    groups: list[truth.Group]
    mixed: list[truth.MixedCluster]
    lost: list[str]
    curve: list[Agreement]
    best: Agreement | None
    clean: Agreement | None
    confusing: list[Confusion]
    files: dict[str, str]
    notes: list[str]
    view: fo.DatasetView | None = view_field()

    def summary(self) -> str:
        """The result in words."""
        split = sum(group.pieces > 1 for group in self.groups)
        lines = [
            f"{count(self.samples, 'sample')} of {count(len(self.groups), 'true group')} in the run {self.run_key!r}, eps "
            f"{self.eps:.6g}: pair precision {self.precision:.3f}, recall {self.recall:.3f}.",
            f"{count(len(self.mixed), 'cluster mixes', 'clusters mix')} groups, {count(split, 'group')} split over several "
            f"clusters, and {count(len(self.lost), 'group has', 'groups have')} no sample kept.",
        ]
        if self.best is not None:
            lines.append(f"The best single eps would be {_words(self.best)}.")
        if self.clean is not None:
            lines.append(f"Without any mixed cluster, the most would be {_words(self.clean)}.")
        return "\n".join([*lines, *self.notes])

    def tables(self) -> dict[str, list[dict[str, str]]]:
        """The mixed clusters, the groups that are split or lost, and the confusing pairs."""
        mixed = [
            {"cluster": str(c.number), "samples": str(c.size), "groups": _listed(c.groups)}
            for c in self.mixed[:20]
        ]
        groups = [
            {"group": g.name, "samples": str(g.size), "clusters": str(g.pieces), "kept": str(g.kept)}
            for g in self.groups
            if g.pieces > 1 or g.kept != 1
        ]
        names = short_names(self.files)
        pairs = [
            {
                "picture": names[c.id],
                "other picture": names[c.other_id],
                "what is wrong": f"{c.group} joined with {c.other_group}"
                if c.joined
                else f"{c.group} parted",
                "similarity": f"{c.similarity:.2f} %",
            }
            for c in self.confusing[:20]
        ]
        return {"mixed_clusters": mixed, "groups_not_kept_once": groups[:50], "confusing_pairs": pairs}


def evaluate(
    samples: fo.core.collections.SampleCollection, options: EvaluateOptions, report: Report = silent
) -> EvaluateResult:
    """Compare a run's clusters with true groups; of the samples nothing is changed, the confusing pairs become a saved view.

    Raises:
        ValueError: if the run or the field does not do, or no sample of the run has a true group
        Busy: if another operator is at work on the run
    """
    with lock(samples._dataset, f"run-{options.run_key}"):
        return _Evaluating(sm.flat(samples), options).run(report)


@dataclass
class _Evaluating:
    """One run of the step."""

    samples: fo.core.collections.SampleCollection
    options: EvaluateOptions

    def run(self, report: Report) -> EvaluateResult:
        run_key, self.dataset = self.options.run_key, self.samples._dataset
        self.names = runs.Names(run_key)
        self.clustering = runs.require_step(self.dataset, run_key, cluster.STEP, "cluster_duplicates")
        owned = {"views": [self.names.view(views.CONFUSING)]}
        runs.refuse_foreign(self.dataset, run_key, owned)
        report("Reading the groups", 0, 2)
        self.truth = truth.read(self.samples, self.options.groups_field, run_key)
        result = self._compare(report)
        runs.own(self.dataset, run_key, owned)
        view = views.save_confusing(self.dataset, self.names, _pair_ids(result.confusing))
        return dataclasses.replace(result, view=view)

    def _compare(self, report: Report) -> EvaluateResult:
        labels, groups = self.truth.labels, self.truth.groups
        pairs, every_group = ev.pairs(labels, groups), self.truth.described()
        over_eps = self._over_eps(report)
        return EvaluateResult(
            run_key=self.options.run_key,
            groups_field=self.options.groups_field,
            samples=int((groups != ev.UNKNOWN).sum()),
            without_group=self.truth.without_group,
            not_in_run=self.truth.not_in_run,
            eps=self.clustering["eps"],
            metric=self.clustering["options"]["metric"],
            min_samples=self.clustering["options"]["min_samples"],
            joined_pairs=pairs.joined,
            right_pairs=pairs.right,
            true_pairs=pairs.true,
            precision=pairs.precision,
            recall=pairs.recall,
            f1=pairs.f1,
            groups=every_group,
            mixed=self.truth.mixed(),
            lost=[group.name for group in every_group if not group.kept],
            files=files(self.dataset, [i for ids in _pair_ids(over_eps["confusing"]) for i in ids]),
            **over_eps,
        )

    def _over_eps(self, report: Report) -> dict[str, Any]:
        """What only the vectors can tell: the curve, and the confusing pairs."""
        vectors, options = self._vectors(), self.clustering["options"]
        if vectors is None or options["min_samples"] > 2:
            note = CHANGED if vectors is None else NO_SWEEP
            return {"curve": [], "best": None, "clean": None, "confusing": [], "notes": [note]}
        labels, groups, metric = self.truth.labels, self.truth.groups, options["metric"]
        swept = sweeps.swept(self.dataset, vectors, metric, options["min_samples"], report)
        links = ev.links(swept, vectors.matrix)
        curve = ev.curve(links, groups, metric=metric)
        clean = curve.clean()
        wrong = ev.wrong_links(links, groups, self.clustering["eps"])
        missing = ev.missing_links(vectors.matrix, labels, groups, metric=metric)
        return {
            "curve": _thinned(curve),
            "best": _agreement(curve.best()),
            "clean": None if clean is None else _agreement(clean),
            "confusing": [*self._pairs(wrong, vectors, True), *self._pairs(missing, vectors, False)],
            "notes": [],
        }

    def _vectors(self) -> sm.Vectors | None:
        """The vectors that were clustered; None if they have changed."""
        field = self.clustering["options"]["embeddings_field"]
        if field not in sm.vector_fields(self.dataset):
            return None
        vectors = sm.read_vectors(sm.everything(self.dataset).exists(self.names.cluster), field)
        same = vectors.ids == self.truth.ids and vectors.digest == self.clustering["vectors_digest"]
        return vectors if same else None

    def _pairs(self, links: ev.Links, vectors: sm.Vectors, joined: bool) -> list[Confusion]:
        left, right = links.left[:CONFUSING], links.right[:CONFUSING]
        similarities = similarity_percent(between(vectors.matrix, left, right)).tolist()
        ids, name = self.truth.ids, self.truth.name
        return [
            Confusion(ids[i], ids[j], name(i), name(j), joined, similarity)
            for i, j, similarity in zip(left.tolist(), right.tolist(), similarities, strict=True)
        ]


def _pair_ids(pairs: list[Confusion]) -> list[tuple[str, str]]:
    return [(pair.id, pair.other_id) for pair in pairs]


def _thinned(curve: ev.Curve) -> list[Agreement]:
    rows = np.arange(len(curve.eps))
    if len(rows) > CURVE:
        rows = np.unique(np.linspace(0, len(rows) - 1, CURVE).astype(int))
    return [_agreement(curve.at(eps)) for eps in curve.eps[rows]]


def _agreement(point: ev.Point) -> Agreement:
    return Agreement(point.eps, point.pairs.precision, point.pairs.recall, point.mixed)


def _words(found: Agreement) -> str:
    return f"{found.eps:.6g}: precision {found.precision:.3f}, recall {found.recall:.3f}"


def _listed(groups: dict[str, int], most: int = 8) -> str:
    rest = len(groups) - most
    shown = ", ".join(f"{name}: {number}" for name, number in list(groups.items())[:most])
    return f"{shown}, and {count(rest, 'more group')}" if rest > 0 else shown
