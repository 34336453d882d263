"""The steps from pictures to a smaller dataset, in their order, with their operators and the steps that they need."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        name: its key in the record of a run, for the steps that a run records
        operator: name of the operator that does it
        needs: the step that must be done before; None if none
        optional: whether the other steps work without it
    """

    name: str
    operator: str
    needs: "Step | None" = None
    optional: bool = False


EMBED = Step("embed", "compute_embeddings")
INDEX = Step("index", "build_similarity_index", EMBED, optional=True)
CLUSTER = Step("cluster", "cluster_duplicates", EMBED)
COPIES = Step("cluster", "find_copies")  # takes the place of the clustering in the record
KEEP = Step("keep", "keep_first_per_cluster", CLUSTER)
EXPORT = Step("export", "export_deduplicated", KEEP)
REMOVE = Step("remove", "remove_duplicates", KEEP, optional=True)

STEPS = (EMBED, INDEX, CLUSTER, KEEP, EXPORT, REMOVE)
RECORDED = (CLUSTER, KEEP)
"""The steps whose results are in the record of a run."""
