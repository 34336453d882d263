"""A person's decisions about single samples: two tags of a run's name, which no run writes or removes."""

import fiftyone as fo

from ..result import count
from ..workflow import KEEP
from . import samples as sm
from .names import Names

FIRST, DISTINCT = "keep", "distinct"


def tagged(dataset: fo.Dataset, run_key: str) -> tuple[set[str], set[str]]:
    """Return the ids of the samples that are kept and first by hand, and of all samples kept by hand."""
    samples, names = sm.everything(dataset), Names(run_key)
    first = set(samples.match_tags(names.tag(FIRST)).values("id"))
    return first, first | set(samples.match_tags(names.tag(DISTINCT)).values("id"))


def require_heeded(dataset: fo.Dataset, run_key: str) -> None:
    """Refuse to hand on a decision that leaves out a sample that a person has decided to keep since.

    Raises:
        ValueError: if there is one
    """
    names = Names(run_key)
    chosen = sm.everything(dataset).match_tags([names.tag(FIRST), names.tag(DISTINCT)])
    left_out = sm.where(chosen, names.kept, False).count()
    if left_out:
        raise ValueError(
            f"The run {run_key!r} leaves out {count(left_out, 'sample')} tagged {names.tag(FIRST)} or {names.tag(DISTINCT)} "
            f"since: run {KEEP.operator} again"
        )
