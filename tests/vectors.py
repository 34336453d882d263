"""Vectors whose distances can be read off, and what a dataset looks like from outside."""

from hashlib import blake2b

import numpy as np

from tests import support

import fiftyone as fo  # isort: skip

NEAR = 1 - np.cos(np.radians(1.5))
"""A cosine distance within which two directions are neighbors that are at most 1.5 degrees apart."""


def directions(*degrees):
    """Unit vectors ``(n, 2)`` in these directions, in float32."""
    radians = np.radians(degrees)
    return np.column_stack([np.cos(radians), np.sin(radians)]).astype(np.float32)


def declare_as_ours(dataset, field="vgg16", **changes):
    """Let a field's vectors look as if compute_embeddings had made them with untrained weights."""
    samples, vgg16 = (support.plugin(f"similarity.{name}") for name in ("data.samples", "engine.vgg16"))
    told = vgg16.provenance(weights="untrained", precision="float32") | changes
    samples.declare_field(dataset, field, fo.VectorField, "vectors", told)


def documents(dataset, *, without=("last_modified_at",)):
    """Every sample as the database has it, by id, without time stamps; of stored vectors their digest."""
    return {
        str(document.pop("_id")): {
            key: _short(value) for key, value in document.items() if key not in without
        }
        for document in dataset._sample_collection.find().sort("_id")
    }


def _short(value):
    return blake2b(value, digest_size=8).hexdigest() if isinstance(value, bytes) else value


def tags(dataset):
    """The tags of each sample, sorted, in the order of the ids."""
    return [sorted(found) for _, found in sorted(zip(*dataset.values(["id", "tags"]), strict=True))]


def column(dataset, field):
    """A field's values in the order of the sample ids."""
    return [
        value for _, value in sorted(zip(*dataset.values(["id", field]), strict=True), key=lambda p: p[0])
    ]
