"""Frames of video files as pictures, by ffmpeg and ffprobe."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import eta.core.utils as etau
import eta.core.video as etav
import numpy as np

_UNIT = 1_000_000  # ffmpeg names the pictures by their time in millionths of a second
_SPARE = 1.0  # seconds at the end of a video that may be missing: recordings are often cut within a frame


class UnreadableVideo(ValueError):
    """A video whose frames cannot be read; the message is the reason, without the path."""


def require_ffmpeg() -> None:
    """Refuse where ffmpeg or ffprobe is missing.

    Raises:
        ValueError: names the command that installs them
    """
    missing = [program for program in ("ffmpeg", "ffprobe") if shutil.which(program) is None]
    if missing:
        raise ValueError(
            f"{' and '.join(missing)} not found on the PATH: install ffmpeg (apt install ffmpeg, brew install ffmpeg, or "
            "conda install -c conda-forge ffmpeg), then start the App again"
        )


@dataclass(frozen=True)
class Clock:
    """The times at which the frames of a video are shown.

    Attributes:
        times: ``(n,)`` float64, in seconds by the file's own clock, rising
        end: end of the video, as stated by the file
        stored: whether the file states the time of each; else (H.264 in AVI) they follow each other from 0 in stored
            order
    """

    times: np.ndarray
    end: float
    stored: bool


def read_clock(path: str) -> Clock:
    """Read the times at which a video's frames are shown; nothing is decoded.

    Raises:
        UnreadableVideo: if it has none
    """
    if not Path(path).is_file():
        raise UnreadableVideo("its file is missing")
    entries = "packet=pts_time,dts_time,flags:stream=duration"
    asked = ("-select_streams", "V:0", "-show_entries", entries, "-of", "json")
    told = subprocess.run(["ffprobe", "-v", "error", *asked, path], capture_output=True, check=False)
    if told.returncode:
        raise UnreadableVideo(_last_line(told.stderr, path))
    found = json.loads(told.stdout)
    packets = [packet for packet in found["packets"] if "D" not in packet["flags"]]
    stored = all("pts_time" in packet for packet in packets)
    times = np.unique(
        [float(p["pts_time" if stored else "dts_time"]) for p in packets if "dts_time" in p or stored]
    )
    if not len(times):
        raise UnreadableVideo("it has no frames, or none with a time")
    if not stored:
        times -= times[0]
    return Clock(times, times[0] + float(found["streams"][0].get("duration", times[-1] - times[0])), stored)


def write_frames(
    path: str, folder: Path, clock: Clock, fps: float, most: int | None
) -> list[tuple[int, Path]]:
    """Write frames of a video as JPEG files.

    Args:
        folder: an existing folder
        fps: frames per second to write; all, where the video has fewer
        most: the most to write in all, evenly spread over its time; None = no bound

    Returns:
        the number, from 0, and the file of each written frame, in their order

    Raises:
        UnreadableVideo: if ffmpeg cannot read it to its end
    """
    every = clock.times
    first, last = every[[0, -1]].tolist()
    between = (last - first) / max(len(every) - 1, 1) or 1.0  # seconds from one frame to the next
    seconds = between * len(every)
    rate = min(fps, most / seconds) if most else fps
    options = ["-map", "0:V:0", "-vsync", "0", "-enc_time_base", f"1:{_UNIT}", "-frame_pts", "1", "-q:v", "2"]
    filters = [] if clock.stored else ["setpts=PTS-STARTPTS"]
    if rate * seconds < len(every):
        # of each part of the time the first frame; half a frame of tolerance, so that rounding decides nothing
        part = f"floor(({{}}-{first - between / 2!r})*{rate!r})"
        started = f"gt({part.format('t')}\\,{part.format('prev_selected_t')})"
        filters.append(f"select='isnan(prev_selected_t)+{started}'")
    try:
        options += ["-vf", ",".join(filters) or "null"]
        with etav.FFmpeg(in_opts=["-copyts"], out_opts=options) as ffmpeg:
            ffmpeg.run(path, str(folder).replace("%", "%%") + "/%d.jpg")
    except etau.ExecutableRuntimeError as error:
        raise UnreadableVideo(_last_line(str(error).encode(), path)) from error
    files = sorted(folder.glob("*.jpg"), key=lambda file: int(file.stem))
    if not files:
        raise UnreadableVideo("ffmpeg reads no frame of it")
    at = np.array([int(file.stem) for file in files]) / _UNIT
    if clock.end - at[-1] > 1 / rate + between + _SPARE:
        raise UnreadableVideo(f"it breaks off after {at[-1] - first:.1f} of {clock.end - first:.1f} s")
    nearest = np.searchsorted((every[1:] + every[:-1]) / 2, at)
    return list(zip(nearest.tolist(), files, strict=True))


def _last_line(told: bytes, path: str) -> str:
    """Return a program's error message, without the path."""
    lines = told.decode(errors="replace").strip().splitlines()
    return (lines[-1] if lines else "it cannot be read").replace(f"{path}: ", "")
