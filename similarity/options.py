"""The options of every step, declared once.

Forms, Python calls, Brain configs, run records, the panel and the table of docs/operators.md all read these classes.
"""

from dataclasses import dataclass
from typing import Any

from .declare import AUTO, OptionError, Options, option
from .engine.images import MAX_PIXELS
from .engine.vectors import METRICS
from .engine.vgg16 import DEFAULT_LAYER, LAYERS, PRECISIONS

VIEW_ORDER, MEDOID, PIXELS = "view", "medoid", "pixels"

_FIELD = {
    "pattern": r"[A-Za-z_][A-Za-z0-9_]*",
    "pattern_help": "a name (letters, digits and underscores, not beginning with a digit)",
}


@dataclass(frozen=True, kw_only=True)
class VectorsOptions(Options):
    """Where the vectors are."""

    embeddings_field: str = option(
        "vgg16", "Field with the vectors: ours, or any vector field of the dataset", picks="vectors", **_FIELD
    )


@dataclass(frozen=True, kw_only=True)
class RunOptions(Options):
    """Which run: its key names the run's fields, tags and saved views."""

    run_key: str = option(
        "dedup",
        "Names this run's fields, tags and saved views, so that several runs live side by side",
        pattern=r"(?=.{1,40}$)[a-z][a-z0-9]*(?:_[a-z0-9]+)*",
        pattern_help="a lower-case identifier (letters, digits, single underscores between them; at most 40 characters)",
        picks="run",
    )


@dataclass(frozen=True, kw_only=True)
class RayOptions(Options):
    """Where the work is done."""

    ray: str | None = option(
        None,
        "Address of a Ray cluster to work on: ray://host:10001, host:port, or auto for the one that this machine belongs "
        "to; empty = ONLYONE_RAY, or this machine",
        pattern=r"auto|(?:ray://)?[^\s:/]+:\d+",
        pattern_help="ray://host:port, host:port or auto",
        advanced=True,
    )


def _written() -> Any:
    help_text = "Field that receives the vectors; a new one, or one that compute_embeddings wrote before"
    return option("vgg16", help_text, picks="vectors", **_FIELD)


@dataclass(frozen=True, kw_only=True)
class EmbedOptions(RayOptions, VectorsOptions):
    """Options of ``compute_embeddings``."""

    embeddings_field: str = _written()
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
        False, "Embed again what is up to date already, and files that ended an earlier run", advanced=True
    )
    pictures: str = option(
        "shared",
        "How the nodes of a Ray cluster get the pictures: shared (they see the same folders) or send (this machine sends "
        "them)",
        choices=("shared", "send"),
        advanced=True,
    )


@dataclass(frozen=True, kw_only=True)
class IndexOptions(VectorsOptions):
    """Options of ``build_similarity_index``."""

    brain_key: str = option(
        "vgg16_annoy",
        "Name of the similarity index, as the App's similarity search lists it",
        picks="brain",
        **_FIELD,
    )
    n_trees: int = option(
        50, "Trees in the Annoy forest; more are more exact", minimum=1, maximum=1000, advanced=True
    )
    search_k: int = option(
        -1,
        "Nodes that a search inspects; more are more exact; -1 = chosen so that the measured recall is high",
        minimum=-1,
        advanced=True,
    )
    seed: int = option(51, "Seed of the forest", minimum=0, maximum=2**31 - 1, advanced=True)


@dataclass(frozen=True, kw_only=True)
class SortOptions(Options):
    """Options of ``sort_by_similarity``."""

    brain_key: str = option("vgg16_annoy", "Similarity index to search in", picks="brain", **_FIELD)
    k: int = option(25, "How many neighbors to show", minimum=1, maximum=100_000)
    similarity_field: str = option(
        "similarity", "Field that receives each shown sample's similarity in percent", advanced=True, **_FIELD
    )
    picture: str | None = option(
        None,
        "Path of a picture to search for, instead of the selected samples; it need not be in the dataset",
        picks="picture",
    )


@dataclass(frozen=True, kw_only=True)
class CompareOptions(VectorsOptions):
    """Options of ``compare_samples``."""


@dataclass(frozen=True, kw_only=True)
class SweepOptions(VectorsOptions):
    """Options of ``sweep_thresholds``: what the numbers at an eps depend on, beside eps."""

    metric: str = option(
        "cosine",
        "cosine (1 - cos, on the vectors as they are) or euclidean (eps is then in the vectors' own unit)",
        choices=METRICS,
        advanced=True,
    )
    min_samples: int = option(
        2, "Samples within eps, itself included, that make a core sample", minimum=1, advanced=True
    )


@dataclass(frozen=True, kw_only=True)
class ClusterOptions(RayOptions, RunOptions, SweepOptions):
    """Options of ``cluster_duplicates``."""

    eps: float | str = option(
        AUTO,
        "Largest distance between two neighboring samples of a cluster: a number (0.03 = 97 % similar), or auto: the "
        "threshold that was measured for these weights and this layer. It is not the diameter of a cluster",
        above=0,
        auto=True,
    )
    target: str | None = option(
        None,
        "Keep about this many instead of giving eps: a number of samples (200) or a share of them (10 %)",
        pattern=r"\d+|\d+(?:\.\d+)? ?%",
        pattern_help="a number (200) or a share (10 %)",
    )
    tag_clusters: bool = option(
        True, "Write clusters of two or more samples as tags, the largest 1,000 at most"
    )
    confirm: bool = option(
        False,
        "Take samples of the run that are not in this view out of it; without it, a run that would lose some stays as it is",
        label="Yes, take samples that are not in this view out of the run",
        advanced=True,
    )
    plan: str | None = option(
        None, "Name of the loss that was shown: if it is another one, nothing is changed", advanced=True
    )

    def __post_init__(self) -> None:
        """Refuse two ways to choose the threshold at once."""
        super().__post_init__()
        if self.target is not None and self.eps != AUTO:
            raise OptionError(f"eps ({self.eps}) and target ({self.target!r}) exclude each other: give one")


@dataclass(frozen=True, kw_only=True)
class KeepOptions(RayOptions, RunOptions):
    """Options of ``keep_first_per_cluster``."""

    order_by: str = option(
        VIEW_ORDER,
        "Who is first in a cluster: view (the view's order; where no stage orders it, the sample id), medoid (smallest "
        "total distance within its cluster), pixels (picture size), or a numeric field",
        picks="numbers",
    )
    descending: bool = option(False, "Largest value first")
    protect_fields: tuple[str, ...] | None = option(
        None,
        "Label fields: samples with labels there are always kept, and preferred",
        picks="labels",
        advanced=True,
    )
    protect_tags: tuple[str, ...] | None = option(
        None, "Tags: samples with one of them are always kept, and preferred", picks="tags", advanced=True
    )
    cover: bool = option(
        True,
        "Keep more than one sample of a cluster where needed, so that each dropped one is within eps of a kept one; off: "
        "the first of each cluster only",
    )


@dataclass(frozen=True, kw_only=True)
class UniqueOptions(KeepOptions, ClusterOptions, EmbedOptions):
    """Options of ``find_unique_samples``: those of embedding, clustering and keeping together."""

    embeddings_field: str = _written()
