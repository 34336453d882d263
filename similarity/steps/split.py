"""Split a dataset into train, val and test by whole clusters, so that no split has look-alikes of another's samples."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import fiftyone as fo
import fiftyone.core.labels as fol
import numpy as np

from ..data import runs, splits
from ..data import samples as sm
from ..data.files import with_names
from ..data.labels import label_type
from ..data.locks import lock
from ..data.seals import json_digest
from ..data.splits import Leaks
from ..engine import splits as engine_splits
from ..engine.clusters import NOISE
from ..handover_options import SplitOptions
from ..progress import Progress, silent
from ..result import SkippingResult, count, percent
from ..workflow import CLUSTER, KEEP
from .plans import Unconfirmed, require_same

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, kw_only=True)
class SplitResult(SkippingResult):
    """The splits that ``split_by_cluster`` made.

    Attributes:
        samples: number of samples asked for
        clusters: number of clusters among them
        replaced: how many had a split tag before
        wanted, sizes: of each split: its share in the options, and its number of samples
        classes: class -> number of samples in each split; empty without ``stratify``
        leaks: the clusters of the run that straddle the splits all the same, through samples that were not asked for
    """

    samples: int
    clusters: int
    replaced: int
    wanted: dict[str, float]
    sizes: dict[str, int]
    classes: dict[str, dict[str, int]]
    leaks: Leaks | None
    decided: bool

    def lines(self) -> list[str]:
        """Return the result in words."""
        total = sum(self.sizes.values())
        parts = [f"{size:,} {name} ({percent(size, total)})" for name, size in self.sizes.items()]
        lines = [
            f"{count(total, 'sample')} in {count(self.clusters, 'cluster')}, and those unlike any other: {', '.join(parts)}."
        ]
        if self.replaced:
            lines.append(f"{count(self.replaced, 'sample')} had a split tag before.")
        if self.leaks:
            lines.append(self.leaks.sentence())
        if self.decided:
            lines.append(f"Run {KEEP.operator} again before remove_duplicates: tags of samples have changed.")
        return lines

    def tables(self) -> dict[str, list[dict[str, str]]]:
        """Return the splits, wanted and achieved, and the classes in them."""
        total = sum(self.sizes.values())
        rows = [
            {
                "split": name,
                "samples": f"{size:,}",
                "share": percent(size, total),
                "wanted": f"{100 * self.wanted[name]:.1f} %",
            }
            for name, size in self.sizes.items()
        ]
        classes = [
            {"class": name, **{split: f"{n:,}" for split, n in found.items()}}
            for name, found in self.classes.items()
        ]
        tables = {"splits": rows} | ({"classes": classes[:20]} if classes else {})
        return tables | super().tables()


def check(samples: sm.Samples, options: SplitOptions) -> None:
    """Refuse, before a tag is read, samples, a run, a name or a field of classes that cannot be used.

    Raises:
        ValueError: as :func:`split` does
    """
    dataset, run_key, field = sm.dataset_of(sm.flat(samples)), options.run_key, options.stratify
    runs.require(dataset, run_key, CLUSTER)
    runs.refuse_foreign(dataset, run_key, {"views": [runs.Names(run_key).view("leaks")]})
    if field is not None and label_type(samples, field) is not fol.Classification:
        fields = list(samples.get_field_schema(embedded_doc_type=fol.Classification))
        raise ValueError(
            f"stratify: {field!r} is no field of classifications (there are: {', '.join(fields) or 'none'})"
        )


def split(samples: sm.Samples, options: SplitOptions, progress: Progress = silent) -> SplitResult:
    """Deal whole clusters out to the splits, and tag the samples.

    A reference keeps its tags, counts in the shares, and draws its clusters along.

    Raises:
        ValueError: if the run has no clusters, none of the samples is in it, or ``stratify`` is no field of classifications
        Unconfirmed: if samples have split tags already, and it was not confirmed
        Busy: if another operator is at work on the run
    """
    dataset, run_key, names = sm.dataset_of(samples), options.run_key, runs.Names(options.run_key)
    with lock(dataset, f"run-{run_key}"):
        samples = sm.flat(samples)
        check(samples, options)
        clustering = runs.require(dataset, run_key, CLUSTER)
        progress("Dealing out the clusters", 0, 2)
        reference = runs.reference_ids(dataset, run_key)
        samples = samples.exclude(reference) if reference else samples
        ids, labels = sm.read(samples, names.cluster)
        skipped = {i: "not in the run" for i, label in zip(ids, labels, strict=True) if label is None}
        ids = [i for i in ids if i not in skipped]
        numbers = np.array([label for label in labels if label is not None], dtype=np.int64)
        if not ids:
            raise ValueError(
                f"None of these samples is in the run {run_key!r}: run {CLUSTER.operator} on them first"
            )
        replaced = refuse_replacing(samples, options)
        classes = _classes(samples, ids, options.stratify)
        found, of_each = np.unique(classes, return_inverse=True)
        wanted = {name: getattr(options, name) for name in SPLITS}
        known = sm.everything(dataset).select(reference)
        in_split = {i: name for i, name in splits.read(known, None).items() if name in SPLITS}
        settled = _settled(known, names.cluster, in_split)
        there = _there(_classes(known, list(in_split), options.stratify), found, in_split)
        more = {"settled": settled, "there": there}
        dealt = engine_splits.deal(numbers, list(wanted.values()), of_each, seed=options.seed, **more)
        progress("Writing the tags", 1, 2)
        members = {
            name: [ids[i] for i in np.flatnonzero(dealt == number)] for number, name in enumerate(SPLITS)
        }
        sm.replace_tags(dataset, dict.fromkeys(splits.TAGS, ()) | members, among=ids)
        leaks = splits.save_leaks(dataset, run_key, {**clustering["options"], "splits": None})
        sizes = {name: len(mine) for name, mine in members.items()}
        counts = Counter(zip(of_each.tolist(), dealt.tolist(), strict=True))
        return SplitResult(
            samples=len(ids) + len(skipped),
            clusters=len(np.unique(numbers[numbers != NOISE])),
            replaced=replaced,
            wanted=wanted,
            sizes=sizes,
            classes={
                name: {split: counts[k, number] for number, split in enumerate(SPLITS)}
                for k, name in enumerate(found.tolist())
                if options.stratify
            },
            **with_names(dataset, skipped),
            leaks=leaks if leaks and leaks.clusters else None,
            decided=runs.is_finished(runs.load(dataset, run_key), KEEP),
        )


def _settled(reference: fo.DatasetView, field: str, of_each: Mapping[str, str]) -> dict[int, int]:
    """Return cluster -> the split of most of the reference samples in it, of the clusters where they have one."""
    found: dict[int, Counter[int]] = {}
    for sample_id, label in zip(*reference.values(["id", field]), strict=True):
        if label not in (None, NOISE) and sample_id in of_each:
            found.setdefault(label, Counter())[SPLITS.index(of_each[sample_id])] += 1
    return {label: counts.most_common(1)[0][0] for label, counts in found.items()}


def _there(classes: np.ndarray, found: np.ndarray, of_each: Mapping[str, str]) -> np.ndarray:
    """Return how many of the reference are in each split, ``(splits, classes)``.

    Args:
        classes: of the reference samples that are in a split
        found: the classes of the samples that are dealt out, sorted
        of_each: sample id -> split, of the same
    """
    there = np.zeros((len(SPLITS), len(found)), dtype=np.int64)
    for name, split in zip(classes, of_each.values(), strict=True):
        there[SPLITS.index(split), found == name] += 1
    return there


def refuse_replacing(samples: sm.Samples, options: SplitOptions) -> int:
    """Count the samples of the run with a split tag, and refuse to replace tags without confirmation.

    Raises:
        Unconfirmed: if there are any, and ``confirm`` is off
        ValueError: if it is on, and the ``plan`` that was looked at is another one
    """
    dataset = sm.dataset_of(samples)
    members = sm.flat(samples).exists(runs.Names(options.run_key).cluster)
    reference = runs.reference_ids(dataset, options.run_key)
    members = members.exclude(reference) if reference else members
    tagged = splits.read(members, None)
    plan = json_digest({"run_key": options.run_key, "tagged": tagged})
    if tagged and not options.confirm:
        found = ", ".join(f"{name} {n:,}" for name, n in sorted(Counter(tagged.values()).items()))
        raise Unconfirmed(
            f"In {dataset.name!r}, {count(len(tagged), 'sample has', 'samples have')} split tags already ({found}), which "
            "would be replaced: confirm it (confirm=True)",
            plan,
            list(tagged),
        )
    if tagged:
        require_same(options.plan, plan, "The split tags have changed")
    return len(tagged)


def _classes(samples: sm.Samples, ids: Sequence[str], field: str | None) -> np.ndarray:
    """Return the class of each sample, empty where it has none; the same for all without a field."""
    if field is None:
        return np.zeros(len(ids), dtype=np.int64)
    found = dict(zip(*samples.values(["id", f"{field}.label"]), strict=True))
    return np.array([found[i] or "" for i in ids])
