"""Looking at a run cluster by cluster, and overruling it: a person's decisions are tags, and the run obeys them."""

from collections import Counter
from dataclasses import dataclass

import fiftyone as fo
from fiftyone import ViewField as F

from ..data import runs
from ..data import samples as sm
from ..data.decisions import DISTINCT  # keep this too
from ..data.decisions import FIRST as INSTEAD  # keep this instead
from ..data.locks import lock
from ..options import KeepOptions
from ..workflow import CLUSTER, KEEP
from .keep import keep

NEXT = {None: DISTINCT, DISTINCT: INSTEAD, INSTEAD: None}
"""The decision that follows when a sample is clicked."""

MOST = 1_000  # clusters to review at a time
_REVIEWED = "reviewed"


@dataclass(frozen=True)
class Member:
    """A sample of a cluster.

    Attributes:
        similarity: to the kept one that stands for it, in percent
        word: the decision of a person, :data:`DISTINCT` or :data:`INSTEAD`; None if nobody decided
        reference: whether it is of the run's reference, which nobody decides about; it is not ``kept``
    """

    id: str
    file: str
    kept: bool
    similarity: float
    word: str | None
    reference: bool = False


def order(dataset: fo.Dataset, run_key: str) -> list[int]:
    """Return the clusters of two or more to review, those with the least similar dropped samples first."""
    names = runs.Names(run_key)
    numbers, similarities = sm.read(_decided(dataset, names), names.cluster, names.similarity)[1:]
    worst: dict[int, float] = {}
    for number, similarity in zip(numbers, similarities, strict=True):
        worst[number] = min(worst.get(number, similarity), similarity)
    sizes = Counter(sm.read(sm.everything(dataset).match(F(names.cluster) >= 0), names.cluster)[1])
    several = [number for number in worst if sizes[number] > 1]
    return sorted(several, key=lambda number: (worst[number], number))[:MOST]


def members(dataset: fo.Dataset, run_key: str, number: int) -> list[Member]:
    """Return a cluster's samples: reference samples that stand for others, kept ones, then the least similar first."""
    names = runs.Names(run_key)
    found = _decided(dataset, names).match(F(names.cluster) == number)
    rows = zip(*sm.read(found, "filepath", names.kept, names.similarity, "tags"), strict=True)
    ids, kept_ids = sm.read(found, names.kept_id)
    others = sm.everything(dataset).select(sorted(set(kept_ids) - set(ids)))
    standing = [
        Member(i, file, False, 100.0, None, reference=True)
        for i, file in zip(*sm.read(others, "filepath"), strict=True)
    ]
    tags = {names.tag(word): word for word in (DISTINCT, INSTEAD)}
    mine = [
        Member(i, file, kept, similarity, next((tags[tag] for tag in tagged if tag in tags), None))
        for i, file, kept, similarity, tagged in rows
    ]
    return [*standing, *sorted(mine, key=lambda member: (not member.kept, member.similarity, member.id))]


def reviewed(dataset: fo.Dataset, run_key: str) -> set[int]:
    """Return the clusters of the present clustering that a person has looked at."""
    noted = runs.load(dataset, run_key).get(_REVIEWED, {})
    return set(noted["clusters"]) if noted.get("of") == clustering(dataset, run_key) else set()


def mark_reviewed(dataset: fo.Dataset, run_key: str, number: int) -> None:
    """Record that a person has looked at a cluster."""
    with lock(dataset, f"run-{run_key}"):
        seen = reviewed(dataset, run_key) | {number}
        noted = {"of": clustering(dataset, run_key), "clusters": sorted(seen)}
        runs.note(dataset, run_key, {_REVIEWED: noted})


def decide(dataset: fo.Dataset, run_key: str, words: dict[str, str | None]) -> None:
    """Tag samples with a person's decisions, and decide the run again.

    Args:
        words: sample id -> :data:`DISTINCT`, :data:`INSTEAD`, or None to take a decision back

    Raises:
        ValueError, Busy: as ``keep`` does
    """
    names = runs.Names(run_key)
    with lock(dataset, f"run-{run_key}"):
        runs.require(dataset, run_key, KEEP)
        chosen = sm.everything(dataset).select(list(words))
        chosen.untag_samples([names.tag(word) for word in (DISTINCT, INSTEAD)])
        decided = {
            names.tag(word): [i for i, told in words.items() if told == word] for word in (DISTINCT, INSTEAD)
        }
        sm.tag(dataset, decided)
    keep_again(dataset, run_key)


def keep_again(dataset: fo.Dataset, run_key: str) -> None:
    """Keep again, with the options that the run recorded, the samples that it decided about, in their order."""
    keeping = runs.step_results(dataset, run_key, KEEP)
    names, options = runs.Names(run_key), runs.load(dataset, run_key)["steps"][KEEP.name]["options"]
    decided = F(names.kept).exists() | F("tags").contains(names.tag("skipped"))
    ids, order = sm.read(sm.everything(dataset).match(decided))[0], keeping["order"]
    place = {sample_id: at for at, sample_id in enumerate(order or ids)}
    ids.sort(key=lambda sample_id: place.get(sample_id, len(place)))
    keep(sm.everything(dataset).select(ids, ordered=order is not None), KeepOptions.of(options))


def _decided(dataset: fo.Dataset, names: runs.Names) -> sm.Samples:
    return sm.everything(dataset).match((F(names.cluster) >= 0) & F(names.kept).exists())


def clustering(dataset: fo.Dataset, run_key: str) -> str:
    """Return the time at which a run was clustered, which tells its clusters from earlier ones."""
    return str(runs.load(dataset, run_key)["steps"][CLUSTER.name]["finished"])
