"""The embeddings field and the fields beside it: their ownership, and the provenance of their vectors."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import fiftyone as fo

from ..declare import AUTO
from ..embed_options import EmbedOptions
from ..engine import vgg16
from ..result import count
from . import locks, runs
from . import samples as sm


class FieldNames:
    """The embeddings field and the fields beside it.

    Attributes:
        vectors: field: the vectors
        digest: field: digest of the bytes of the embedded file
        file: field: size and modification time of the embedded file, a quick test that it has not changed
        error: field: why a sample has no embedding
        beside: digest, file and error, with their descriptions
        sharpness: field: sharpness of the embedded picture; not in ``beside``, since the vectors are complete without it
    """

    def __init__(self, vectors: str):
        self.vectors = vectors
        self.digest, self.file = f"{vectors}_digest", f"{vectors}_file"
        self.error, self.sharpness = f"{vectors}_error", f"{vectors}_sharpness"
        self.beside = {
            self.digest: "Digest of the bytes of the embedded file",
            self.file: "Size and modification time of the embedded file",
            self.error: "Why the sample has no embedding",
        }


def refuse_foreign(dataset: fo.Dataset, names: FieldNames) -> None:
    """Refuse fields that OnlyOne did not write.

    Raises:
        ValueError: if one of them is somebody else's
    """
    for name in (names.vectors, *names.beside, names.sharpness):
        refuse_foreign_field(dataset, names, name)


def refuse_foreign_field(dataset: fo.Dataset, names: FieldNames, name: str) -> None:
    """Refuse one of these fields, if OnlyOne did not write it.

    Raises:
        ValueError: if it is somebody else's
    """
    told = sm.provenance(dataset, name)
    own = "weights_digest" in told if name == names.vectors else told.get("beside") == names.vectors
    if dataset.has_sample_field(name) and not own:
        raise ValueError(
            f"The field {name!r} exists and OnlyOne did not write it: choose another embeddings_field, or rename it"
        )


def agree(
    dataset: fo.Dataset, names: FieldNames, options: EmbedOptions, ids: Collection[str], *, computing: bool
) -> dict[str, Any]:
    """Return the provenance for the field's vectors: as requested, and for ``auto`` in the precision that they have.

    If nothing is computed, the abilities of this machine do not matter, nor whether the field's own weights are there.

    Args:
        ids: ids of the requested samples
        computing: whether a vector is to be computed

    Raises:
        ValueError: if vectors would mix, or this machine cannot compute them
        WeightsUnavailable: if the path names no file
    """
    known, others = sm.provenance(dataset, names.vectors), set()
    if known and options.recompute:
        others = set(sm.everything(dataset).exists(names.vectors).values("id")) - set(ids)
    replaces = options.recompute and not others
    auto = options.precision == AUTO and known and not replaces
    precision = known["precision"] if auto else options.precision
    if computing or not known:
        wanted = vgg16.provenance(layer=options.layer, weights=options.weights, precision=precision)
    else:
        wanted = known | _asked(options, known) | {"precision": precision, "version": vgg16.VERSION}
    differing = _differing(known, wanted)
    if not known or not differing or replaces:
        return wanted
    # In an earlier version, all else may differ too.
    key = "version" if "version" in differing else differing[0]
    then, now = known.get(key), wanted[key]
    if key.endswith("_digest"):
        then, now = (f"{told['weights']} ({told.get(key)})" for told in (known, wanted))
    remedy = "recompute=True to replace them all"
    if options.recompute:
        remedy = f"recompute on the whole dataset: {count(len(others), 'sample')} with vectors in it would keep theirs"
    raise ValueError(
        f"The field {names.vectors!r} holds vectors with {key} {then!r}, not {now!r}, and one field never mixes them. "
        f"Choose another embeddings_field, or {remedy}"
    )


def _asked(options: EmbedOptions, known: dict[str, Any]) -> dict[str, Any]:
    """Return the requested layer and weights; the file of the field's own weights need not exist any more."""
    try:
        told = vgg16.provenance(layer=options.layer, weights=options.weights, precision="float32")
    except vgg16.WeightsUnavailable:
        if known["weights_source"] != source(options.weights):
            raise
        return {"layer": options.layer}
    return {key: told[key] for key in ("layer", "weights", "weights_digest", "dense_digest") if key in told}


def _differing(known: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Return the differences of two provenances; weights are compared by content, not by file name."""
    named = ("weights", "weights_source", "onlyone_version", "dimension")
    return [key for key in wanted if key not in named and known.get(key) != wanted[key]]


def source(weights: str) -> str:
    """Return the source of weights, independent of a process's working folder."""
    named = weights in ("imagenet", "untrained")
    return weights if named else str(Path(weights).expanduser().absolute())


def declare(dataset: fo.Dataset, names: FieldNames, provenance: Mapping[str, Any], weights: str) -> None:
    """Create missing fields, clear vectors of another provenance, and write the provenance into the fields' infos.

    Args:
        weights: the weights as requested, to load them again for a query picture
    """
    known, layer = sm.provenance(dataset, names.vectors), provenance["layer"]
    info = {
        **provenance,
        "weights_source": source(weights),
        "dimension": vgg16.LAYERS[layer],
        "onlyone_version": runs.VERSION,
    }
    wanted = (names.vectors, *names.beside, names.sharpness)
    present = [name for name in wanted if dataset.has_sample_field(name)]
    if known == info and len(present) == len(wanted):
        return
    if present and _differing(known, provenance):
        locks.check()
        dataset.delete_sample_fields(present)
    for name, text in names.beside.items():
        sm.declare_field(dataset, name, fo.StringField, text, {"beside": names.vectors})
    declare_sharpness(dataset, names)
    text = f"VGG16 {layer} embeddings ({provenance['weights']} weights)"
    sm.declare_field(dataset, names.vectors, fo.VectorField, text, info)


def declare_sharpness(dataset: fo.Dataset, names: FieldNames, **info: str) -> None:
    """Create the field with the sharpness of the pictures, if need be; ``info`` goes into its info too."""
    text = "Variance of the picture's Laplacian at a long side of 512 pixels; larger is sharper"
    sm.declare_field(dataset, names.sharpness, fo.FloatField, text, {"beside": names.vectors, **info})
