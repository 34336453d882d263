"""The options of embedding: the vectors' field, their provenance, and the cluster."""

from dataclasses import dataclass
from typing import Any

from .declare import Options, option
from .engine.images import MAX_PIXELS
from .engine.vgg16 import DEFAULT_LAYER, LAYERS, PRECISIONS

NAME = {
    "pattern": r"[A-Za-z_][A-Za-z0-9_]*",
    "pattern_help": "a name (letters, digits and underscores, not beginning with a digit)",
}


@dataclass(frozen=True, kw_only=True)
class VectorsOptions(Options):
    """The field of the vectors."""

    embeddings_field: str = option(
        "vgg16", "Field with the vectors: ours, or any vector field of the dataset", picks="vectors", **NAME
    )


@dataclass(frozen=True, kw_only=True)
class RayOptions(Options):
    """The cluster that does the work."""

    ray: str | None = option(
        None,
        "Address of a Ray cluster to work on: ray://host:10001, host:port, or auto for the one that this machine belongs "
        "to; empty = ONLYONE_RAY, or this machine",
        pattern=r"auto|(?:ray://)?[^\s:/]+:\d+",
        pattern_help="ray://host:port, host:port or auto",
        advanced=True,
    )


def written() -> Any:
    """Declare the field that receives vectors."""
    help_text = "Field that receives the vectors; a new one, or one that compute_embeddings wrote before"
    return option("vgg16", help_text, picks="vectors", **NAME)


@dataclass(frozen=True, kw_only=True)
class EmbedOptions(RayOptions, VectorsOptions):
    """Options of ``compute_embeddings``."""

    embeddings_field: str = written()
    layer: str = option(
        DEFAULT_LAYER,
        "VGG16 layer whose values are compared; the default tells best which pictures show the same",
        choices=tuple(LAYERS),
    )
    weights: str = option(
        "imagenet",
        "imagenet (Keras's own file, downloaded once and checked), a path to a weights file, or untrained (offline trials)",
        picks="weights",
    )
    precision: str = option(
        "auto",
        "auto (bfloat16 where the CPU has it) or float32; one field never mixes precisions",
        choices=PRECISIONS,
        advanced=True,
    )
    max_pixels: int = option(
        MAX_PIXELS, "Largest picture that is decoded, in pixels of the file", minimum=1, advanced=True
    )
    recompute: bool = option(
        False, "Embed up-to-date samples again, and files that ended an earlier run", advanced=True
    )
    pictures: str = option(
        "shared",
        "How the nodes of a Ray cluster get the pictures: shared (they see the same folders) or send (this machine sends "
        "them)",
        choices=("shared", "send"),
        advanced=True,
    )
