"""The saved views of a run."""

from collections.abc import Mapping, Sequence

import fiftyone as fo
from fiftyone import ViewField as F

from . import samples as sm
from . import saved_views
from .runs import Names

_SKIPPED = "Samples that are neither kept nor left out"


def save_clusters(dataset: fo.Dataset, names: Names) -> fo.DatasetView:
    """Save the views of a clustering, and return the view of its clusters."""
    base = sm.everything(dataset)
    clusters = base.match(F(names.cluster) >= 0).group_by(names.cluster, order_by="id")
    views = {
        "clusters": (clusters, "Near-duplicate clusters, one group each"),
        "skipped": (base.match_tags(names.tag("skipped")), _SKIPPED),
    }
    return _save(dataset, names, views)["clusters"]


def save_decision(dataset: fo.Dataset, names: Names, worst: Sequence[str]) -> fo.DatasetView:
    """Save the views of the kept and the left out samples, and return the view of the kept ones.

    A kept sample merged in from another dataset names itself by its former id, and is not shown.

    Args:
        worst: ids of the worst pairs, each dropped sample before its kept one
    """
    base = sm.everything(dataset)
    own = (F(names.kept_id) == F("_id").to_string()) | (F(names.similarity) < 100)
    decided = base.match((F(names.cluster) >= 0) & F(names.kept).exists())
    # A kept one has its own id in the field, and is in one pair; groups are sorted by their first samples.
    pairs, how = base.select(list(worst)), "in one group with it"
    grouped = pairs.group_by(names.kept_id, order_by=names.kept).sort_by(names.similarity)
    if pairs.exists(names.kept_id, False).limit(1).values("id"):  # a reference sample, which has no such id
        grouped, how = base.select(list(worst), ordered=True), "each before it"
    views = {
        "kept": (sm.where(base, names.kept, True).match(own), "The samples to annotate"),
        "duplicates": (sm.where(base, names.kept, False), "The samples that are left out"),
        "clusters": (
            decided.group_by(names.cluster, order_by=names.kept, reverse=True),
            "Near-duplicate clusters, one group each, the kept one first",
        ),
        "worst": (grouped, f"The dropped samples least similar to their kept one, {how}"),
        "skipped": (base.match_tags(names.tag("skipped")), _SKIPPED),
    }
    return _save(dataset, names, views)["kept"]


def save_leaks(dataset: fo.Dataset, names: Names, clusters: Sequence[int]) -> None:
    """Save the view of the clusters that straddle the splits."""
    straddling = sm.everything(dataset).match(F(names.cluster).is_in(list(clusters)))
    grouped = straddling.group_by(names.cluster, order_by="id")
    _save(dataset, names, {"leaks": (grouped, "Clusters that straddle the splits, one group each")})


def _save(
    dataset: fo.Dataset, names: Names, views: Mapping[str, tuple[fo.DatasetView, str]]
) -> dict[str, fo.DatasetView]:
    """Save views that have samples, and delete earlier ones that have none now.

    Returns:
        all of them, the saved ones by their names
    """
    made, earlier = {}, saved_views.marked(dataset, names.mark)
    for word, (view, description) in views.items():
        made[word] = view
        if view.limit(1).count():
            saved_views.save(dataset, names.view(word), view, f"{description} {names.mark}")
            made[word] = dataset.load_saved_view(names.view(word))
        elif names.view(word) in earlier:
            saved_views.delete(dataset, names.view(word))
    return made
