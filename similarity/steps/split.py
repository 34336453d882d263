"""Split a dataset into train, val and test by whole clusters, so that no split has look-alikes of another's samples."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import fiftyone as fo
import fiftyone.core.labels as fol
import numpy as np

from ..data import runs, splits
from ..data import samples as sm
from ..data.files import file_names
from ..data.labels import label_type
from ..data.locks import lock
from ..data.seals import json_digest
from ..data.splits import Leaks
from ..engine import splits as engine_splits
from ..engine.clusters import NOISE
from ..handover_options import SplitOptions
from ..progress import Progress, silent
from ..result import Result, Skipped, count, listed, percent, skipped_lines, skipped_table
from ..workflow import CLUSTER, KEEP

SPLITS = ("train", "val", "test")


class WouldReplace(ValueError):
    """Samples have split tags already, and nobody confirmed that they are replaced; nothing was written.

    Args:
        message: how many, and the remedy
        plan: name of the tags that would be replaced
    """

    def __init__(self, message: str, plan: str):
        super().__init__(message)
        self.plan = plan


@dataclass(frozen=True, kw_only=True)
class SplitResult(Result):
    """What ``split_by_cluster`` tagged.

    Attributes:
        run_key: the run
        samples: number of samples asked for
        clusters: number of clusters among them
        replaced: how many had a split tag before
        wanted, sizes, shares: of each split: its share in the options, its number of samples, and its share of them
        classes: class -> number of samples in each split; empty without ``stratify``
        skipped: sample id -> why it is in no split
        files: sample id -> its file's name, of the first of them
        leaks: the clusters of the run that straddle the splits all the same, through samples that were not asked for
    """

    run_key: str
    samples: int
    clusters: int
    replaced: int
    wanted: dict[str, float]
    sizes: dict[str, int]
    shares: dict[str, float]
    classes: dict[str, dict[str, int]]
    skipped: Skipped
    files: dict[str, str]
    leaks: Leaks | None
    decided: bool

    def summary(self) -> str:
        """The result in words."""
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
        if self.skipped:
            lines += ["", "In no split:", *skipped_lines(self.skipped)]
        return "\n".join(lines)

    def tables(self) -> dict[str, list[dict[str, str]]]:
        """The splits, wanted and achieved, and the classes in them."""
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
        return tables | skipped_table(self.skipped, self.files)


def split(
    samples: fo.core.collections.SampleCollection, options: SplitOptions, progress: Progress = silent
) -> SplitResult:
    """Deal whole clusters out to the splits, and tag the samples.

    A reference keeps its tags, counts in the shares, and draws its clusters along.

    Raises:
        ValueError: if the run has no clusters, none of the samples is in it, or ``stratify`` is no field of classifications
        WouldReplace: if samples have split tags already, and it was not confirmed
        Busy: if another operator is at work on the run
    """
    dataset, run_key, names = sm.dataset_of(samples), options.run_key, runs.Names(options.run_key)
    with lock(dataset, f"run-{run_key}"):
        samples = sm.flat(samples)
        clustering = runs.require(dataset, run_key, CLUSTER)
        runs.refuse_foreign(dataset, run_key, {"views": [names.view("leaks")]})
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
            run_key=run_key,
            samples=len(ids) + len(skipped),
            clusters=len(np.unique(numbers[numbers != NOISE])),
            replaced=replaced,
            wanted=wanted,
            sizes=sizes,
            shares={name: size / len(ids) for name, size in sizes.items()},
            classes={
                name: {split: counts[k, number] for number, split in enumerate(SPLITS)}
                for k, name in enumerate(found.tolist())
                if options.stratify
            },
            skipped=skipped,
            files=file_names(dataset, listed(skipped)),
            leaks=leaks if leaks and leaks.clusters else None,
            decided=runs.is_finished(runs.load(dataset, run_key), KEEP),
        )


def _settled(reference: fo.DatasetView, field: str, of_each: Mapping[str, str]) -> dict[int, int]:
    """Cluster -> the split of most of the reference samples in it, of the clusters where they have one."""
    found: dict[int, Counter[int]] = {}
    for sample_id, label in zip(*reference.values(["id", field]), strict=True):
        if label not in (None, NOISE) and sample_id in of_each:
            found.setdefault(label, Counter())[SPLITS.index(of_each[sample_id])] += 1
    return {label: counts.most_common(1)[0][0] for label, counts in found.items()}


def _there(classes: np.ndarray, found: np.ndarray, of_each: Mapping[str, str]) -> np.ndarray:
    """How many of the reference are in each split, ``(splits, classes)``.

    Args:
        classes: of the reference samples that are in a split
        found: the classes of the samples that are dealt out, sorted
        of_each: sample id -> split, of the same
    """
    there = np.zeros((len(SPLITS), len(found)), dtype=np.int64)
    for name, split in zip(classes, of_each.values(), strict=True):
        there[SPLITS.index(split), found == name] += 1
    return there


def refuse_replacing(samples: fo.core.collections.SampleCollection, options: SplitOptions) -> int:
    """Count the samples of the run with a split tag, and refuse to replace what nobody confirmed.

    Raises:
        WouldReplace: if there are any, and ``confirm`` is off
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
        raise WouldReplace(
            f"{count(len(tagged), 'sample')} of {dataset.name!r} have split tags already ({found}), which would be "
            "replaced: confirm it (confirm=True)",
            plan,
        )
    if tagged and options.plan not in (None, plan):
        raise ValueError(
            f"The split tags are other ones than in the plan {options.plan!r} that was shown, so nothing was changed: "
            "look at the new plan first"
        )
    return len(tagged)


def _classes(
    samples: fo.core.collections.SampleCollection, ids: Sequence[str], field: str | None
) -> np.ndarray:
    """The class of each sample, empty where it has none; the same for all without a field."""
    if field is None:
        return np.zeros(len(ids), dtype=np.int64)
    if label_type(samples, field) is not fol.Classification:
        fields = list(samples.get_field_schema(embedded_doc_type=fol.Classification))
        raise ValueError(
            f"stratify: {field!r} is no field of classifications (there are: {', '.join(fields) or 'none'})"
        )
    found = dict(zip(*samples.values(["id", f"{field}.label"]), strict=True))
    return np.array([found[i] or "" for i in ids])
