"""The vector field that an index is built from: what changed since when, and its vectors in blocks."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import fiftyone as fo
import fiftyone.core.media as fom
import numpy as np
from fiftyone import ViewField as F

from ..data import stored_vectors
from ..engine import vectors as vec

ABSENT = ""
"""The stamp of a sample without a vector."""

UNKNOWN = "?"
"""The stamp of a vector without a digest beside it: whether it changed, only the vector itself can tell."""

_CHUNK = 2000


@dataclass(frozen=True)
class Fingerprint:
    """What moves whenever the field's vectors may have changed; read in a millisecond or two.

    Args:
        count: the number of samples
        modified: the newest ``last_modified_at``, which tags and other fields move too; None without samples
        provenance: a digest of the field's info; it moves when another model writes the field
    """

    count: int
    modified: datetime | None
    provenance: str


@dataclass(frozen=True)
class Stamp:
    """One sample as the database describes it without sending its vector."""

    sample_id: str
    modified: datetime
    stamp: str


@dataclass(frozen=True)
class Block:
    """Some samples' vectors.

    Args:
        ids: the samples with a usable vector
        vectors: their vectors, ``(len(ids), d)`` float32
        unusable: sample id -> why its vector cannot be compared with the others
    """

    ids: list[str]
    vectors: np.ndarray
    unusable: dict[str, str]


class VectorField:
    """A field of vectors of a dataset, of all slices if it is grouped.

    Args:
        dataset: the dataset
        name: the field
    """

    def __init__(self, dataset: fo.Dataset, name: str):
        self.dataset = dataset
        self.name = name

    @property
    def samples(self) -> Any:
        """All samples of the dataset."""
        if self.dataset.media_type == fom.GROUP:
            return self.dataset.select_group_slices(_allow_mixed=True)
        return self.dataset

    def fingerprint(self) -> Fingerprint:
        """Read what tells whether anything may have changed."""
        samples = self.samples
        # One at a time: together FiftyOne runs them as facets, which read every sample instead of the index.
        count, modified = samples.count(), samples.max("last_modified_at")
        field = self.dataset.get_field(self.name)
        told = json.dumps(None if field is None else field.info, sort_keys=True, default=str)
        kind = type(field).__name__
        return Fingerprint(count, modified, hashlib.sha256(f"{kind} {told}".encode()).hexdigest()[:32])

    def ids(self) -> list[str]:
        """Return the ids of all samples."""
        return self.samples.values("id")

    def stamps(self, since: datetime | None = None) -> list[Stamp]:
        """Describe the samples modified at ``since`` or later, all when None, without reading vectors.

        A stamp is the digest that stands beside the vector with the vector's stored size, so that a vector
        written by somebody else beside the old digest is noticed as well, as long as its size differs.
        """
        samples = self.samples if since is None else self.samples.match(F("last_modified_at") >= since)
        if not self.dataset.has_sample_field(self.name):
            return [
                Stamp(*row, ABSENT) for row in zip(*samples.values(["id", "last_modified_at"]), strict=True)
            ]
        columns = samples.values(["id", "last_modified_at", _stored_size(self.name)])
        digests = self._digests(samples, len(columns[0]))
        return [
            Stamp(sample_id, modified, _stamp(size, digests.get(sample_id)))
            for sample_id, modified, size in zip(*columns, strict=True)
        ]

    def blocks(self, ids: Iterable[str], dimension: int | None = None) -> Iterator[Block]:
        """Yield the vectors of samples, in the order of ``ids``; samples without one are left out.

        Args:
            ids: sample ids
            dimension (None): the size that a vector must have; when None, the one that the field's
                provenance names, or else the most common one among the first vectors
        """
        ids = list(ids)
        dimension = dimension or self._told_dimension()
        for start in range(0, len(ids), _CHUNK):
            values = self._read(ids[start : start + _CHUNK])
            if dimension is None and values:
                dimension = Counter(np.size(value) for value in values.values()).most_common(1)[0][0]
            if values:
                yield _block(values, dimension)

    def clear_digests(self, ids: Iterable[str]) -> None:
        """Forget the digests of samples whose vectors somebody else is writing."""
        if self.dataset.has_sample_field(self._digest_name):
            self.samples.set_values(self._digest_name, dict.fromkeys(ids), key_field="id")

    @property
    def _digest_name(self) -> str:
        return f"{self.name}_digest"

    def _digests(self, samples: Any, count: int) -> dict[str, str]:
        """Return the digests beside the vectors, by sample id."""
        if not count or not self.dataset.has_sample_field(self._digest_name):
            return {}
        return dict(zip(*samples.values(["id", self._digest_name]), strict=True))

    def _read(self, ids: list[str]) -> dict[str, Any]:
        """Return the vectors that samples have, in the order of ``ids``."""
        if not self.dataset.has_sample_field(self.name):
            return {}
        found = dict(zip(*self.samples.select(ids).values(["id", self.name], _raw=True), strict=True))
        return {i: stored_vectors.decode(found[i]) for i in ids if found.get(i) is not None}

    def _told_dimension(self) -> int | None:
        """Return the size that OnlyOne noted when it wrote the field."""
        field = self.dataset.get_field(self.name)
        told = ((field.info if field is not None else None) or {}).get("onlyone", {})
        return told.get("dimension")


def _stored_size(name: str) -> fo.ViewExpression:
    """Bytes of a stored vector, or the number of values of a list; None where there is neither."""
    value = f"${name}"
    branches = [
        {"case": {"$eq": [{"$type": value}, "binData"]}, "then": {"$binarySize": value}},
        {"case": {"$isArray": [value]}, "then": {"$size": value}},
    ]
    return fo.ViewExpression({"$switch": {"branches": branches, "default": None}})


def _stamp(size: int | None, digest: str | None) -> str:
    if size is None:
        return ABSENT
    return f"{digest}:{size}" if digest else UNKNOWN


def _block(values: dict[str, Any], dimension: int | None) -> Block:
    """Sort out the vectors that cannot be compared."""
    good, unusable = {}, {}
    for sample_id, value in values.items():
        with np.errstate(over="ignore"):
            array = np.asarray(value, dtype=np.float32)
        reason = vec.problem(array)
        if reason is None and len(array) != dimension:
            reason = f"has {len(array)} values instead of {dimension}"
        if reason is None:
            good[sample_id] = array
        else:
            unusable[sample_id] = f"its vector {reason}"
    matrix = np.stack(list(good.values())) if good else np.empty((0, dimension or 0), dtype=np.float32)
    return Block(list(good), matrix, unusable)
