"""Who is first in a cluster, and who is kept in any case."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import fiftyone as fo
import fiftyone.core.labels as fol
import numpy as np

from ..data import decisions
from ..data import samples as sm
from ..data.batch import ORDERED, number
from ..data.labels import annotated_fields, count_labels, label_type, labelled
from ..engine import bins
from ..options import LABELS, MEDOID, ORDERS, PIXELS, SHARPNESS, VIEW_ORDER, FirstOptions, KeepOptions
from ..progress import Progress
from .sharpness import sharpness


@dataclass(frozen=True)
class Standing:
    """Who goes before whom, and who is kept in any case; arrays ``(n,)`` in the view's order.

    Attributes:
        rank: int64, smaller is preferred; distinct
        by_hand: whether a person has tagged the sample as one to keep
        protected: whether ``protect_fields`` or ``protect_tags`` keep it
        label_fields: the label fields that count as annotated
        labelled: whether the sample has a label in one of them
    """

    rank: np.ndarray
    by_hand: np.ndarray
    protected: np.ndarray
    label_fields: list[str]
    labelled: np.ndarray

    @property
    def forced(self) -> np.ndarray:
        """Whether the sample is kept in any case."""
        forced: np.ndarray = self.by_hand | self.protected
        return forced


@dataclass(frozen=True)
class Compared:
    """The samples that are put in order, as the run compared them.

    Attributes:
        samples: the samples of the run
        ids, labels, matrix: in the view's order: their ids, ``(n,)`` clusters, ``(n, d)`` vectors
        field: the embeddings field
        metric: of the clustering
    """

    samples: sm.Samples
    ids: list[str]
    labels: np.ndarray
    matrix: Any
    field: str
    metric: str


def check(dataset: fo.Dataset, options: FirstOptions) -> None:
    """Refuse names in the options of an order that cannot be used.

    Raises:
        ValueError: if a name in ``order_by`` is none of the known orders, nor a numeric field; if a field of
            ``label_fields`` or ``protect_fields`` holds no labels, or no sample has a tag of ``protect_tags``
    """
    samples = sm.everything(dataset)
    for option in ("label_fields", "protect_fields"):
        _check_labels(samples, option, getattr(options, option))
    _tags(samples, options.protect_tags or ())
    for name in map(str.strip, options.order_by.split(",")):
        field = samples.get_field(name)
        if name not in ORDERS and not isinstance(field, ORDERED):
            schema = samples.get_field_schema(flat=True)
            known = [name for name, kind in schema.items() if isinstance(kind, ORDERED)]
            problem = "is not numeric" if field is not None else "does not exist"
            raise ValueError(
                f"order_by: the field {name!r} {problem}. Use {', '.join(ORDERS)}, or one of "
                f"{', '.join(known) or 'no field: none is numeric'}"
            )


def standing(compared: Compared, options: KeepOptions, progress: Progress) -> Standing:
    """Put samples in order: those a person tagged first, protected ones, labelled ones, then by ``order_by``.

    Tags and labels are read from the whole dataset: a view may show a part of them. :func:`check` has let the options pass.

    Raises:
        ValueError: if a field of ``order_by`` has several values a sample
    """
    ids = compared.ids
    dataset = sm.dataset_of(compared.samples)
    first, by_hand = (_among(ids, tagged) for tagged in decisions.tagged(dataset, options.run_key))
    guarded = _protected(sm.everything(dataset), ids, options)
    fields = list(options.label_fields or annotated_fields(sm.everything(dataset)))
    numbers = _count_labels(dataset, ids, fields)
    keys = [np.arange(len(ids))]
    for order_by in reversed(options.order_by.split(",")):
        values = _order_values(compared, order_by.strip(), numbers, options.run_key, progress)
        descending = options.descending or order_by.strip() in (SHARPNESS, LABELS)
        keys += [-values if descending else values, np.isnan(values)]
    keys += [(numbers == 0) & options.prefer_labeled, ~guarded]
    order = np.lexsort(keys)
    order = np.concatenate([np.flatnonzero(first), order[~first[order]]])
    rank = np.empty(len(ids), dtype=np.int64)
    rank[order] = np.arange(len(ids))
    return Standing(rank, by_hand, guarded, fields, numbers > 0)


def _count_labels(dataset: fo.Dataset, ids: Sequence[str], fields: Iterable[str]) -> np.ndarray:
    """Return how many labels each sample has in these fields together."""
    counts = [count_labels(sm.everything(dataset), name) for name in fields]
    return np.array([sum(count.get(i, 0) for count in counts) for i in ids], dtype=np.float64)


def _order_values(
    compared: Compared, order_by: str, numbers: np.ndarray, run_key: str, progress: Progress
) -> np.ndarray:
    """Return one number a sample; NaN where there is none, which comes last in either direction.

    Args:
        numbers: of labels
    """
    samples, ids = compared.samples, compared.ids
    if order_by == VIEW_ORDER:
        return np.arange(len(ids), dtype=np.float64)
    if order_by == MEDOID:
        return bins.medoid_rank(compared.matrix, compared.labels, metric=compared.metric)
    if order_by == PIXELS:
        return _aligned(ids, *_pixels(samples))
    if order_by == SHARPNESS:
        return _aligned(ids, *sharpness(samples, compared.field, run_key, progress))
    if order_by == LABELS:
        return numbers
    sample_ids, values = samples.values(["id", order_by])
    if any(isinstance(value, list) for value in values):
        raise ValueError(f"order_by: the field {order_by!r} has several values a sample, and one is needed")
    return _aligned(ids, sample_ids, values)


def _pixels(samples: sm.Samples) -> tuple[list[str], list[float | None]]:
    """Return picture sizes, from the metadata where it is known and else from the file's header."""
    sample_ids, paths, widths, heights = samples.values(
        ["id", "filepath", "metadata.width", "metadata.height"]
    )
    sizes = [
        width * height if width and height else _pixels_of(path)
        for path, width, height in zip(paths, widths, heights, strict=True)
    ]
    return sample_ids, sizes


def _pixels_of(path: str) -> float | None:
    try:
        metadata = fo.ImageMetadata.build_for(path)
    except Exception:  # of any type, by FiftyOne's readers: the sample then comes last
        return None
    return metadata.width * metadata.height if metadata.width and metadata.height else None


def _aligned(ids: Sequence[str], value_ids: Sequence[str], values: Sequence[Any]) -> np.ndarray:
    by_id = dict(zip(value_ids, values, strict=True))
    return np.array([number(by_id[sample_id]) for sample_id in ids], dtype=np.float64)


def _protected(samples: sm.Samples, ids: Sequence[str], options: KeepOptions) -> np.ndarray:
    """Return which samples the options keep in any case: ``(n,)`` bool."""
    guarded: set[str] = set()
    for field in options.protect_fields or ():
        guarded.update(labelled(samples, field))
    if options.protect_tags:
        guarded.update(samples.match_tags(_tags(samples, options.protect_tags)).values("id"))
    return _among(ids, guarded)


def _among(ids: Sequence[str], found: Collection[str]) -> np.ndarray:
    return np.array([sample_id in found for sample_id in ids], dtype=bool)


def _check_labels(samples: sm.Samples, option: str, given: Sequence[str] | None) -> None:
    """Refuse a field that an option names and that holds no labels."""
    for field in given or ():
        if label_type(samples, field) is None:
            present = samples.get_field_schema(embedded_doc_type=fol.Label, flat=True)
            problem = "does not exist" if samples.get_field(field) is None else "holds no labels"
            raise ValueError(f"{option}: the field {field!r} {problem} ({_alike(field, present)})")


def _tags(samples: sm.Samples, wanted: Sequence[str]) -> list[str]:
    """Return the tags that are meant: a text was split at its commas, and a tag may have one."""
    known = samples.distinct("tags") if wanted else []
    parts = {tag: {part.strip() for part in tag.split(",")} for tag in known if "," in tag}
    whole = [tag for tag in parts if parts[tag] <= set(wanted)]
    for tag in wanted:
        if tag not in known and not any(tag in parts[of] for of in whole):
            raise ValueError(f"protect_tags: no sample has the tag {tag!r} ({_alike(tag, known)})")
    return [tag for tag in known if tag in wanted or tag in whole]


def _alike(name: str, known: Iterable[str]) -> str:
    """Return which names may be meant; all where none is alike."""
    words = {word: word.lower() for word in known}
    wanted = name.lower()
    near = get_close_matches(wanted, words.values(), n=5, cutoff=0.4)
    close = [word for word, low in words.items() if low in near or wanted in low]
    if close:
        return f"did you mean {', '.join(map(repr, close[:5]))}?"
    return f"there are: {', '.join(sorted(words)[:10]) or 'none'}"
