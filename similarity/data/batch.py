"""The samples that a run compares: new ones, and a reference; and the values that decide which may be neighbors."""

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import fiftyone as fo
import fiftyone.core.fields as fof
import numpy as np
from fiftyone.core.collections import SampleCollection as Samples

from ..engine.constraints import Constraints
from ..engine.pieces import Store, joined, picked
from ..options import ClusterOptions
from ..workflow import CLUSTER
from . import runs
from . import samples as sm
from .vectors import Vectors, check_vector_field, gather, read_compared, read_vectors

ORDERED = (fof.IntField, fof.FloatField, fof.DateField, fof.DateTimeField)
SINGLE = (*ORDERED, fof.StringField, fof.BooleanField, fof.ObjectIdField)


@dataclass(frozen=True)
class Values:
    """The values that decide which samples may be neighbors.

    Attributes:
        constraints: of the samples, in their order
        missing: ``(n,)`` bool, the samples that lack a value, and so are compared with none
        digest: of ids and values, in any order
    """

    constraints: Constraints
    missing: np.ndarray
    digest: str


@dataclass(frozen=True)
class Batch:
    """The samples of a run.

    Attributes:
        vectors: the usable ones of the new samples, then those of the reference; ``skipped`` names new samples only
        new: number of new samples in ``vectors``
        reference: ids of all reference samples, also of those without a usable vector; none without a reference
        values: None where all samples may be neighbors
    """

    vectors: Vectors
    new: int
    reference: list[str]
    values: Values | None


def check(samples: Samples, options: ClusterOptions) -> None:
    """Refuse an unusable reference or unusable fields, before anything is computed.

    Raises:
        ValueError: if the reference or a field is unusable, or no sample is new
    """
    dataset = sm.dataset_of(samples)
    if options.reference is not None:
        ids = set(samples.values("id"))
        if ids.issubset(reference_of(dataset, options.reference, options.run_key).values("id")):
            raise ValueError(
                f"No sample of {len(ids):,} is outside of the reference {options.reference!r}: choose a view with new ones"
            )
    read_values(dataset, (), (), options.to_dict())


def read(samples: Samples, options: ClusterOptions, store: Store | None = None) -> Batch:
    """Read the vectors of samples and of the reference, and the values; a reference sample is no new one.

    The options are those that :func:`check` let pass.

    Raises:
        ValueError: if the vectors are unusable
    """
    dataset, field = sm.dataset_of(samples), options.embeddings_field
    if options.reference is None:
        vectors = read_vectors(samples, field, store)
        return Batch(vectors, len(vectors.ids), [], read_values(dataset, vectors.ids, (), options.to_dict()))
    check_vector_field(samples, field)
    reference = reference_of(dataset, options.reference, options.run_key)
    every, known = gather(samples, field, store=store), set(ids := sm.read(reference)[0])
    rows = [row for row, i in enumerate(every.ids) if i not in known]
    skipped = {i: reason for i, reason in every.skipped.items() if i not in known}
    if not rows:
        raise ValueError(
            f"No new sample of {len(skipped):,} has a usable vector in {field!r}. Run compute_embeddings on them"
        )
    old = gather(reference, field, every.matrix.shape[1], store)
    new_ids, matrix = [every.ids[row] for row in rows], joined(picked(every.matrix, rows), old.matrix)
    vectors = Vectors(new_ids + old.ids, matrix, skipped)
    return Batch(vectors, len(rows), ids, read_values(dataset, vectors.ids, ids, options.to_dict()))


def read_clustered(
    dataset: fo.Dataset, run_key: str, clustering: Mapping[str, Any], store: Store | None = None
) -> tuple[Vectors, Constraints | None]:
    """Read the vectors of all samples of a run, with those of the reference, and their constraints.

    Args:
        clustering: the record of the run's cluster step

    Raises:
        ValueError: if vectors, samples or values have changed since
    """
    options, cluster = clustering["options"], runs.Names(run_key).cluster
    members = sm.everything(dataset).exists(cluster)
    field, metric = options["embeddings_field"], options["metric"]
    vectors = read_compared(members, field, metric, store) if members.limit(1).count() else None
    if not vectors or vectors.skipped or vectors.digest != clustering["vectors_digest"]:
        raise ValueError(
            f"The vectors in {field!r}, or the samples of the run {run_key!r}, have changed since they were clustered: run "
            f"{clustering.get('operator', CLUSTER.operator)} again"
        )
    values = read_values(dataset, vectors.ids, runs.reference_ids(dataset, run_key), options)
    if values and values.digest != clustering["values_digest"]:
        fields = " or ".join(repr(options[name]) for name in ("within", "order_field") if options[name])
        raise ValueError(
            f"Values of {fields} have changed since the run {run_key!r} was clustered: run cluster_duplicates again"
        )
    return vectors, values.constraints if values else None


def reference_of(dataset: fo.Dataset, name: str, run_key: str) -> Samples:
    """Return the samples of a tag, a saved view or a boolean field of a name; they may be none.

    Raises:
        ValueError: if none or several of these have the name, the view holds no pictures of its own, or the run writes it
    """
    everything, found, own = sm.everything(dataset), {}, runs.Names(run_key)
    if name in [*own.fields, *own.views] or re.fullmatch(own.tags, name):
        raise ValueError(
            f"reference: {name!r} is written anew by each run {run_key!r}, so the next one would know other samples by it: "
            "tag these samples and name the tag, or choose another run_key"
        )
    tags, views = everything.distinct("tags"), dataset.list_saved_views()
    fields = list(dataset.get_field_schema(ftype=fof.BooleanField))
    if name in tags:
        found["a tag"] = everything.match_tags(name)
    if name in views:
        view = dataset.load_saved_view(name)
        found["a saved view"] = sm.flat(view) if view.limit(1).values("id") else view
    if name in fields:
        found["a boolean field"] = sm.where(everything, name, True)
    if len(found) == 1:
        return found.popitem()[1]
    if found:
        raise ValueError(f"reference: {name!r} is {' and '.join(found)}: rename one of them")
    known = {"tags": tags, "saved views": views, "boolean fields": fields}
    told = "; ".join(f"{kind}: {', '.join(sorted(names)[:10]) or 'none'}" for kind, names in known.items())
    raise ValueError(f"reference: there is no tag, saved view or boolean field {name!r} ({told})")


def read_values(
    dataset: fo.Dataset, ids: Sequence[str], reference: Collection[str], options: Mapping[str, Any]
) -> Values | None:
    """Read the values that decide which samples may be neighbors.

    Args:
        options: ``run_key``, ``within``, ``order_field`` and ``max_gap`` of the clustering

    Raises:
        ValueError: if a field does not exist, or its values are unusable
    """
    within, order_field = options.get("within"), options.get("order_field")
    if not (reference or within or order_field):
        return None
    changing = [*runs.Names(options["run_key"]).fields, "last_modified_at"]
    groups = _column(dataset, ids, "within", within, SINGLE, changing) if within else [0] * len(ids)
    numbers = (
        _column(dataset, ids, "order_field", order_field, ORDERED, changing)
        if order_field
        else [0] * len(ids)
    )
    times = np.array([number(value) for value in numbers], dtype=np.float64)
    absent = [value is None or value != value for value in groups]  # NaN is unlike itself
    missing = ~np.isfinite(times) | np.array(absent, dtype=bool)
    codes = {value: code for code, value in enumerate(dict.fromkeys(groups))}
    known = set(reference)
    constraints = Constraints(
        np.where(missing, -1 - np.arange(len(ids)), [codes[value] for value in groups]),
        np.where(missing, 0.0, times),
        np.array([i in known for i in ids], dtype=bool),
        np.inf if order_field is None else float(options["max_gap"]),
    )
    lines = sorted(repr(line) for line in zip(ids, groups, times.tolist(), strict=True))
    return Values(constraints, missing, hashlib.sha256("\n".join(lines).encode()).hexdigest())


def _column(
    dataset: fo.Dataset,
    ids: Sequence[str],
    option: str,
    name: str,
    kinds: tuple[type[fof.Field], ...],
    changing: Collection[str],
) -> list[Any]:
    """Return the values of a field, which is none of those that the run changes."""
    field = dataset.get_field(name)
    if isinstance(field, kinds) and name not in changing:
        by_id = dict(zip(*sm.read(sm.everything(dataset), name), strict=True)) if ids else {}
        values = [by_id[sample_id] for sample_id in ids]
        if not any(isinstance(value, list) for value in values):
            return values
    problem = "does not hold one such value for each sample"
    if field is None or name in changing:
        problem = "does not exist" if field is None else "is changed by the run itself"
    schema = dataset.get_field_schema()
    fit = [name for name, field in schema.items() if isinstance(field, kinds) and name not in changing]
    raise ValueError(f"{option}: the field {name!r} {problem} (fields that do: {', '.join(fit)})")


def number(value: Any) -> float:
    """Return a value as a number, a date in seconds; NaN where there is none."""
    if value is None:
        return np.nan
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if isinstance(value, datetime):  # FiftyOne's naive ones are UTC
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    return float(value)
