"""The options of searching and comparing, and of writing frames of videos."""

from dataclasses import dataclass

from .declare import REQUIRED, OptionError, Options, option
from .embed_options import NAME, VectorsOptions


@dataclass(frozen=True, kw_only=True)
class IndexOptions(VectorsOptions):
    """Options of ``build_similarity_index``."""

    brain_key: str = option(
        "vgg16_annoy",
        "Name of the similarity index, as the App's similarity search lists it",
        picks="brain",
        **NAME,
    )
    n_trees: int = option(
        50, "Trees in the Annoy forest; more are more exact", minimum=1, maximum=1000, advanced=True
    )
    search_k: int = option(
        -1,
        "Nodes that a search inspects; more are more exact; -1 = chosen so that the measured recall is high",
        minimum=-1,
        advanced=True,
    )
    seed: int = option(51, "Seed of the forest", minimum=0, maximum=2**31 - 1, advanced=True)

    def __post_init__(self) -> None:
        """Refuse a search that inspects nothing."""
        super().__post_init__()
        if self.search_k == 0:
            raise OptionError("search_k must be at least 1, or -1 to have it chosen, got 0")


@dataclass(frozen=True, kw_only=True)
class SortOptions(Options):
    """Options of ``sort_by_similarity``."""

    brain_key: str = option("vgg16_annoy", "Similarity index to search in", picks="brain", **NAME)
    k: int = option(25, "How many neighbors to show", minimum=1, maximum=100_000)
    similarity_field: str = option(
        "similarity",
        "Field that has the similarity in percent, in the view alone, of the 1,000 nearest",
        advanced=True,
        **NAME,
    )
    picture: str | None = option(
        None,
        "Path of a picture to search for, instead of the selected samples; it need not be in the dataset",
        picks="picture",
    )


@dataclass(frozen=True, kw_only=True)
class CompareOptions(VectorsOptions):
    """Options of ``compare_samples``."""


@dataclass(frozen=True, kw_only=True)
class FramesOptions(Options):
    """Options of ``frames_from_videos``."""

    output_dir: str = option(
        REQUIRED, "Folder for the pictures; each video gets a folder of its own in it", picks="place"
    )
    fps: float = option(
        1.0,
        "Frames a second to take; as many as a video has or more = every frame of it",
        label="Frames per second",
        above=0,
    )
    max_frames: int | None = option(
        None, "Most frames of one video, evenly spread over its time; empty = no bound", minimum=1
    )
    frames_dataset: str | None = option(
        None,
        "Name of the dataset of the frames, a new one or an earlier one; empty = the videos' with -frames",
    )
