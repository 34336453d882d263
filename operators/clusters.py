"""Operators that group near-duplicates and choose what stays."""

from ..similarity.options import ClusterOptions, KeepOptions, UniqueOptions
from ..similarity.steps.cluster import cluster
from ..similarity.steps.keep import keep
from ..similarity.steps.unique import find_unique
from .base import StepOperator


class ClusterDuplicates(StepOperator):
    """Near-duplicate clusters (DBSCAN) as a field and tags, with their numbers, sizes and members."""

    name = "cluster_duplicates"
    label = "Cluster duplicates"
    icon = "bubble_chart"
    options = ClusterOptions
    step = staticmethod(cluster)


class KeepFirstPerCluster(StepOperator):
    """Which sample is kept for which: the deduplicated view, saved."""

    name = "keep_first_per_cluster"
    label = "Keep first per cluster"
    icon = "filter_1"
    options = KeepOptions
    step = staticmethod(keep)
    opens_view = True


class FindUniqueSamples(StepOperator):
    """Embed, cluster and keep in one go; deletes nothing."""

    name = "find_unique_samples"
    label = "Find unique samples (deletes nothing)"
    icon = "filter_none"
    options = UniqueOptions
    step = staticmethod(find_unique)
    asks = ("weights", "eps")
    opens_view = True
    button = "Find unique samples (OnlyOne)"
