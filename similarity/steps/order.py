"""Who is first in a cluster, and who is kept in any case."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from difflib import get_close_matches
from typing import Any

import fiftyone as fo
import fiftyone.core.fields as fof
import fiftyone.core.labels as fol
import numpy as np

from ..data import samples as sm
from ..data.labels import labelled
from ..engine import bins
from ..options import MEDOID, PIXELS, VIEW_ORDER, KeepOptions

_NUMERIC = (fof.IntField, fof.FloatField, fof.DateField, fof.DateTimeField)


def keep_order(
    samples: fo.core.collections.SampleCollection,
    ids: Sequence[str],
    matrix: np.ndarray,
    labels: np.ndarray,
    options: KeepOptions,
    metric: str,
) -> np.ndarray:
    """The rank of each sample: ``(n,)`` int64, smaller is preferred; ties by the view's order.

    Args:
        samples: the samples of the run
        ids: their ids, in the view's order, as the rows of ``matrix`` and ``labels`` are

    Raises:
        ValueError: if ``order_by`` is none of the known orders, nor a numeric field
    """
    values = _order_values(samples, ids, matrix, labels, options.order_by, metric)
    missing = np.isnan(values)
    if options.descending:
        values = -values
    order = np.lexsort((np.arange(len(ids)), values, missing))
    rank = np.empty(len(ids), dtype=np.int64)
    rank[order] = np.arange(len(ids))
    return rank


def _order_values(
    samples: fo.core.collections.SampleCollection,
    ids: Sequence[str],
    matrix: np.ndarray,
    labels: np.ndarray,
    order_by: str,
    metric: str,
) -> np.ndarray:
    """One number a sample; NaN where there is none, which comes last in either direction."""
    if order_by == VIEW_ORDER:
        return np.arange(len(ids), dtype=np.float64)
    if order_by == MEDOID:
        return bins.medoid_rank(matrix, labels, metric=metric)
    if order_by == PIXELS:
        return _aligned(ids, *_pixels(samples))
    field = samples.get_field(order_by)
    if not isinstance(field, _NUMERIC):
        known = [
            name for name, kind in samples.get_field_schema(flat=True).items() if isinstance(kind, _NUMERIC)
        ]
        problem = "is not numeric" if field is not None else "does not exist"
        raise ValueError(
            f"order_by: the field {order_by!r} {problem}. Use {VIEW_ORDER}, {MEDOID}, {PIXELS}, or one of "
            f"{', '.join(known) or 'no field: none is numeric'}"
        )
    sample_ids, values = samples.values(["id", order_by])
    if any(isinstance(value, list) for value in values):
        raise ValueError(f"order_by: the field {order_by!r} has several values a sample, and one is needed")
    return _aligned(ids, sample_ids, values)


def _pixels(samples: fo.core.collections.SampleCollection) -> tuple[list[str], list[float | None]]:
    """Picture sizes, from the metadata where it is known and else from the file's header."""
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
    return np.array([_number(by_id[sample_id]) for sample_id in ids], dtype=np.float64)


def _number(value: Any) -> float:
    if value is None:
        return float("nan")
    if isinstance(value, datetime):
        utc = value if value.tzinfo else value.replace(tzinfo=UTC)  # FiftyOne's naive times are UTC
        return utc.timestamp()
    return float(value.toordinal() if isinstance(value, date) else value)


def protected(
    samples: fo.core.collections.SampleCollection, ids: Sequence[str], options: KeepOptions
) -> np.ndarray:
    """Which samples are always kept: ``(n,)`` bool.

    Told from the whole dataset: a view may show a part of a sample's labels.

    Raises:
        ValueError: if a field of ``protect_fields`` does not exist, or no sample has a tag of ``protect_tags``
    """
    samples, guarded = sm.everything(sm.dataset_of(samples)), set()
    for field in options.protect_fields or ():
        if samples.get_field(field) is None:
            present = samples.get_field_schema(embedded_doc_type=fol.Label, flat=True)
            raise ValueError(f"protect_fields: the field {field!r} does not exist ({_alike(field, present)})")
        guarded.update(labelled(samples, field))
    if options.protect_tags:
        guarded.update(samples.match_tags(_tags(samples, options.protect_tags)).values("id"))
    return np.array([sample_id in guarded for sample_id in ids], dtype=bool)


def _tags(samples: fo.core.collections.SampleCollection, wanted: Sequence[str]) -> list[str]:
    """The tags that are meant: a text was split at its commas, and a tag may have one."""
    known = samples.distinct("tags")
    parts = {tag: {part.strip() for part in tag.split(",")} for tag in known if "," in tag}
    whole = [tag for tag in parts if parts[tag] <= set(wanted)]
    for tag in wanted:
        if tag not in known and not any(tag in parts[of] for of in whole):
            raise ValueError(f"protect_tags: no sample has the tag {tag!r} ({_alike(tag, known)})")
    return [tag for tag in known if tag in wanted or tag in whole]


def _alike(name: str, known: Iterable[str]) -> str:
    """Which names may be meant; all where none is alike."""
    words = {word: word.lower() for word in known}
    wanted = name.lower()
    near = get_close_matches(wanted, words.values(), n=5, cutoff=0.4)
    close = [word for word, low in words.items() if low in near or wanted in low]
    if close:
        return f"did you mean {', '.join(map(repr, close[:5]))}?"
    return f"there are: {', '.join(sorted(words)[:10]) or 'none'}"
