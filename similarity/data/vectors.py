"""Vectors of a field: the usable ones as one array, and the reasons why the others are skipped."""

import functools
import hashlib
import io
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import fiftyone.core.fields as fof
import fiftyone.core.utils as fou
import numpy as np
from fiftyone.core.collections import SampleCollection as Samples

from ..engine import vectors as engine_vectors
from ..engine.pieces import SIZE, Pieces, Store
from ..options import DIGEST
from ..result import Skipped, count
from . import raw
from . import samples as sm

_MAGIC = np.lib.format.magic(1, 0)
_LENGTH = len(_MAGIC) + 2  # of the magic, and of the header's length


@dataclass(frozen=True)
class Vectors:
    """The usable vectors of a collection.

    Attributes:
        ids: the ids of the samples with a usable vector, in the order that decides which is first
        matrix: their vectors, ``(n, d)`` float32; in a store, if one was given
        skipped: for each sample without a usable vector, its id and the reason
    """

    ids: list[str]
    matrix: Any
    skipped: Skipped

    @property
    def digest(self) -> str:
        """A digest of ids and vectors that does not depend on their order."""
        matrix = self.matrix
        each = (matrix.digests if isinstance(matrix, Pieces) else engine_vectors.digests(matrix)).tobytes()
        state = hashlib.sha256()
        for i in sorted(range(len(self.ids)), key=self.ids.__getitem__):
            state.update(self.ids[i].encode() + each[i * 16 : (i + 1) * 16])
        return state.hexdigest()


def vector_fields(collection: Samples) -> list[str]:
    """Return the names of the sample fields that can hold vectors."""
    return [
        name
        for name, field in collection.get_field_schema().items()
        if isinstance(field, fof.VectorField)
        or (isinstance(field, fof.ListField) and isinstance(field.field, fof.FloatField))
    ]


def holds_others_vectors(collection: Samples, field: str) -> bool:
    """Return whether a field holds vectors that OnlyOne did not make."""
    return field in vector_fields(collection) and "weights_digest" not in sm.provenance(collection, field)


def check_vector_field(collection: Samples, field: str) -> None:
    """Refuse a field that is missing or holds no vectors.

    Raises:
        ValueError: names the field, the usable fields, and the operator that makes one
    """
    candidates = vector_fields(collection)
    if field in candidates:
        return
    problem = "holds no vectors" if collection.has_sample_field(field) else "does not exist"
    known = (
        f"fields with vectors: {', '.join(candidates)}"
        if candidates
        else "no field of the dataset holds vectors"
    )
    raise ValueError(f"The field {field!r} {problem} ({known}). Run compute_embeddings to make it")


def read_vectors(samples: Samples, field: str, store: Store | None = None) -> Vectors:
    """Read the vectors of ``field``; vectors missing, not finite, of length zero or of another size are skipped.

    Args:
        store (None): a store for them, piece by piece, so that this process never holds them all

    Raises:
        ValueError: if the field is unusable, or no sample has a usable vector
    """
    check_vector_field(samples, field)
    found = gather(samples, field, store=store)
    if not found.ids:
        reason = next(iter(found.skipped.values()), "they are gone")
        raise ValueError(
            f"No sample of {len(found.skipped):,} has a usable vector in {field!r} (first reason: {reason}). "
            "Run compute_embeddings on them"
        )
    return found


def read_compared(samples: Samples, field: str, metric: str, store: Store | None = None) -> Vectors:
    """Read the vectors of a run; for a run of copies, whose files are equal within each cluster, vectors that are all equal.

    Args:
        field, metric: of the run

    Raises:
        ValueError: as :func:`read_vectors` does
    """
    if metric != DIGEST:
        return read_vectors(samples, field, store)
    return all_equal(sm.read(samples)[0])


def all_equal(ids: list[str]) -> Vectors:
    """Make equal vectors for samples whose files were compared."""
    return Vectors(ids, np.ones((len(ids), 1), dtype=np.float32), {})


def gather(
    samples: Samples,
    field: str,
    dimension: int | None = None,
    store: Store | None = None,
) -> Vectors:
    """Read the vectors of ``field`` as :func:`read_vectors` does; none where there are none.

    Args:
        dimension (None): the size of a usable vector; by default the one that the field's provenance names, or else
            the most common one of some thousand samples
        store (None): as for :func:`read_vectors`
    """
    everyone = sm.read(samples)[0]
    size = dimension or sm.provenance(samples, field).get("dimension")
    if not size:
        some = _stored(samples, field, everyone[:: 1 + len(everyone) // SIZE])[0]
        sizes = Counter(np.size(decode(value)) for value in some if value is not None)
        size = sizes.most_common(1)[0][0] if sizes else 0
    ids, skipped = [], {}
    matrix = np.empty((len(everyone) if store is None else 0, size), dtype=np.float32)
    pieces, digests = [], []
    for start in range(0, len(everyone), SIZE):
        some = everyone[start : start + SIZE]
        good, piece, problems = _usable(some, *_stored(samples, field, some), size)
        skipped.update(problems)
        if store is None:
            matrix[len(ids) : len(ids) + len(good)] = piece
        elif good:
            pieces.append(store.put(piece))
            digests.append(engine_vectors.digests(piece))
        ids += good
    if store is None:
        return Vectors(ids, matrix[: len(ids)], skipped)
    return Vectors(ids, Pieces(pieces, digests, size, store), skipped)


def _usable(
    ids: Sequence[str], stored: list[Any], errors: Sequence[str | None], size: int
) -> tuple[list[str], np.ndarray, Skipped]:
    """Return the samples that have a usable vector, these vectors, and why the others have none."""
    piece = np.empty((len(ids), size), dtype=np.float32)
    skipped, rows = {}, []
    for i, value in enumerate(stored):
        reason = _fill(piece, len(rows), decode(value), errors[i])
        if reason is None:
            rows.append(i)
        else:
            skipped[ids[i]] = reason
    piece = piece[: len(rows)]
    lengths = engine_vectors.norms(piece)
    good = np.isfinite(lengths) & (lengths > 0)
    for at in np.flatnonzero(~good):
        skipped[ids[rows[at]]] = f"its vector {engine_vectors.problem(piece[at])}"
    return [ids[rows[at]] for at in np.flatnonzero(good)], piece[good], skipped


def _stored(samples: Samples, field: str, ids: Sequence[str]) -> tuple[list[Any], list[Any]]:
    """Return vectors as stored, and errors."""
    keys = [field, f"{field}_error"]
    if sm.provenance(samples, keys[1]).get("beside") != field:
        keys[1:] = []
    keys = [name for name in keys if samples.has_sample_field(name)]
    key = {name: raw.key(samples, name) for name in keys}
    found = {str(d["_id"]): d for d in raw.documents(sm.dataset_of(samples), ids, key.values())}
    told = [found.get(sample_id, {}) for sample_id in ids]
    return tuple([d.get(key.get(name, name)) for d in told] for name in (field, f"{field}_error"))


def _fill(matrix: np.ndarray, row: int, vector: np.ndarray | None, error: str | None) -> str | None:
    """Write a vector into a row, or return why it is no vector; whether it can be compared is checked in the row."""
    if vector is None:
        return error or "no embedding: run compute_embeddings"
    if vector.ndim != 1 or vector.dtype.kind not in "fiu":
        return "its vector is not a list of numbers"
    if len(vector) != matrix.shape[1]:
        return f"its vector has {count(len(vector), 'value')} instead of {matrix.shape[1]:,}"
    with np.errstate(over="ignore"):  # values beyond float32 become infinite, and are skipped
        matrix[row] = vector
    return None


# FiftyOne opens each stored vector as a file of its own, which takes four times as long as the decompression. The
# headers of a field's vectors are equal byte by byte, so one is read for all of them.


def decode(value: Any) -> np.ndarray | None:
    """Return the vector in a raw value of a field, as FiftyOne's own reader does, None for None. It is read-only."""
    if value is None or isinstance(value, np.ndarray):
        return value
    if isinstance(value, list | tuple):
        return np.array(value)
    content = zlib.decompress(value)
    header = content[: _LENGTH + int.from_bytes(content[len(_MAGIC) : _LENGTH], "little")]
    dtype = _dtype(header)
    if dtype is None:
        return fou.deserialize_numpy_array(value)
    return np.frombuffer(content, dtype, offset=len(header))


@functools.lru_cache(maxsize=256)
def _dtype(header: bytes) -> np.dtype | None:
    """Return the type of the values after a header; None where they are not one row of numbers."""
    if not header.startswith(_MAGIC):
        return None
    shape, _, dtype = np.lib.format.read_array_header_1_0(io.BytesIO(header[len(_MAGIC) :]))
    return dtype if len(shape) == 1 and dtype.kind in "fiu" else None
