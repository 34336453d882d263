"""Dropped samples beside the kept ones that stand for them: which pairs are shown, and which are more than near."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import fiftyone as fo

from ..data import samples as sm
from ..data.embeddings import FieldNames
from ..data.files import short_names
from ..engine.neighbors import reach

WORST = 100  # pairs in the saved view of the worst ones
LISTED = 20  # of the pairs, in a table


@dataclass(frozen=True)
class Dropped:
    """One sample that is left out, and the kept one that stands for it."""

    id: str
    kept_id: str
    distance: float
    similarity: float


def equal_pairs(
    dataset: fo.Dataset, field: str, metric: str, duplicates: Sequence[Dropped]
) -> tuple[int, list[Dropped]]:
    """Tell copies from pairs that only their vectors make equal.

    Args:
        field: the embeddings field
        duplicates: the dropped samples

    Returns:
        a tuple of

        - copies: number of samples whose file had, when it was embedded, the bytes of its kept one's
        - identical: the others whose vector equals that of the kept one but for rounding; their bytes differ, or are not
          known because OnlyOne did not embed them
    """
    equal = [pair for pair in duplicates if pair.distance <= reach(0, metric)]
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


def worst_pairs(duplicates: Sequence[Dropped]) -> list[Dropped]:
    """The worst pair of each kept sample, so that a view can show each pair side by side; the worst first."""
    worst: dict[str, Dropped] = {}
    for dropped in duplicates:
        known = worst.get(dropped.kept_id)
        if known is None or dropped.distance > known.distance:
            worst[dropped.kept_id] = dropped
    return sorted(worst.values(), key=lambda pair: -pair.distance)[:WORST]


def side_by_side(pairs: Sequence[Dropped]) -> list[str]:
    """The ids of the pairs, each dropped sample before its kept one."""
    return [sample_id for pair in pairs for sample_id in (pair.id, pair.kept_id)]


def rows(pairs: Sequence[Dropped], files: Mapping[str, str]) -> list[dict[str, str]]:
    """The first pairs as rows of a table."""
    names = short_names(files)
    return [
        {"dropped": names[pair.id], "kept": names[pair.kept_id], "similarity": f"{pair.similarity:.2f} %"}
        for pair in pairs[:LISTED]
    ]
