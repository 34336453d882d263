"""The options of every step, declared once.

Forms, Python calls, Brain configs, run records, the panel and the table of docs/operators.md all read these classes.
"""

import math
from dataclasses import dataclass
from typing import Any

from .declare import AUTO, OptionError, Options, confirmation, option, plain, plan_name
from .embed_options import EmbedOptions, RayOptions, VectorsOptions, written
from .engine.vectors import METRICS

MOST_TAGS = 1_000  # the App's sidebar stays usable with so many; the field has all clusters

LIMITS = ("reference", "within", "order_field", "max_gap")
"""Options that restrict which samples are compared."""

VIEW_ORDER, MEDOID, PIXELS, SHARPNESS, LABELS = "view", "medoid", "pixels", "sharpness", "labels"
ORDERS = (VIEW_ORDER, MEDOID, PIXELS, SHARPNESS, LABELS)
DIGEST = "digest"
"""The metric of a run that compared the bytes of files, in place of vectors."""

_RUN_KEY = {
    "pattern": r"(?=.{1,40}$)[a-z][a-z0-9]*(?:_[a-z0-9]+)*",
    "pattern_help": "a lower-case identifier (letters, digits, single underscores between them; at most 40 characters)",
    "picks": "run",
}


@dataclass(frozen=True, kw_only=True)
class RunOptions(Options):
    """The run: its key names the run's fields, tags and saved views."""

    run_key: str = option(
        "dedup",
        "Names this run's fields, tags and saved views, so that several runs live side by side",
        **_RUN_KEY,
    )


@dataclass(frozen=True, kw_only=True)
class ReferenceOptions(RunOptions):
    """The samples of the reference."""

    reference: str | None = option(
        None,
        "Tag, saved view or boolean field of samples that are there already, in the view or not: a new sample within eps of "
        "one is dropped for it; they are never dropped, nor counted. keep_first_per_cluster takes it from the run",
        picks="reference",
    )


@dataclass(frozen=True, kw_only=True)
class SweepOptions(VectorsOptions):
    """Options of ``sweep_thresholds``: all that decides the numbers at an eps, beside eps."""

    metric: str = option(
        "cosine",
        "cosine (1 - cos, on the vectors as they are) or euclidean (eps is then in the vectors' own unit)",
        choices=METRICS,
        advanced=True,
    )
    min_samples: int = option(
        2, "Samples within eps, itself included, that make a core sample", minimum=1, advanced=True
    )


def _distance(similar: str) -> float:
    """Return the cosine distance of a similarity such as "97 %" or "97 % similar"."""
    try:
        share = float(similar.partition("%")[0])
    except ValueError:
        share = math.nan
    if not 0 <= share < 100:
        raise OptionError(
            f"eps must be a similarity below 100 %, such as 97 %, or a distance; got {similar!r}"
        )
    return round(1 - share / 100, 12)


@dataclass(frozen=True, kw_only=True)
class WriteRunOptions(RunOptions):
    """Options of the steps that begin a run, or begin it anew."""

    tag_clusters: int | bool = option(
        MOST_TAGS,
        "Number of clusters that get a tag, the largest first, each of two samples or more; True = 1,000, False = 0",
        minimum=0,
    )
    splits: str | None = option(
        None,
        "Text field with each sample's split, to say which clusters straddle them; empty = the tags train, val, test and "
        "validation",
        advanced=True,
    )
    confirm: bool = confirmation(
        "Take samples of the run that are not in this view out of it; without it, a run that would lose some stays as it is",
        "Yes, take samples that are not in this view out of the run",
        advanced=True,
    )
    plan: str | None = plan_name("the loss that was shown: if it is another one, nothing is changed")

    def __post_init__(self) -> None:
        """Convert True and False to a number of tags."""
        tagged = plain(self.tag_clusters)
        if isinstance(tagged, bool):
            object.__setattr__(self, "tag_clusters", MOST_TAGS if tagged else 0)
        super().__post_init__()


@dataclass(frozen=True, kw_only=True)
class ClusterOptions(RayOptions, WriteRunOptions, ReferenceOptions, SweepOptions):
    """Options of ``cluster_duplicates``."""

    eps: float | str = option(
        AUTO,
        "How alike two neighbors in a cluster are at least: a similarity (97 %), the same as a distance (0.03), or "
        "auto: the threshold that was measured for these weights and this layer. It is not the diameter of a cluster",
        label="Threshold",
        above=0,
        auto=True,
    )
    target: str | None = option(
        None,
        "Keep about this many instead of giving eps: a number of samples (200) or a share of them (10 %)",
        pattern=r"\d+|\d+(?:\.\d+)? ?%",
        pattern_help="a number (200) or a share (10 %)",
    )
    within: str | None = option(
        None,
        "Field, such as the camera, whose values must agree: only samples with the same value are compared",
        picks="fields",
        advanced=True,
    )
    order_field: str | None = option(
        None,
        "Field of max_gap: a date, a time or a number, such as the frame's",
        picks="order",
        advanced=True,
    )
    max_gap: float | None = option(
        None,
        "How far apart in order_field samples may be that are compared: in the field's unit, seconds for dates and times",
        minimum=0,
        advanced=True,
    )

    def __post_init__(self) -> None:
        """Convert a threshold in percent, and refuse two thresholds at once and an incomplete gap."""
        if isinstance(self.eps, str) and self.eps.strip().removesuffix("similar").rstrip().endswith("%"):
            if self.metric != "cosine":
                raise OptionError(
                    f"eps must be a distance where metric is {self.metric!r}; got {self.eps!r}: similarities are cosine's"
                )
            object.__setattr__(self, "eps", _distance(self.eps))
        super().__post_init__()
        if self.eps != AUTO and self.metric == "cosine" and self.eps > 2:
            raise OptionError(
                f"eps must be at most 2, the largest cosine distance; got {self.eps:g}: for {self.eps:g} % similar, write "
                f'"{self.eps:g} %"'
            )
        if self.target is not None and self.eps != AUTO:
            raise OptionError(f"eps ({self.eps}) and target ({self.target!r}) exclude each other: give one")
        if (self.max_gap is None) != (self.order_field is None):
            given, lacks = ("order_field", "max_gap") if self.max_gap is None else ("max_gap", "order_field")
            raise OptionError(f"{given} ({getattr(self, given)!r}) needs {lacks}: give both, or neither")
        limits = [name for name in LIMITS if getattr(self, name) is not None]
        if self.target is not None and limits:
            raise OptionError(
                f"target ({self.target!r}) is found by comparing all samples, which {', '.join(limits)} rules out: give eps"
            )


@dataclass(frozen=True, kw_only=True)
class FirstOptions(RunOptions):
    """The order within a cluster, and the samples kept in any case."""

    order_by: str = option(
        VIEW_ORDER,
        "Who is first in a cluster: view (the view's order; where no stage orders it, the sample id), medoid (smallest "
        "total distance within its cluster), pixels (picture size), sharpness (the sharpest), labels (the most of "
        "label_fields), or a numeric field. Several, with commas, each break the ties of those before: sharpness, pixels",
        picks="numbers",
    )
    descending: bool = option(False, "Largest value first, as sharpness and labels always are")
    prefer_labeled: bool = option(
        True,
        "Prefer samples with labels in label_fields to those without, before order_by",
        picks="annotated",
    )
    label_fields: tuple[str, ...] | None = option(
        None,
        "Label fields that count as annotated; empty = all whose labels have no confidence",
        picks="labels",
        advanced=True,
    )
    protect_fields: tuple[str, ...] | None = option(
        None,
        "Label fields: samples with labels there are always kept, and preferred",
        picks="labels",
        advanced=True,
    )
    protect_tags: tuple[str, ...] | None = option(
        None, "Tags: samples with one of them are always kept, and preferred", picks="tags", advanced=True
    )


@dataclass(frozen=True, kw_only=True)
class KeepOptions(RayOptions, FirstOptions, ReferenceOptions):
    """Options of ``keep_first_per_cluster``."""

    cover: bool = option(
        True,
        "Keep more than one sample of a cluster where needed, so that each dropped one is within eps of a kept one; off: "
        "the first of each cluster only",
    )


@dataclass(frozen=True, kw_only=True)
class CopiesOptions(FirstOptions, WriteRunOptions):
    """Options of ``find_copies``."""

    run_key: str = option(
        "copies", "Names this run's fields, tags and saved views, apart from those of other runs", **_RUN_KEY
    )

    @property
    def embeddings_field(self) -> str:
        """The name in place of other runs' embeddings field: the digests are in the field beside it."""
        return f"{self.run_key}_bytes"

    def recorded(self) -> dict[str, Any]:
        """Return the options and, as in the record of a clustering, the compared fields."""
        return super().recorded() | {"embeddings_field": self.embeddings_field, "metric": DIGEST}


@dataclass(frozen=True, kw_only=True)
class UniqueOptions(KeepOptions, ClusterOptions, EmbedOptions):
    """Options of ``find_unique_samples``: those of embedding, clustering and keeping together."""

    embeddings_field: str = written()
