"""The result of loading annotations."""

from dataclasses import dataclass

from ..data import samples as sm
from ..result import Result, Skipped, count, skipped_table, skipped_words, view_field

COPIED_FROM = "copied_from"
"""The attribute of a copied label that names the sample that it was copied from."""


@dataclass(frozen=True, kw_only=True)
class AnnotationsResult(Result):
    """The labels that ``load_annotations`` wrote, or would write.

    Attributes:
        plan: name of the plan: the same as long as neither the annotations nor the labels of the dataset change
        confirmed: whether it was carried out; else nothing was changed
        export_dir: the folder of the export, absolute
        source: the file or folder that was read
        dataset_type: its format
        label_field, label_type: where the labels go, and the type of the field
        labels, samples: how many labels are written onto how many samples
        empty: how many of these samples show nothing: an empty list of labels says so
        unchanged: how many samples have these labels already
        changed: ids of the samples that have other labels: replaced with ``overwrite``, else kept
        overwrite: as in the options
        meanwhile: ids of the samples whose labels somebody changed while these were loaded: they stay as they are
        copied: how many samples get the classes of the sample that is kept for them
        without_sample: name of a picture in the annotations -> why no sample gets its labels
        not_annotated: sample id -> why a picture of the export has no labels in the annotations
        files: sample id -> its file's name, of the first of these and of the changed ones
        left_out: how many labels were not read as they are, by the reason
        view: the samples that the annotations are of
    """

    plan: str
    confirmed: bool
    export_dir: str
    source: str
    dataset_type: str
    label_field: str
    label_type: str
    labels: int
    samples: int
    empty: int
    unchanged: int
    changed: list[str]
    overwrite: bool
    meanwhile: list[str]
    copied: int
    without_sample: dict[str, str]
    not_annotated: Skipped
    files: dict[str, str]
    left_out: dict[str, int]
    view: sm.Samples | None = view_field()

    def summary(self) -> str:
        """Return the result in words."""
        verb = "were" if self.confirmed else "would be"
        one = "was" if self.confirmed and self.labels == 1 else verb
        lines = [
            f"{count(self.labels, 'label')} {one} written onto {count(self.samples, 'sample')}, into {self.label_field!r} "
            f"({self.label_type}), from {self.source} ({self.dataset_type})."
        ]
        if self.empty:
            lines.append(
                f"{count(self.empty, 'of them shows', 'of them show')} nothing: an empty list of labels means annotated."
            )
        if self.unchanged:
            lines.append(f"{count(self.unchanged, 'sample')} had these labels already.")
        if self.changed:
            fate = f"{verb} replaced" if self.overwrite else "stay as they are (overwrite=True replaces them)"
            lines.append(f"The other labels of {count(len(self.changed), 'sample')} {fate}.")
        if self.meanwhile:
            lines.append(
                f"The labels of {count(len(self.meanwhile), 'sample')} were changed by somebody else meanwhile, and stay as "
                "they are: load the annotations again."
            )
        if self.copied:
            lines.append(
                f"Classes {verb} copied onto {count(self.copied, 'sample')}, marked with {COPIED_FROM}."
            )
        for reason, number in self.left_out.items():
            lines.append(f"Left out: {number:,} {reason}.")
        for whose, found in (
            ("of the annotations without a sample", self.without_sample),
            ("of the export without labels", self.not_annotated),
        ):
            lines += skipped_words(f"{count(len(found), 'picture')} {whose}:", found, "picture")
        if not self.confirmed and self.samples + self.copied:
            lines += ["", "Nothing has been changed. Confirm to write them (confirm=True)."]
        return "\n".join(lines)

    def tables(self) -> dict[str, list[dict[str, str]]]:
        """Return the names without a sample, the pictures without an annotation, and the samples with other labels."""
        changed = dict.fromkeys(self.changed, "replaced" if self.overwrite else "kept")
        meanwhile = dict.fromkeys(self.meanwhile, "changed meanwhile, and kept")
        return (
            skipped_table(self.without_sample, {}, "without_sample")
            | skipped_table(self.not_annotated, self.files, "not_annotated")
            | skipped_table(changed, self.files, "other_labels")
            | skipped_table(meanwhile, self.files, "changed_meanwhile")
        )
