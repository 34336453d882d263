"""The saved views of a run."""

from collections.abc import Mapping, Sequence

import fiftyone as fo
from fiftyone import ViewField as F

from . import samples as sm
from . import saved_views
from .runs import Names

_SKIPPED = "Samples that are neither kept nor left out"


def save_clusters(dataset: fo.Dataset, names: Names) -> fo.DatasetView:
    """Save the views of a clustering, and return that of its clusters."""
    base = sm.everything(dataset)
    clusters = base.match(F(names.cluster) >= 0).group_by(names.cluster, order_by="id")
    _save(
        dataset,
        names,
        {
            "clusters": (clusters, "Near-duplicate clusters, one group each"),
            "skipped": (base.match_tags(names.tag("skipped")), _SKIPPED),
        },
    )
    return dataset.load_saved_view(names.view("clusters"))


def save_decision(dataset: fo.Dataset, names: Names, worst: Sequence[str]) -> None:
    """Save the views of what is kept and left out.

    Args:
        worst: ids of the worst pairs, each dropped sample before its kept one
    """
    base = sm.everything(dataset)
    decided = base.match((F(names.cluster) >= 0) & F(names.kept).exists())
    _save(
        dataset,
        names,
        {
            "kept": (base.match(F(names.kept) == True), "The samples to annotate"),  # noqa: E712
            "duplicates": (base.match(F(names.kept) == False), "The samples that are left out"),  # noqa: E712
            "clusters": (
                decided.group_by(names.cluster, order_by=names.kept, reverse=True),
                "Near-duplicate clusters, one group each, the kept one first",
            ),
            "worst": (
                base.select(list(worst), ordered=True),
                "The dropped samples least similar to their kept one, each beside it",
            ),
            "skipped": (base.match_tags(names.tag("skipped")), _SKIPPED),
        },
    )


def save_leaks(dataset: fo.Dataset, names: Names, clusters: Sequence[int]) -> None:
    """Save the view of the clusters that straddle the splits; take an earlier one off where none does."""
    if clusters:
        straddling = sm.everything(dataset).match(F(names.cluster).is_in(list(clusters)))
        grouped = straddling.group_by(names.cluster, order_by="id")
        _save(dataset, names, {"leaks": (grouped, "Clusters that straddle the splits, one group each")})
    elif names.view("leaks") in saved_views.marked(dataset, names.mark):
        saved_views.delete(dataset, names.view("leaks"))


def _save(dataset: fo.Dataset, names: Names, views: Mapping[str, tuple[fo.DatasetView, str]]) -> None:
    for word, (view, description) in views.items():
        saved_views.save(dataset, names.view(word), view, f"{description} {names.mark}")
