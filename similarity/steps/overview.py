"""The payload of the panel about a dataset and a run, from the run's record and from the samples themselves."""

from dataclasses import asdict, dataclass, field
from typing import Any

import fiftyone as fo

from ..data import archive, runs
from ..data import samples as sm
from ..data.files import files
from ..data.vectors import holds_others_vectors, vector_fields
from ..options import DIGEST, LIMITS, SweepOptions
from ..workflow import CLUSTER, KEEP, Step
from .states import StepState, embedded, steps

BARS, WORST = 200, 12  # clusters in the chart, pairs as pictures
_OF_CLUSTERING = ("eps", "unique", "reference", "resembling", "clusters", "noise", "warnings")


@dataclass(frozen=True)
class PairRow:
    """A dropped sample beside its kept one, with their files and their similarity in percent."""

    id: str
    kept_id: str
    similarity: float
    file: str | None
    kept_file: str | None


@dataclass(frozen=True)
class Counts:
    """Numbers of the samples of a run by their fate; kept + dropped + skipped = samples.

    Attributes:
        dropped: also those that are removed
        removed: how many of the dropped ones wait in the archive
    """

    samples: int
    kept: int
    dropped: int
    skipped: int
    removed: int


@dataclass(frozen=True, kw_only=True)
class Overview:
    """All that is known about one run of a dataset.

    Attributes:
        problem: why there is nothing to compare in this dataset, and the remedy; None if there is
        run_key, embeddings_field: as asked for; ``run_keys`` and ``fields`` list those that there are
        vectors: samples with a vector
        to_embed: samples that have none yet, and were not found to be unreadable
        metric, min_samples: of the run, or else the defaults
        eps: of the clustering; None before it, as are ``run_field`` (its vectors), ``clusters`` and ``noise``
        counts: counted from the samples; None before keeping
        clustered: samples that were asked to be clustered, and ``unique`` how many of them one of each cluster would keep
        reference: samples of the reference; None without one
        resembling: samples that are dropped for these, or would be
        limits: options of the clustering that say which samples are compared
        sizes: ``(number, size)`` of the largest clusters, the largest first
        worst: the dropped samples least similar to their kept one
        warnings, notes: of the last step
        steps: the operators in their order
    """

    problem: str | None
    run_key: str
    run_keys: list[str]
    embeddings_field: str
    fields: list[str]
    vectors: int
    to_embed: int
    metric: str
    min_samples: int
    eps: float | None = None
    run_field: str | None = None
    clustered: int | None = None
    unique: int | None = None
    reference: int | None = None
    resembling: int = 0
    limits: dict[str, Any]
    clusters: int | None = None
    noise: int | None = None
    counts: Counts | None = None
    sizes: list[tuple[int, int]] = field(default_factory=list)
    worst: list[PairRow] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    steps: list[StepState]

    @property
    def sweep_options(self) -> SweepOptions:
        """The options that decide the numbers at an eps, beside eps."""
        return SweepOptions(
            embeddings_field=self.embeddings_field, metric=self.metric, min_samples=self.min_samples
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the payload as plain JSON values."""
        return asdict(self)

    @classmethod
    def of(cls, values: dict[str, Any]) -> "Overview":
        """Return the payload from its plain values."""
        counts = values["counts"]
        nested = {
            "counts": Counts(**counts) if counts else None,
            "sizes": [(number, size) for number, size in values["sizes"]],
            "worst": [PairRow(**row) for row in values["worst"]],
            "steps": [StepState(**step) for step in values["steps"]],
        }
        return cls(**{**values, **nested})


def overview(dataset: fo.Dataset, run_key: str, embeddings_field: str) -> Overview:
    """Look at a dataset and a run; nothing is written."""

    def done(step: Step) -> bool:
        return runs.lacks(dataset, run_key, record, step) is None

    run_keys = runs.keys(dataset)
    record = runs.load(dataset, run_key) if run_key in run_keys else {"steps": {}}
    results = runs.load_results(dataset, run_key) if record["steps"] else {}
    clustering = results.get(CLUSTER.name) if done(CLUSTER) else None
    keeping = results.get(KEEP.name) if clustering and done(KEEP) else None
    options = record["steps"][CLUSTER.name]["options"] if clustering else {}
    compared = SweepOptions().to_dict() if options.get("metric") in (None, DIGEST) else options
    archived = set(its.ids()) if (its := archive.find(dataset, run_key)) else set()
    removed = len(archived.intersection(clustering["ids"])) if clustering else 0
    found: dict[str, Any] = {}
    if clustering:
        found = {name: clustering[name] for name in _OF_CLUSTERING}
        found |= {"run_field": options["embeddings_field"], "clustered": clustering["samples"]}
        found["sizes"] = [(number, size) for number, size in clustering["sizes"][:BARS]]
    if keeping:
        found |= {name: keeping[name] for name in ("resembling", "warnings", "notes")}
        found |= {"counts": _counts(dataset, run_key, removed), "worst": _worst(dataset, keeping)}
    problem = _problem(dataset)
    samples = embedded(dataset if problem else sm.flat(dataset), embeddings_field)
    return Overview(
        problem=problem,
        run_key=run_key,
        run_keys=run_keys,
        embeddings_field=embeddings_field,
        fields=vector_fields(dataset),
        vectors=samples.vectors,
        to_embed=0 if holds_others_vectors(dataset, embeddings_field) else samples.missing,
        metric=compared["metric"],
        min_samples=compared["min_samples"],
        limits={name: options[name] for name in LIMITS if options.get(name) is not None},
        **found,
        steps=steps(dataset, record, run_key, embeddings_field, samples, removed),
    )


def _problem(dataset: fo.Dataset) -> str | None:
    try:
        sm.flat(dataset)
    except ValueError as error:
        return str(error)
    return None


def _counts(dataset: fo.Dataset, run_key: str, removed: int) -> Counts:
    """Count the samples by their fate, from the samples and their archive alone."""
    names, samples = runs.Names(run_key), sm.everything(dataset)
    values = samples.count_values(names.kept)
    kept, dropped = values.get(True, 0), values.get(False, 0) + removed
    skipped = samples.match_tags(names.tag("skipped")).count()
    return Counts(kept + dropped + skipped, kept, dropped, skipped, removed)


def _worst(dataset: fo.Dataset, keeping: dict[str, Any]) -> list[PairRow]:
    pairs = keeping["worst"][:WORST]
    paths = files(dataset, [i for pair in pairs for i in (pair["id"], pair["kept_id"])])
    return [
        PairRow(p["id"], p["kept_id"], p["similarity"], paths.get(p["id"]), paths.get(p["kept_id"]))
        for p in pairs
    ]
