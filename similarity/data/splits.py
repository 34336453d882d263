"""The splits of a dataset, and the clusters of a run that straddle them."""

import contextlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import fiftyone as fo
import fiftyone.core.fields as fof
import numpy as np
from fiftyone.core.collections import SampleCollection as Samples

from ..engine import splits as engine_splits
from ..engine import vectors as engine_vectors
from ..engine.clusters import NOISE
from ..result import count
from . import samples as sm
from . import views
from .files import file_names
from .names import Names
from .vectors import Vectors, read_compared

TAGS = ("train", "val", "test", "validation")
_SAME = {"validation": "val"}
MOST_PAIRS = 100


@dataclass(frozen=True)
class Leak:
    """Two samples of a cluster that are in different splits."""

    cluster: int
    id: str
    split: str
    other_id: str
    other_split: str
    similarity: float


@dataclass(frozen=True)
class Leaks:
    """The clusters of a run that straddle the splits.

    Attributes:
        splits: names of the splits
        clusters: numbers of the clusters with samples in several splits, the largest first
        pairs: of each of the first 100 clusters, its most similar samples of the rarest split and of another one
        files: sample id -> its file's name, of the samples in ``pairs``
    """

    splits: list[str]
    clusters: list[int]
    pairs: list[Leak]
    files: dict[str, str]

    def sentence(self) -> str:
        """Return the number of clusters that straddle the splits, as a sentence."""
        names = ", ".join(self.splits)
        if not self.clusters:
            return f"No cluster straddles the splits ({names})."
        straddle = count(len(self.clusters), "cluster straddles", "clusters straddle")
        return f"WARNING: {straddle} the splits ({names}): look-alikes of what is trained on are tested on."

    def rows(self) -> list[dict[str, str]]:
        """Return the pairs as rows of a table."""
        return [
            {
                "cluster": str(pair.cluster),
                "split": pair.split,
                "file": self.files[pair.id],
                "other_split": pair.other_split,
                "other_file": self.files[pair.other_id],
                "similarity": f"{pair.similarity:.2f} %",
            }
            for pair in self.pairs
        ]


def check(dataset: fo.Dataset, field: str | None) -> None:
    """Refuse a field that cannot name splits.

    Raises:
        ValueError: if it does not exist, or is no string field
    """
    if field is not None and not isinstance(dataset.get_field(field), fof.StringField):
        texts = [
            name for name, kind in dataset.get_field_schema().items() if isinstance(kind, fof.StringField)
        ]
        problem = "holds no texts" if dataset.get_field(field) else "does not exist"
        raise ValueError(f"splits: the field {field!r} {problem} (fields with texts: {', '.join(texts)})")


def read(samples: Samples, field: str | None) -> dict[str, str]:
    """Return sample id -> its split, of samples with one; validation is val, and several splits are joined by +.

    Args:
        field: a string field; None for the tags train, val, test and validation
    """
    if field is not None:
        if samples.get_field(field) is None:
            return {}
        return {i: split for i, split in zip(*samples.values(["id", field]), strict=True) if split}
    tagged = samples.match_tags(list(TAGS))
    return {
        i: "+".join(dict.fromkeys(_SAME.get(tag, tag) for tag in TAGS if tag in tags))
        for i, tags in zip(*tagged.values(["id", "tags"]), strict=True)
    }


def find_leaks(dataset: fo.Dataset, run_key: str, options: Mapping[str, Any]) -> Leaks | None:
    """Find the clusters that straddle the splits of a dataset, by its samples' current values; None without splits.

    Args:
        run_key: a run whose clusters are written
        options: options of ``cluster_duplicates`` in the run
    """
    names, samples = Names(run_key), sm.everything(dataset)
    splits = read(samples.exists(names.cluster), options.get("splits"))
    if not splits:
        return None
    found: dict[int, Counter[str]] = {}
    numbers = dict(
        zip(*samples.match(fo.ViewField(names.cluster) > NOISE).values(["id", names.cluster]), strict=True)
    )
    for sample_id, number in numbers.items():
        if sample_id in splits:
            found.setdefault(number, Counter())[splits[sample_id]] += 1
    straddling = sorted((n for n in found if len(found[n]) > 1), key=lambda n: (-found[n].total(), n))
    shown = set(straddling[:MOST_PAIRS])
    members = samples.select([i for i, number in numbers.items() if number in shown and i in splits])
    pairs = []
    with contextlib.suppress(ValueError):  # vectors that are gone by now: the pairs are examples
        if shown:
            compared = read_compared(members, options["embeddings_field"], options["metric"])
            pairs = _pairs(compared, numbers, splits)
    named = file_names(dataset, [i for pair in pairs for i in (pair.id, pair.other_id)])
    return Leaks(sorted(set(splits.values())), straddling, pairs, named)


def save_leaks(dataset: fo.Dataset, run_key: str, options: Mapping[str, Any]) -> Leaks | None:
    """Find the leaks, as :func:`find_leaks` does, and save their view; without leaks there is no view."""
    leaks = find_leaks(dataset, run_key, options)
    views.save_leaks(dataset, Names(run_key), leaks.clusters if leaks else [])
    return leaks


def _pairs(vectors: Vectors, numbers: Mapping[str, int], splits: Mapping[str, str]) -> list[Leak]:
    clusters = np.array([numbers[i] for i in vectors.ids])
    names = np.array([splits[i] for i in vectors.ids])
    pairs = []
    for number in np.unique(clusters):
        rows = np.flatnonzero(clusters == number)
        if len(np.unique(names[rows])) < 2:  # the vectors of the others are gone
            continue
        one, other = rows[list(engine_splits.nearest_across(vectors.matrix[rows], names[rows]))]
        distance = engine_vectors.between(vectors.matrix, np.array([one]), np.array([other]))
        similarity = float(engine_vectors.percent(distance)[0])
        ids = vectors.ids[one], vectors.ids[other]
        pairs.append(Leak(int(number), ids[0], splits[ids[0]], ids[1], splits[ids[1]], similarity))
    return pairs
