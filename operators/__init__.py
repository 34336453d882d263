"""The face: what a person clicks. Forms, progress and messages; nothing is computed or written here."""


def register(plugin):
    """Register every operator and panel with FiftyOne."""
    from . import clusters, embeddings, exports, removal, runs, search, thresholds
    from .panel import panel

    for operator in (
        clusters.FindUniqueSamples,
        embeddings.ComputeEmbeddings,
        search.BuildSimilarityIndex,
        search.SortBySimilarity,
        search.CompareSamples,
        thresholds.SweepThresholds,
        clusters.ClusterDuplicates,
        clusters.KeepFirstPerCluster,
        exports.ExportDeduplicated,
        exports.GroupIntoFolders,
        exports.WriteReport,
        removal.RemoveDuplicates,
        removal.RestoreRemoved,
        runs.DeleteRun,
    ):
        plugin.register(operator)
    plugin.register(panel.DeduplicationPanel)
