"""The samples that a run decides about, with the vectors that were clustered, in the view's order."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data import runs
from ..data import samples as sm
from ..data.batch import read_clustered
from ..data.vectors import gather
from ..engine.constraints import Constraints
from ..engine.neighbors import FLOOR
from ..engine.pieces import Store, picked
from ..options import DIGEST, KeepOptions
from ..progress import Progress
from ..result import Skipped
from .order import Compared, Standing, standing

NOT_IN_RUN = "not in the run: run cluster_duplicates again"


@dataclass(frozen=True)
class Members:
    """The new samples of a view that are in the run, in the view's order; then those of the reference.

    Attributes:
        ids, labels, matrix: their ids, ``(n,)`` clusters, ``(n, d)`` vectors
        new: how many of them are new
        constraints: which of them may be neighbors; None = all
        skipped: sample id -> why it is not in the run, of the view's others
        standing: who of the new ones goes before whom
    """

    ids: list[str]
    labels: np.ndarray
    matrix: Any
    new: int
    constraints: Constraints | None
    skipped: Skipped
    standing: Standing


def read_members(
    samples: sm.Samples,
    options: KeepOptions,
    clustering: dict[str, Any],
    unusable: Skipped,
    progress: Progress,
    store: Store | None = None,
) -> Members:
    """Return the view's samples that are in the run, with the vectors that were clustered."""
    cluster = runs.Names(options.run_key).cluster
    vectors, constraints = read_clustered(sm.dataset_of(samples), options.run_key, clustering, store)
    known = runs.reference_ids(sm.dataset_of(samples), options.run_key)
    found = {i: label for i, label in zip(*sm.read(samples, cluster), strict=True) if i not in known}
    field, metric = clustering["options"]["embeddings_field"], clustering["options"]["metric"]
    absent = [i for i, label in found.items() if label is None]
    now = (
        unusable
        if metric == DIGEST
        else gather(samples.select([i for i in absent if i in unusable]), field).skipped
    )
    skipped = {i: now.get(i, NOT_IN_RUN) for i in absent}
    ids = [i for i in found if i not in skipped]
    if not ids:
        raise ValueError(
            f"None of these samples is in the run {options.run_key!r}: run cluster_duplicates on them first"
        )
    numbers = np.array([found[i] for i in ids], dtype=np.int64)
    row = {sample_id: i for i, sample_id in enumerate(vectors.ids)}
    rows = [row[sample_id] for sample_id in ids]
    asked = samples.exists(cluster)
    compared = Compared(
        asked, ids, numbers, picked(vectors.matrix, rows), field, eps_and_metric(clustering)[1]
    )
    order = standing(compared, options, progress)
    if known:
        old = sm.everything(sm.dataset_of(samples)).exists(cluster)
        there = {i: label for i, label in zip(*sm.read(old, cluster), strict=True) if i in known}
        rows += [row[sample_id] for sample_id in there]
        numbers, ids = np.append(numbers, list(there.values())).astype(np.int64), [*ids, *there]
    constraints = constraints.take(rows) if constraints else None
    return Members(ids, numbers, picked(vectors.matrix, rows), len(compared.ids), constraints, skipped, order)


def eps_and_metric(clustering: dict[str, Any]) -> tuple[float, str]:
    """Return eps and metric for the engine: vectors that are all equal stand for files of the same bytes."""
    metric = clustering["options"]["metric"]
    return (FLOOR, "cosine") if metric == DIGEST else (clustering["eps"], metric)
