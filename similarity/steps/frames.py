"""The frames of videos as a dataset of pictures."""

import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import fiftyone as fo

from ..data import samples as sm
from ..data.files import with_names
from ..data.frames import FramesDataset, check_videos
from ..data.locks import lock
from ..data.videos import UnreadableVideo, read_clock, require_ffmpeg, write_frames
from ..exports import targets
from ..exports.media import UniqueNames
from ..progress import Progress, silent
from ..result import SkippingResult, count, view_field
from ..search_options import FramesOptions


@dataclass(frozen=True, kw_only=True)
class FramesResult(SkippingResult):
    """The frames that ``frames_from_videos`` took.

    Attributes:
        dataset: name of the dataset of the frames
        output_dir: the folder of their pictures, absolute
        videos: number of videos asked for
        added: how many of them had their frames taken
        up_to_date: of how many the frames were there already
        frames: number of frames that were added
        notes: frames that were chosen otherwise earlier
        view: the dataset of the frames
    """

    thing: ClassVar[str] = "video"

    dataset: str
    output_dir: str
    videos: int
    added: int
    up_to_date: int
    frames: int
    notes: list[str]
    view: fo.Dataset | None = view_field()

    def lines(self) -> list[str]:
        """Return the result in words."""
        return [
            f"{count(self.frames, 'frame')} of {count(self.added, 'video')} added to the dataset {self.dataset!r}. Of "
            f"{count(self.videos, 'video')}, {self.up_to_date:,} had theirs already; {len(self.skipped):,} skipped. The "
            f"pictures are in {self.output_dir}.",
            *self.notes,
        ]


def check(samples: sm.Samples, options: FramesOptions) -> Path:
    """Return the folder for the frames; refuse, before a video is read, samples, a name or a folder that cannot be used.

    Raises:
        ValueError: as :func:`frames` does
    """
    require_ffmpeg()
    check_videos(samples)
    FramesDataset.find(sm.dataset_of(samples), _name(samples, options))
    return targets.folder(options.output_dir)


def chosen_otherwise(samples: sm.Samples, options: FramesOptions) -> list[str]:
    """Say of which videos frames were taken earlier by another choice; they keep those."""
    target, choice = FramesDataset.find(sm.dataset_of(samples), _name(samples, options)), _choice(options)
    earlier = target.videos if target else {}
    others = Counter(earlier.get(sample_id, choice) for sample_id in sm.read(samples)[0])
    return [
        f"{count(number, 'video keeps its', 'videos keep their')} frames, taken earlier at {other}, not at {choice}: give "
        "another frames_dataset to take others."
        for other, number in others.items()
        if other != choice
    ]


def _name(samples: sm.Samples, options: FramesOptions) -> str:
    return options.frames_dataset or f"{sm.dataset_of(samples).name}-frames"


def _choice(options: FramesOptions) -> str:
    most = f", at most {options.max_frames:,}" if options.max_frames else ""
    return f"{options.fps:g} a second{most}"


def frames(samples: sm.Samples, options: FramesOptions, progress: Progress = silent) -> FramesResult:
    """Take frames of the videos whose frames are not in the dataset of frames yet; the videos' dataset stays as it is.

    Killed or cancelled, the videos that were done are there, and the next call does the others.

    Raises:
        ValueError: if ffmpeg is missing, the samples are no videos, or name or folder cannot be used; nothing has been
            written then
        Busy: if another operator takes frames of the dataset's videos
    """
    folder, videos = check(samples, options), sm.dataset_of(samples)
    with lock(videos, "frames"):
        targets.make(folder)
        notes = chosen_otherwise(samples, options)
        target = FramesDataset.of(videos, _name(samples, options))
        done = target.videos
        wanted = sm.read(samples)[0]
        new = [sample_id for sample_id in wanted if sample_id not in done]
        added, skipped = 0, {}
        for number, sample_id in enumerate(new):
            progress("Taking frames", number, len(new))
            try:
                added += _take(videos[sample_id], target, folder, options)
            except UnreadableVideo as error:
                skipped[sample_id] = str(error)
        return FramesResult(
            dataset=target.dataset.name,
            output_dir=str(folder),
            videos=len(wanted),
            added=len(new) - len(skipped),
            up_to_date=len(wanted) - len(new),
            frames=added,
            **with_names(videos, skipped),
            notes=notes,
            view=target.dataset,
        )


def _take(video: fo.Sample, target: FramesDataset, folder: Path, options: FramesOptions) -> int:
    """Take the frames of one video, into a folder of its own that appears with all of them; return their number."""
    clock, stem = read_clock(video.filepath), Path(video.filepath).stem[:50]
    own = folder / UniqueNames(folders=True).name(f"{stem}-{uuid.uuid4().hex[:8]}")
    names, written = UniqueNames(), []
    with targets.Target(own, folder).writing() as partial:
        for index, file in write_frames(video.filepath, partial, clock, options.fps, options.max_frames):
            name = names.name(f"{stem}-{index + 1:06d}.jpg")
            file.rename(partial / name)
            seconds = round(float(clock.times[index] - clock.times[0]), 6)
            written.append((index + 1, seconds, str(own / name)))
        target.write(video, written)
    target.finish(video, _choice(options))
    return len(written)
