"""The embeddings field and those beside it: whose they are, and what their vectors were made with."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fiftyone as fo

from ..engine import vgg16
from . import locks, runs
from . import samples as sm


@dataclass(frozen=True)
class FieldNames:
    """The embeddings field and the fields that stand beside it."""

    vectors: str

    @property
    def digest(self) -> str:
        """Field: digest of the bytes of the file that was embedded."""
        return f"{self.vectors}_digest"

    @property
    def file(self) -> str:
        """Field: size and modification time of that file, to tell quickly that it has not changed."""
        return f"{self.vectors}_file"

    @property
    def error(self) -> str:
        """Field: why a sample has no embedding."""
        return f"{self.vectors}_error"

    @property
    def beside(self) -> dict[str, str]:
        """The fields beside the vectors, with what they hold."""
        return {
            self.digest: "Digest of the bytes of the embedded file",
            self.file: "Size and modification time of the embedded file",
            self.error: "Why the sample has no embedding",
        }


def check(
    dataset: fo.Dataset,
    names: FieldNames,
    provenance: dict[str, Any],
    ids: Collection[str],
    *,
    replace: bool,
) -> dict[str, Any] | None:
    """Check that the fields are ours, and that vectors of this provenance may be written for the samples ``ids``.

    Args:
        provenance: of the vectors to be written
        replace: whether vectors of another provenance may be replaced

    Returns:
        the provenance of the vectors that the field holds; None if it is new

    Raises:
        ValueError: if a field is somebody else's, or vectors would mix
    """
    _refuse_foreign(dataset, names)
    if not dataset.has_sample_field(names.vectors):
        return None
    info = sm.provenance(dataset, names.vectors)
    known = {key: info.get(key) for key in provenance}
    differing = [key for key in provenance if known[key] != provenance[key]]
    if not differing:
        return known
    key = differing[0]
    mixing = (
        f"The field {names.vectors!r} holds vectors with {key} {known[key]!r}, not {provenance[key]!r}, and one field "
        "never mixes them. Choose another embeddings_field, or "
    )
    if not replace:
        raise ValueError(mixing + "recompute=True to replace them all")
    others = set(sm.everything(dataset).exists(names.vectors).values("id")) - set(ids)
    if others:
        raise ValueError(
            mixing
            + f"recompute on the whole dataset: {len(others):,} of its vectors are of samples that are not here"
        )
    return known


def _refuse_foreign(dataset: fo.Dataset, names: FieldNames) -> None:
    ours = {names.vectors: "weights_digest" in sm.provenance(dataset, names.vectors)}
    for name in names.beside:
        ours[name] = sm.provenance(dataset, name).get("beside") == names.vectors
    for name, own in ours.items():
        if dataset.has_sample_field(name) and not own:
            raise ValueError(
                f"The field {name!r} exists and OnlyOne did not write it: choose another embeddings_field, or rename it"
            )


def clear(dataset: fo.Dataset, names: FieldNames) -> None:
    """Delete the fields, where they are."""
    present = [name for name in (names.vectors, *names.beside) if dataset.has_sample_field(name)]
    if present:
        locks.check()
        dataset.delete_sample_fields(present)


def declare(dataset: fo.Dataset, names: FieldNames, provenance: dict[str, Any], weights: str) -> None:
    """Create the fields if need be, and write into their infos what they hold.

    Args:
        weights: the weights as they were asked for, to find them again for a query picture
    """
    for name, text in names.beside.items():
        sm.declare_field(dataset, name, fo.StringField, text, {"beside": names.vectors})
    layer = provenance["layer"]
    info = {
        **provenance,
        "weights_source": weights,
        "dimension": vgg16.LAYERS[layer],
        "onlyone_version": runs.VERSION,
    }
    text = f"VGG16 {layer} embeddings ({provenance['weights']} weights)"
    sm.declare_field(dataset, names.vectors, fo.VectorField, text, info)


def file_mark(path: str) -> str | None:
    """Size and modification time of a file, as text; None if there is none."""
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return f"{status.st_size} bytes, {status.st_mtime_ns} ns"
