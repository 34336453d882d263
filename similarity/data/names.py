"""Every name that a run may give to a field, a tag or a saved view."""

import re

VIEWS = ("kept", "duplicates", "clusters", "worst", "skipped", "leaks")


class Names:
    """Every name that a run may own, from its run key.

    Attributes:
        run_key: the key
        cluster: field: number of the cluster, -1 = noise, None = not in the run
        kept: field: whether the sample is kept
        kept_id: field: id of the nearest kept sample of its cluster
        similarity: field: similarity in percent to the nearest kept sample
        bytes: fields of a run of copies: digest, size and time, and sharpness, of the files
        fields: all fields that the run writes
        map: Brain run: a map of the run's vectors
        views: all views that the run saves
        mark: the end of the descriptions of the views that the run saved
        tags: regular expression of all tags that the run writes
    """

    def __init__(self, run_key: str):
        self.run_key = run_key
        self.cluster = f"{run_key}_cluster"
        self.kept = f"{run_key}_kept"
        self.kept_id = f"{run_key}_kept_id"
        self.similarity = f"{run_key}_similarity"
        self.bytes = [f"{run_key}_bytes_{word}" for word in ("digest", "file", "sharpness")]
        self.fields = [self.cluster, self.kept, self.kept_id, self.similarity, *self.bytes]
        self.map = f"{run_key}_map"
        self.views = [self.view(word) for word in VIEWS]
        self.mark = f"(OnlyOne run {run_key})"
        self.tags = rf"{re.escape(run_key)}:(?:cluster:\d{{4,}}|noise|duplicate|skipped)"

    def cluster_tag(self, number: int) -> str:
        """Return the tag of the members of a cluster."""
        return f"{self.run_key}:cluster:{number:04d}"

    def tag(self, word: str) -> str:
        """Return tag ``noise``, ``duplicate`` or ``skipped``; or a person's ``keep`` or ``distinct``, which no run owns."""
        return f"{self.run_key}:{word}"

    def view(self, word: str) -> str:
        """Return the name of saved view ``kept``, ``duplicates``, ``clusters``, ``worst``, ``skipped`` or ``leaks``."""
        return f"{self.run_key}-{word}"
