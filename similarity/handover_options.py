"""The options of the steps that hand a run's decision on: exports, reports, removal, and the end of the run."""

from dataclasses import dataclass

from .declare import REQUIRED, OptionError, confirmation, option, plan_name
from .embed_options import NAME
from .options import RunOptions

KEEP_FILES, TRASH = "keep", "trash"

EXPORT_FORMATS = (
    "ImageDirectory",
    "COCODetectionDataset",
    "YOLOv5Dataset",
    "CVATImageDataset",
    "CSVDataset",
    "FiftyOneDataset",
    "ImageClassificationDirectoryTree",
)
ANNOTATED_FORMATS = (
    "COCODetectionDataset",
    "YOLOv5Dataset",
    "CVATImageDataset",
    "FiftyOneDataset",
    "ImageClassificationDirectoryTree",
)
LABEL_TYPES = ("Classification", "Classifications", "Detections", "Polylines", "Keypoints")


@dataclass(frozen=True, kw_only=True)
class ReportOptions(RunOptions):
    """Options of ``write_report``."""

    export_dir: str = option(REQUIRED, "Folder to write into; it must be new or empty", picks="folder")
    price: float | None = option(None, "Price of annotating one picture, for the report's savings", minimum=0)
    currency: str = option(
        "USD", "Currency of the price", pattern=r".{1,12}", pattern_help="a short text", advanced=True
    )


@dataclass(frozen=True, kw_only=True)
class ExportOptions(ReportOptions):
    """Options of ``export_deduplicated``."""

    dataset_type: str = option("ImageDirectory", "Format of the export", choices=EXPORT_FORMATS)
    label_field: str | None = option(None, "Label field to export; empty = no labels", picks="labels")
    classes: tuple[str, ...] | None = option(
        None,
        "Classes in the order of their numbers (YOLO and COCO); empty = the dataset's list, or all that occur in it, sorted",
        advanced=True,
    )
    media: str = option(
        "copy",
        "copy, symlink, or none: whether the pictures are copied, linked, or only named",
        choices=("copy", "symlink", "none"),
    )


@dataclass(frozen=True, kw_only=True)
class FoldersOptions(RunOptions):
    """Options of ``group_into_folders``."""

    export_dir: str = option(REQUIRED, "Folder to write into; it must be new or empty", picks="folder")
    media: str = option(
        "copy",
        "copy, hardlink or symlink: how a picture gets into its folder",
        choices=("copy", "hardlink", "symlink"),
    )


@dataclass(frozen=True, kw_only=True)
class RemoveOptions(RunOptions):
    """Options of ``remove_duplicates``."""

    files: str = option(
        KEEP_FILES,
        "keep or trash: whether the files of removed samples stay where they are, or go to the system's trash",
        choices=(KEEP_FILES, TRASH),
    )
    confirm: bool = confirmation(
        "Remove them now; without it, only the plan is shown", "Yes, take these samples out of the dataset"
    )
    plan: str | None = plan_name(
        "the plan that was looked at: if the run was done again since, nothing is removed"
    )


@dataclass(frozen=True, kw_only=True)
class RestoreOptions(RunOptions):
    """Options of ``restore_removed``."""


@dataclass(frozen=True, kw_only=True)
class DeleteRunOptions(RunOptions):
    """Options of ``delete_run``."""

    confirm: bool = confirmation(
        "Delete it now; without it, only the plan is shown",
        "Yes, delete this run's fields, tags, saved views and record",
    )
    plan: str | None = plan_name(
        "the plan that was looked at: if the run has changed since, nothing is deleted"
    )


@dataclass(frozen=True, kw_only=True)
class SplitOptions(RunOptions):
    """Options of ``split_by_cluster``."""

    train: float = option(0.8, "Share of the samples that get the tag train", minimum=0, maximum=1)
    val: float = option(0.1, "Share of the samples that get the tag val", minimum=0, maximum=1)
    test: float = option(0.1, "Share of the samples that get the tag test", minimum=0, maximum=1)
    seed: int = option(51, "Seed of the choice between clusters of one size", minimum=0, maximum=2**31 - 1)
    stratify: str | None = option(
        None, "Field of classifications whose classes keep their shares in each split", picks="labels"
    )
    confirm: bool = confirmation(
        "Replace the tags train, val, test and validation that samples have already; without it, nothing is changed then",
        "Yes, replace the split tags that are there",
        advanced=True,
    )
    plan: str | None = plan_name("the tags that were shown: if there are others, nothing is changed")

    def __post_init__(self) -> None:
        """Refuse shares that do not add up."""
        super().__post_init__()
        total = self.train + self.val + self.test
        if abs(total - 1) > 1e-6:
            raise OptionError(
                f"train, val and test ({self.train}, {self.val}, {self.test}) add up to {total:.6g}: they must add up to 1"
            )


@dataclass(frozen=True, kw_only=True)
class AnnotationsOptions(RunOptions):
    """Options of ``load_annotations``."""

    export_dir: str = option(
        REQUIRED,
        "Folder that export_deduplicated wrote: its manifest says which picture is which sample",
        picks="path",
    )
    label_field: str = option(
        REQUIRED,
        "Label field that receives the labels: a new one, or one of their type",
        picks="labels",
        **NAME,
    )
    labels_path: str | None = option(
        None,
        "File or folder that the annotation tool gave; empty = the labels lie in the export itself",
        picks="path",
    )
    dataset_type: str | None = option(
        None,
        "Format of the annotations; empty = recognised by the files",
        choices=ANNOTATED_FORMATS,
        advanced=True,
    )
    label_type: str | None = option(
        None,
        "Type of a new label field; needed where the annotations hold several, of which one is loaded",
        choices=LABEL_TYPES,
        advanced=True,
    )
    overwrite: bool = option(
        False, "Replace labels that samples have in this field; off: they stay, and are counted"
    )
    copy_labels: bool = option(
        False,
        "Copy classes onto the samples without labels that a kept one stands for, marked with copied_from. Never boxes: "
        "between two pictures that are nearly alike, cars move",
        advanced=True,
    )
    confirm: bool = confirmation(
        "Write the labels now; without it, only the plan is shown", "Yes, write these labels"
    )
    plan: str | None = plan_name(
        "the plan that was looked at: if annotations or labels have changed since, nothing is written"
    )
