"""The result of ``keep_first_per_cluster``: the kept samples, and the proof for each dropped one."""

from dataclasses import dataclass

import fiftyone as fo

from ..result import Result, Skipped, count, percent, resemblance, skipped_lines, skipped_table, view_field
from .pairs import Dropped, rows


@dataclass(frozen=True, kw_only=True)
class KeepResult(Result):
    """The decision of ``keep_first_per_cluster``.

    Attributes:
        run_key: the run
        samples: number of samples asked for: kept + dropped + skipped; without those of the reference, as all numbers are
        clusters, noise: how many of each are among them
        kept, dropped: how many
        reference: number of samples of the reference that they were compared with; None without a reference
        resembling: how many of the dropped ones are dropped for one of these
        kept_with_cover, kept_without_cover: how many are kept if each dropped sample is to be within eps of a kept
            one, and if one of each cluster is enough; ``kept`` is one of the two
        skipped: sample id -> why it is neither kept nor dropped
        protected: how many samples are kept because they are protected
        by_hand: how many are kept because a person tagged them so
        label_fields: the label fields that count as annotated
        labelled, labelled_dropped: how many samples have labels there, and how many of them are dropped all the same
        labelled_pairs: the first of these, the least similar to their kept one first
        eps, metric: of the clustering
        worst: the dropped samples least similar to their kept one, at most one of each kept one, the worst first
        files: sample id -> its file's name, of those in ``worst`` and ``identical_pairs``, and the first of the labelled
            and skipped ones
        worst_similarity: the smallest similarity in percent; None where nothing is dropped
        copies: how many dropped samples are copies of their kept one, byte by byte
        identical: how many others have its vector, but for rounding: identical to the model, not known to be copies
        identical_pairs: the first of these
        beyond_eps: how many dropped samples are farther than eps from every kept one of their cluster
        largest_share: share of the samples in the largest cluster, in [0, 1]
        warnings: findings that a person should look at first
        notes: further findings
        engine: where the vectors were compared, if a Ray cluster was asked for
        view: the kept samples
    """

    run_key: str
    samples: int
    clusters: int
    noise: int
    kept: int
    dropped: int
    reference: int | None
    resembling: int
    kept_with_cover: int
    kept_without_cover: int
    skipped: Skipped
    protected: int
    by_hand: int
    label_fields: list[str]
    labelled: int
    labelled_dropped: int
    labelled_pairs: list[Dropped]
    eps: float
    metric: str
    worst: list[Dropped]
    files: dict[str, str]
    worst_similarity: float | None
    copies: int
    identical: int
    identical_pairs: list[Dropped]
    beyond_eps: int
    largest_share: float
    warnings: list[str]
    notes: list[str]
    engine: str | None = None
    view: fo.DatasetView | None = view_field()

    def summary(self) -> str:
        """Return the result in words."""
        share = percent(self.kept, self.samples)
        if self.reference is None:
            head = f"{count(self.samples, 'sample')}, {count(self.clusters, 'cluster')}, {self.kept:,} kept: "
            head += f"{share} to annotate."
        else:
            known = resemblance(self.resembling, self.reference)
            head = f"{self.kept:,} of {count(self.samples, 'new sample')} to annotate ({share}); {known}."
        lines = [*self.warnings, f"{head} {self.dropped:,} dropped, {len(self.skipped):,} skipped."]
        if self.by_hand:
            lines.append(f"Kept by hand: {count(self.by_hand, 'sample')}.")
        if self.worst_similarity is not None:
            lines.append(
                f"The least similar dropped sample is {self.worst_similarity:.2f} % similar to its kept one."
            )
        if self.copies:
            lines.append(
                f"Byte by byte, {count(self.copies, 'dropped sample equals its', 'dropped samples equal their')} kept one."
            )
        if self.identical:
            lines.append(
                f"To the model, {count(self.identical, 'more is', 'more are')} identical to the kept one, without being "
                "known as copies: look at them before anything is deleted."
            )
        lines += self.notes
        if self.engine:
            lines.append(f"Compared on {self.engine}.")
        if self.skipped:
            lines += ["", "Skipped:", *skipped_lines(self.skipped)]
        return "\n".join(lines)

    def tables(self) -> dict[str, list[dict[str, str]]]:
        """Return the tables of dropped samples: the least similar, the labelled ones, and those equal to the model alone."""
        tables = {"worst_pairs": rows(self.worst, self.files)}
        if self.identical_pairs:
            tables["identical_pairs"] = rows(self.identical_pairs, self.files)
        if self.labelled_pairs:
            tables["labelled_pairs"] = rows(self.labelled_pairs, self.files)
        return tables | skipped_table(self.skipped, self.files)
