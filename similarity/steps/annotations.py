"""Labels of an annotated export back onto the samples that its pictures are of."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import fiftyone as fo
import fiftyone.core.labels as fol

from ..data import freshness, labels, runs
from ..data import samples as sm
from ..data.files import absolute, file_names
from ..data.locks import lock
from ..data.raw import Document
from ..data.seals import json_digest
from ..exports import manifest, matching, readers
from ..exports.annotated import Annotations, Picture
from ..exports.manifest import Row
from ..handover_options import AnnotationsOptions
from ..progress import Progress, silent
from ..result import listed
from ..workflow import KEEP
from .annotations_result import COPIED_FROM, AnnotationsResult
from .plans import require_same

_GONE = "its sample is not in the dataset any more: it was deleted, or is in an archive"
_CLASSES = (fol.Classification, fol.Classifications)


def load_annotations(
    samples: sm.Samples, options: AnnotationsOptions, progress: Progress = silent
) -> AnnotationsResult:
    """Plan to write the labels of an annotated export onto its samples or, if confirmed, write them.

    The manifest says which picture is which sample, so neither the order of samples nor their files matter. No sample is
    added, and no field but the label field is written.

    Raises:
        ValueError: if the export or the annotations cannot be read, the label field holds another type, or the annotations
            or the labels have changed since the plan; nothing has been written then
        Busy: if another operator is at work on the run or the field
    """
    dataset, name = sm.dataset_of(samples), options.label_field
    with lock(dataset, f"run-{options.run_key}"), lock(dataset, f"field-{name}"):
        progress("Reading the annotations", 0, 3)
        export = absolute(options.export_dir)
        rows = manifest.load(export)
        kind = _asked_kind(dataset, options)
        single = kind and labels.single_type(kind)
        read = readers.read(export, name, single, options.labels_path, options.dataset_type)
        kind = _kind(read, kind)
        progress("Finding the samples", 1, 3)
        written, copies, result = _plan(dataset, options, export, read, kind, rows)
        changed = f"The annotations, or the labels in {name!r}, have changed"
        require_same(options.plan, result.plan, changed, "written")
        if options.confirm:
            progress("Writing the labels", 2, 3)
            labels.declare(dataset, name, kind)
            missed = labels.write(dataset, name, written | copies)
            result = _without(dataset, result, written, copies, sorted(missed))
        return result


def plan_for_form(dataset: fo.Dataset, options: AnnotationsOptions) -> tuple[str, str]:
    """Return name and summary of a plan; remembered until a file, a sample or the field changes: forms ask often."""
    read = readers.stamp(absolute(options.export_dir), options.labels_path)
    field = str(dataset.get_field(options.label_field))
    state = (read, frozenset(freshness.marks(dataset).items()), field)
    return _remembered(dataset.name, replace(options, confirm=False, plan=None), state)


@lru_cache(maxsize=4)
def _remembered(name: str, options: AnnotationsOptions, state: tuple[object, ...]) -> tuple[str, str]:
    found = load_annotations(fo.load_dataset(name), options)
    return found.plan, " ".join(found.summary().split())


def _asked_kind(dataset: fo.Dataset, options: AnnotationsOptions) -> type[fol.Label] | None:
    """Return the type of the label field, or the one asked for; None where there is neither.

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
    """Return the type of the labels that are loaded: the one asked for, or the only one there is.

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


def _plan(
    dataset: fo.Dataset,
    options: AnnotationsOptions,
    export: Path,
    read: Annotations,
    kind: type[fol.Label],
    rows: Sequence[Row],
) -> tuple[labels.Changes, labels.Changes, AnnotationsResult]:
    """Return the labels to write, read ones and copies, with the account of them and of all others."""
    matched, without_sample = matching.match(rows, read.pictures)
    stored = labels.stored(dataset, options.label_field, matched)
    if matched and not stored:
        raise ValueError(
            f"No sample of {len(matched):,} in this export is in {dataset.name!r}: open the dataset that was exported"
        )
    without_sample |= {matched[i].name: _GONE for i in matched.keys() - stored.keys()}
    not_annotated = {
        row.id: "it is not in the annotations, or not for certain"
        for row in manifest.exported(rows)
        if row.id not in matched
    }
    found, left_out = {}, Counter(read.left_out)
    for sample_id in sorted(stored):
        picture = matched[sample_id]
        try:
            found[sample_id] = _label(picture, kind, left_out)
        except _NotAnnotated as error:
            not_annotated[sample_id] = str(error)
        except ValueError as error:
            without_sample[picture.name] = str(error)
    digests = {
        i: (stored[i] and labels.digest(stored[i]), labels.digest(label)) for i, label in found.items()
    }
    other = [i for i, (before, after) in digests.items() if before != after]
    changed = [i for i in other if labels.count_stored(stored[i])]
    written = {
        i: (stored[i], found[i]) for i in other if options.overwrite or not labels.count_stored(stored[i])
    }
    agreed = found.keys() - (set(changed) - written.keys())
    copies = _copies(dataset, options, kind, found, agreed) if options.copy_labels else {}
    copied = sorted((i, labels.digest(label)) for i, (_, label) in copies.items())
    state = [[i, *both] for i, both in digests.items()]
    shown = [*listed(not_annotated), *listed(dict.fromkeys(changed, ""))]
    result = AnnotationsResult(
        plan=json_digest([kind.__name__, options.overwrite, state, copied]),
        confirmed=options.confirm,
        export_dir=str(export),
        source=str(read.source),
        dataset_type=read.dataset_type,
        label_field=options.label_field,
        label_type=kind.__name__,
        **_numbers(written, copies),
        unchanged=len(found) - len(other),
        changed=changed,
        overwrite=options.overwrite,
        meanwhile=[],
        without_sample=without_sample,
        not_annotated=not_annotated,
        files=file_names(dataset, shown),
        left_out=dict(+left_out),
        view=sm.everything(dataset).select([*found, *copies]) if found or copies else None,
    )
    return written, copies, result


def _numbers(written: labels.Changes, copies: labels.Changes) -> dict[str, int]:
    numbers = [labels.count_stored(label) for _, label in written.values()]
    return {
        "labels": sum(numbers),
        "samples": len(numbers),
        "empty": numbers.count(0),
        "copied": len(copies),
    }


def _without(
    dataset: fo.Dataset,
    result: AnnotationsResult,
    written: labels.Changes,
    copies: labels.Changes,
    missed: list[str],
) -> AnnotationsResult:
    """Return the result without the samples whose labels somebody changed meanwhile."""
    done = ({i: part[i] for i in part.keys() - {*missed}} for part in (written, copies))
    return replace(
        result,
        **_numbers(*done),
        changed=[i for i in result.changed if i not in missed],
        meanwhile=missed,
        files=result.files | file_names(dataset, listed(dict.fromkeys(missed, ""))),
    )


class _NotAnnotated(ValueError):
    """The annotations say nothing about a picture that the field could hold."""


def _label(picture: Picture, kind: type[fol.Label], left_out: Counter[str]) -> Document:
    """Make one label of a picture's; those of other types are counted in ``left_out``.

    Raises:
        _NotAnnotated: if there is none
        ValueError: if there are several, and the type is no list
    """
    if picture.labels is None:
        raise _NotAnnotated("it has no labels in the annotations")
    single = labels.single_type(kind)
    for label in picture.labels:
        if type(label) is not single:
            kinds = labels.list_type(type(label)).__name__
            left_out[f"{kinds}, since the field holds {kind.__name__}"] += 1
    found = labels.document(kind, [label for label in picture.labels if type(label) is single])
    if found is None:
        raise _NotAnnotated(f"it shows nothing, which a {kind.__name__} cannot say")
    return found


def _copies(
    dataset: fo.Dataset,
    options: AnnotationsOptions,
    kind: type[fol.Label],
    found: Mapping[str, Document],
    agreed: Collection[str],
) -> labels.Changes:
    """Return the kept samples' labels for the unlabelled samples that they stand for; with overwrite, also for older copies.

    Args:
        kind: the type of the field
        found: sample id -> label, of all samples that the annotations give one
        agreed: those of them that have this label afterwards

    Raises:
        ValueError: if they are no classes, or the run does not say which samples are kept
    """
    if kind not in _CLASSES:
        raise ValueError(
            f"copy_labels copies classes, and {options.label_field!r} holds {kind.__name__}: boxes and shapes of one "
            "picture do not fit another, in which cars have moved. Load them without it"
        )
    runs.require(dataset, options.run_key, KEEP)
    names = runs.Names(options.run_key)
    left_out = sm.where(sm.everything(dataset), names.kept, False)
    kept_ids = dict(zip(*sm.read(left_out, names.kept_id), strict=True))
    targets = [i for i, kept_id in kept_ids.items() if kept_id in agreed and i not in found]
    copies = {}
    for sample_id, old in labels.stored(dataset, options.label_field, targets).items():
        kept_id = kept_ids[sample_id]
        new = labels.copied(found[kept_id], **{COPIED_FROM: kept_id})
        older = options.overwrite and _is_copy(old) and labels.digest(old) != labels.digest(new)
        if labels.count_stored(new) and (older or not labels.count_stored(old)):
            copies[sample_id] = (old, new)
    return copies


def _is_copy(label: Document | None) -> bool:
    return bool(label) and all(COPIED_FROM in one for one in label.get("classifications", [label]))
