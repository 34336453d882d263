"""Every name that a run may give to a field, a tag or a saved view."""

import re
from dataclasses import dataclass

VIEWS = ("kept", "duplicates", "clusters", "worst", "skipped", "leaks")


@dataclass(frozen=True)
class Names:
    """Every name that a run may own, from its run key."""

    run_key: str

    @property
    def cluster(self) -> str:
        """Field: number of the cluster, -1 = noise, None = not in the run."""
        return f"{self.run_key}_cluster"

    @property
    def kept(self) -> str:
        """Field: whether the sample is kept."""
        return f"{self.run_key}_kept"

    @property
    def kept_id(self) -> str:
        """Field: id of the nearest kept sample of its cluster."""
        return f"{self.run_key}_kept_id"

    @property
    def similarity(self) -> str:
        """Field: similarity in percent to the nearest kept sample."""
        return f"{self.run_key}_similarity"

    @property
    def map(self) -> str:
        """Brain run: a map of the run's vectors."""
        return f"{self.run_key}_map"

    def cluster_tag(self, number: int) -> str:
        """Return the tag of the members of a cluster."""
        return f"{self.run_key}:cluster:{number:04d}"

    def tag(self, word: str) -> str:
        """Return tag ``noise``, ``duplicate`` or ``skipped``; or a person's ``keep`` or ``distinct``, which no run owns."""
        return f"{self.run_key}:{word}"

    def view(self, word: str) -> str:
        """Return the name of saved view ``kept``, ``duplicates``, ``clusters``, ``worst``, ``skipped`` or ``leaks``."""
        return f"{self.run_key}-{word}"

    @property
    def bytes(self) -> list[str]:
        """Fields of a run of copies: digest, size and time, and sharpness, of the files."""
        return [f"{self.run_key}_bytes_{word}" for word in ("digest", "file", "sharpness")]

    @property
    def fields(self) -> list[str]:
        """All fields that the run writes."""
        return [self.cluster, self.kept, self.kept_id, self.similarity, *self.bytes]

    @property
    def views(self) -> list[str]:
        """All views that the run saves."""
        return [self.view(word) for word in VIEWS]

    @property
    def mark(self) -> str:
        """The end of the descriptions of the views that the run saved."""
        return f"(OnlyOne run {self.run_key})"

    @property
    def tags(self) -> str:
        """Regular expression of all tags that the run writes."""
        return rf"{re.escape(self.run_key)}:(?:cluster:\d{{4,}}|noise|duplicate|skipped)"
