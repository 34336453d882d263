"""The dataset of the frames of a dataset's videos."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import fiftyone as fo
import fiftyone.core.fields as fof
import fiftyone.core.media as fom
from fiftyone.core.collections import SampleCollection as Samples
from fiftyone.core.frame import get_default_frame_fields

from . import locks
from . import samples as sm

VIDEO, VIDEO_ID, FRAME, SECONDS = "video", "video_id", "frame_number", "seconds"

_FIELDS: dict[str, tuple[type[fof.Field], str]] = {
    VIDEO_ID: (fo.StringField, "Id of the video's sample"),  # first: it identifies the dataset
    VIDEO: (fo.StringField, "The video that the frame is of"),
    FRAME: (fo.IntField, "Number of the frame in the video; the first one's is 1"),
    SECONDS: (fo.FloatField, "Time of the frame, in seconds after the first one"),
}


def check_videos(samples: Samples) -> None:
    """Refuse a collection other than of whole videos.

    Raises:
        ValueError: names the remedy
    """
    if samples.media_type != fom.VIDEO or samples._is_clips:
        raise ValueError(
            f"Frames are taken of whole videos, and these samples are "
            f"{'clips' if samples.media_type == fom.VIDEO else f'of media type {samples.media_type!r}'}: choose a dataset "
            "of videos, or a view of one (of a grouped dataset, view.select_group_slices(media_type='video'))"
        )


def hold_frames(samples: Samples) -> bool:
    """Return whether samples are frames, in the fields that :class:`FramesDataset` made."""
    return all("frames_of" in sm.provenance(samples, name) for name in _FIELDS)


@dataclass(frozen=True)
class FramesDataset:
    """A dataset of pictures with the frames of another dataset's videos.

    The info of the field with the videos' ids lists the complete videos, with the choice of their frames: of the others, an
    earlier process may have written a part of the frames.

    """

    dataset: fo.Dataset

    @classmethod
    def find(cls, videos: fo.Dataset, name: str) -> "FramesDataset | None":
        """Open the dataset; None if there is none.

        Raises:
            ValueError: if there is another dataset of that name
        """
        if not fo.dataset_exists(name):
            return None
        found = fo.load_dataset(name)
        found.reload()
        if sm.provenance(found, VIDEO_ID).get("frames_of") != str(videos._doc.id):
            raise ValueError(
                f"The dataset {name!r} exists and does not hold the frames of {videos.name!r}: give another name"
            )
        return cls(found)

    @classmethod
    def of(cls, videos: fo.Dataset, name: str) -> "FramesDataset":
        """Open the dataset, or make it, persistent.

        Raises:
            ValueError: if there is another dataset of that name
        """
        locks.check()
        info, there = {"frames_of": str(videos._doc.id)}, cls.find(videos, name)
        if there is not None:
            found = there.dataset
        else:
            found = fo.Dataset(name, persistent=True)
            found.media_type = fom.IMAGE
        for field, (kind, description) in _FIELDS.items():
            if not sm.provenance(found, field):
                sm.declare_field(found, field, kind, description, info)
        return cls(found)

    @property
    def videos(self) -> dict[str, str]:
        """Id -> choice of its frames, of the videos whose frames are all written."""
        return dict(sm.provenance(self.dataset, VIDEO_ID).get("videos", {}))

    def write(self, video: fo.Sample, frames: Iterable[tuple[int, float, str]]) -> None:
        """Write the frames of a video, in place of a part written by an earlier process.

        Args:
            frames: number, seconds and picture of each
        """
        locks.check()
        self.dataset.delete_samples(self.dataset.match(fo.ViewField(VIDEO_ID) == video.id))
        for chunk in sm.chunks(list(frames)):
            locks.check()
            self.dataset.add_samples(
                [
                    fo.Sample(
                        filepath=picture,
                        tags=video.tags,
                        **_labels(video, number),
                        **{VIDEO: video.filepath, VIDEO_ID: video.id, FRAME: number, SECONDS: seconds},
                    )
                    for number, seconds, picture in chunk
                ],
                progress=False,
            )

    def finish(self, video: fo.Sample, choice: str) -> None:
        """Note that the frames of a video are all written, and how they were chosen."""
        kind, description = _FIELDS[VIDEO_ID]
        info = sm.provenance(self.dataset, VIDEO_ID) | {"videos": self.videos | {video.id: choice}}
        sm.declare_field(self.dataset, VIDEO_ID, kind, description, info)


def _labels(video: fo.Sample, number: int) -> dict[str, Any]:
    """Return the fields that somebody added to a frame of the video."""
    if number not in video.frames:
        return {}
    frame = video.frames[number]
    ours = {*get_default_frame_fields(), *_FIELDS, "filepath", "tags"}
    return {name: frame[name] for name in frame.field_names if name not in ours and frame[name] is not None}
