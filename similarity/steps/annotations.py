"""Labels of an annotated export back onto the samples that its pictures are of."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import fiftyone as fo
import fiftyone.core.labels as fol

from ..data import freshness, labels, runs
from ..data import samples as sm
from ..data.files import file_names
from ..data.locks import lock
from ..data.raw import Document
from ..data.seals import json_digest
from ..exports import manifest, matching, readers
from ..exports.annotated import Annotations, Picture, Wanted
from ..exports.manifest import KEPT, Row
from ..handover_options import AnnotationsOptions
from ..progress import Progress, silent
from ..result import Skipped, listed
from ..workflow import KEEP
from .annotations_result import COPIED_FROM, AnnotationsResult, Samples

_GONE = "its sample is not in the dataset any more: it was deleted, or is in an archive"
_CLASSES = (fol.Classification, fol.Classifications)


def load_annotations(
    samples: Samples, options: AnnotationsOptions, progress: Progress = silent
) -> AnnotationsResult:
    """Plan to write the labels of an annotated export onto its samples or, if confirmed, write them.

    The manifest says which picture is which sample, so neither the order of samples nor their files matter. No sample is
    added, and no field but the label field is written.

    Raises:
        ValueError: if the export or the annotations cannot be read, the label field holds another type, or the annotations
            or the labels have changed since the plan; nothing has been written then
        Busy: if another operator is at work on the run
    """
    dataset, name = sm.dataset_of(samples), options.label_field
    with lock(dataset, f"run-{options.run_key}"):
        progress("Reading the annotations", 0, 3)
        export = Path(options.export_dir).expanduser().absolute()
        rows = manifest.load(export)
        rows = [row for row in rows if row.exported] or [row for row in rows if row.status == KEPT]
        kind = _asked_kind(dataset, options)
        wanted = Wanted(export, name, kind and labels.single_type(kind))
        read = readers.read(wanted, options.labels_path, options.dataset_type)
        kind = _kind(read, kind)
        progress("Finding the samples", 1, 3)
        load = _plan(dataset, options, read, kind, rows)
        if options.plan not in (None, load.name):
            raise ValueError(
                f"The annotations, or the labels in {name!r}, have changed since the plan {options.plan} was shown, so "
                "nothing was written: look at the new plan first"
            )
        if options.confirm:
            progress("Writing the labels", 2, 3)
            labels.declare(dataset, name, kind)
            sm.write(dataset, {name: load.written | load.copies})
        return _result(dataset, options, export, read, load)


def plan_for_form(dataset: fo.Dataset, options: AnnotationsOptions) -> tuple[str, str]:
    """The name and the words of a plan; remembered until a file, a sample or the field changes: forms ask often."""
    read = readers.stamp(Path(options.export_dir).expanduser(), options.labels_path)
    field = str(dataset.get_field(options.label_field))
    state = (read, frozenset(freshness.marks(dataset).items()), field)
    return _remembered(dataset.name, replace(options, confirm=False, plan=None), state)


@lru_cache(maxsize=4)
def _remembered(name: str, options: AnnotationsOptions, state: tuple[object, ...]) -> tuple[str, str]:
    found = load_annotations(fo.load_dataset(name), options)
    return found.plan, " ".join(found.summary().split())


def _asked_kind(dataset: fo.Dataset, options: AnnotationsOptions) -> type[fol.Label] | None:
    """The type of the label field, or the one asked for; None where there is neither.

    Raises:
        ValueError: if the field holds something else
    """
    name, asked = options.label_field, options.label_type and getattr(fol, options.label_type)
    kind = labels.label_type(dataset, name)
    if dataset.has_sample_field(name) and (kind is None or asked not in (None, kind)):
        held = kind.__name__ if kind else type(dataset.get_field(name)).__name__
        raise ValueError(
            f"label_field: {name!r} holds {held}: name a new field, or one with labels of the type that you load"
        )
    return kind or asked


def _kind(read: Annotations, asked: type[fol.Label] | None) -> type[fol.Label]:
    """The type of the labels that are loaded: the one asked for, or the only one there is.

    Raises:
        ValueError: if there are none of the one, or several; the message names them
    """
    found = Counter(labels.list_type(type(one)) for picture in read.pictures for one in picture.labels or ())
    kinds = " and ".join(f"{number:,} {kind.__name__}" for kind, number in found.items())
    if asked is not None and found and labels.list_type(asked) not in found:
        raise ValueError(
            f"{read.source} holds {kinds}, and the field {asked.__name__}: load them into another field"
        )
    if asked is None and read.kind is None and len(found) > 1:
        raise ValueError(
            f"{read.source} holds {kinds}, and a field holds one type: name one of them as label_type, and load the others "
            "into another field"
        )
    return asked or read.kind or next(iter(found), fol.Detections)


@dataclass
class _Plan:
    """What a load writes and what it does not, found before anything is written.

    Attributes:
        kind: the type of the field
        found: sample id -> label, of all samples that the annotations give one
        written: of these, those that are written
        changed: ids of the samples that have other labels
        copies: sample id -> label copied from the kept sample
        left_out, without_sample, not_annotated: as in the result
        name: tells this plan from others
    """

    kind: type[fol.Label]
    found: dict[str, Document] = field(default_factory=dict)
    written: dict[str, Document] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    copies: dict[str, Document] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    without_sample: dict[str, str] = field(default_factory=dict)
    not_annotated: Skipped = field(default_factory=dict)
    name: str = ""


def _plan(
    dataset: fo.Dataset,
    options: AnnotationsOptions,
    read: Annotations,
    kind: type[fol.Label],
    rows: Sequence[Row],
) -> _Plan:
    load = _Plan(kind, left_out=Counter(read.left_out))
    matched, load.without_sample = matching.match(rows, read.pictures)
    for sample_id, picture in matched.items():
        _take(load, sample_id, picture)
    load.not_annotated |= {
        row.id: "it is not in the annotations, or not for certain" for row in rows if row.id not in matched
    }
    stored = labels.stored(dataset, options.label_field, matched)
    if matched and not stored:
        raise ValueError(
            f"No sample of {len(matched):,} in this export is in {dataset.name!r}: open the dataset that was exported"
        )
    for sample_id in matched.keys() - stored.keys():
        load.without_sample[matched[sample_id].name] = _GONE
        load.found.pop(sample_id, None)
    state = [_compare(load, i, stored[i], options.overwrite) for i in sorted(load.found)]
    if options.copy_labels:
        load.copies = _copies(dataset, options, load)
    copied = sorted((i, labels.digest(label)) for i, label in load.copies.items())
    load.name = json_digest([kind.__name__, options.overwrite, state, copied])
    return load


def _take(load: _Plan, sample_id: str, picture: Picture) -> None:
    """Make one label of what the annotations say about a sample."""
    if picture.labels is None:
        load.not_annotated[sample_id] = "it has no labels in the annotations"
        return
    single = labels.single_type(load.kind)
    found = [label for label in picture.labels if type(label) is single]
    for label in picture.labels:
        if type(label) is not single:
            kinds = labels.list_type(type(label)).__name__
            load.left_out[f"{kinds}, since the field holds {load.kind.__name__}"] += 1
    try:
        label = labels.document(load.kind, found)
    except ValueError as error:
        load.without_sample[picture.name] = str(error)
        return
    if label is None:
        load.not_annotated[sample_id] = f"it shows nothing, which a {load.kind.__name__} cannot say"
    else:
        load.found[sample_id] = label


def _compare(load: _Plan, sample_id: str, old: Document | None, overwrite: bool) -> list[str | None]:
    """Decide on one sample; return what the decision rests on."""
    new = load.found[sample_id]
    before, after = old and labels.digest(old), labels.digest(new)
    if before != after:
        if labels.count_stored(old):
            load.changed.append(sample_id)
        if overwrite or not labels.count_stored(old):
            load.written[sample_id] = new
    return [sample_id, before, after]


def _copies(dataset: fo.Dataset, options: AnnotationsOptions, load: _Plan) -> dict[str, Document]:
    """The labels of kept samples, for the samples without labels that they stand for; with overwrite, for older copies too.

    Raises:
        ValueError: if they are no classes, or the run does not say which samples are kept
    """
    if load.kind not in _CLASSES:
        raise ValueError(
            f"copy_labels copies classes, and {options.label_field!r} holds {load.kind.__name__}: boxes and shapes of one "
            "picture do not fit another, in which cars have moved. Load them without it"
        )
    runs.require(dataset, options.run_key, KEEP)
    names = runs.Names(options.run_key)
    left_out = sm.everything(dataset).match(fo.ViewField(names.kept) == False)  # noqa: E712
    kept_ids = dict(zip(*sm.read(left_out, names.kept_id), strict=True))
    theirs = load.found.keys() - (set(load.changed) - load.written.keys())
    targets = [i for i, kept_id in kept_ids.items() if kept_id in theirs and i not in load.found]
    copies = {}
    for sample_id, old in labels.stored(dataset, options.label_field, targets).items():
        kept_id = kept_ids[sample_id]
        new = labels.copied(load.found[kept_id], **{COPIED_FROM: kept_id})
        older = options.overwrite and _is_copy(old) and labels.digest(old) != labels.digest(new)
        if labels.count_stored(new) and (older or not labels.count_stored(old)):
            copies[sample_id] = new
    return copies


def _is_copy(label: Document | None) -> bool:
    return bool(label) and all(COPIED_FROM in one for one in label.get("classifications", [label]))


def _result(
    dataset: fo.Dataset, options: AnnotationsOptions, export: Path, read: Annotations, load: _Plan
) -> AnnotationsResult:
    theirs = [*load.found, *load.copies]
    shown = [*listed(load.not_annotated), *listed(dict.fromkeys(load.changed, ""))]
    numbers = [labels.count_stored(label) for label in load.written.values()]
    return AnnotationsResult(
        plan=load.name,
        confirmed=options.confirm,
        export_dir=str(export),
        source=str(read.source),
        dataset_type=read.dataset_type,
        label_field=options.label_field,
        label_type=load.kind.__name__,
        labels=sum(numbers),
        samples=len(numbers),
        empty=numbers.count(0),
        unchanged=len(load.found.keys() - load.written.keys() - set(load.changed)),
        changed=load.changed,
        overwrite=options.overwrite,
        copied=len(load.copies),
        without_sample=load.without_sample,
        not_annotated=load.not_annotated,
        files=file_names(dataset, shown),
        left_out=dict(+load.left_out),
        view=sm.everything(dataset).select(theirs) if theirs else None,
    )
