"""Pairs of samples: dropped ones beside the kept ones that stand for them, those that are shown, and copies."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import fiftyone as fo
import numpy as np

from ..data import samples as sm
from ..data.embeddings import FieldNames
from ..engine.keepers import Keepers

WORST = 100  # pairs in the saved view of the worst ones
LISTED = 20  # of the pairs, in a table


@dataclass(frozen=True)
class Pair:
    """Two samples, their distance, and their similarity in percent."""

    id: str
    other_id: str
    distance: float
    similarity: float


@dataclass(frozen=True)
class Dropped:
    """One sample that is left out, and the kept one that stands for it."""

    id: str
    kept_id: str
    distance: float
    similarity: float


def pairs_at(ids: Sequence[str], found: Keepers, rows: Iterable[int]) -> list[Dropped]:
    """Return the dropped samples in these rows, each with its kept one."""
    columns = (found.kept_index, found.distance.tolist(), found.similarity.tolist())
    return [Dropped(ids[i], ids[columns[0][i]], columns[1][i], columns[2][i]) for i in rows]


def worst_pairs(ids: Sequence[str], rank: np.ndarray, found: Keepers) -> list[Dropped]:
    """Return the worst pair of each kept sample, so that a view can show each pair side by side; the worst first."""
    dropped = np.flatnonzero(~found.kept)
    dropped = dropped[np.lexsort((rank[dropped], -found.distance[dropped]))]
    _, first = np.unique(found.kept_index[dropped], return_index=True)
    return pairs_at(ids, found, dropped[np.sort(first)[:WORST]])


def equal_pairs(dataset: fo.Dataset, field: str, equal: Sequence[Dropped]) -> tuple[int, list[Dropped]]:
    """Tell copies from pairs that only their vectors make equal.

    Args:
        field: the embeddings field
        equal: dropped samples whose vector equals that of the kept one but for rounding

    Returns:
        a tuple of

        - copies: number of samples whose file had, when it was embedded, the bytes of its kept one's
        - identical: the others; their bytes differ, or are not known because OnlyOne did not embed them
    """
    digests: dict[str, str | None] = {}
    name = FieldNames(field).digest
    if equal and sm.provenance(dataset, name).get("beside") == field:
        digests = dict(zip(*sm.read(sm.everything(dataset), name), strict=True))
    identical = [
        pair
        for pair in equal
        if digests.get(pair.id) is None or digests.get(pair.id) != digests.get(pair.kept_id)
    ]
    return len(equal) - len(identical), identical


def side_by_side(pairs: Sequence[Dropped]) -> list[str]:
    """Return the ids of the pairs, each dropped sample before its kept one."""
    return [sample_id for pair in pairs for sample_id in (pair.id, pair.kept_id)]


def rows(pairs: Sequence[Dropped], names: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the first pairs as rows of a table."""
    return [
        {"dropped": names[pair.id], "kept": names[pair.kept_id], "similarity": f"{pair.similarity:.2f} %"}
        for pair in pairs[:LISTED]
    ]
