import csv
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests import support
from tests.vectors import documents

import fiftyone as fo  # isort: skip
import fiftyone.operators as foo  # isort: skip

SECONDS, RATE = 2, 10  # of every video


@pytest.fixture(scope="session")
def ffmpeg():
    """Skip the test where ffmpeg or ffprobe is missing, or fail it where ``REQUIRE_FFMPEG=1``."""
    if shutil.which("ffmpeg") and shutil.which("ffprobe"):
        return
    (pytest.fail if os.environ.get("REQUIRE_FFMPEG") == "1" else pytest.skip)("no ffmpeg on PATH")


def film(path, *options):
    """Write a video of which every frame is another shade of grey: 10, 20, 30 ... of 255."""
    path.parent.mkdir(parents=True, exist_ok=True)
    source = f"color=black:size=64x48:rate={RATE}:duration={SECONDS},format=gray,geq=lum=16+(N+1)*8.588"
    command = ["ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", source, *options, str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path


@pytest.fixture(scope="module")
def films(ffmpeg, tmp_path_factory):
    """Two videos of one name in two folders; of the second, the frames 8 to 14 were never recorded, and it begins at 5 s."""
    folder = tmp_path_factory.mktemp("films")
    gap = ["-vf", "select=lt(n\\,7)+gt(n\\,13),setpts=PTS+5/TB", "-vsync", "0", "-g", "4"]
    return [film(folder / "north" / "cam.mp4"), film(folder / "south" / "cam.mp4", *gap)]


@pytest.fixture
def videos(dataset, films):
    """A dataset of the two, of which the first is tagged and labelled."""
    made = dataset(films)
    first = made.first()
    first.tags = ["rain"]
    first.frames[6] = fo.Frame(weather=fo.Classification(label="rain"))
    first.save()
    yield made
    for name in fo.list_datasets(f"{made.name}-*"):
        fo.delete_dataset(name)


def take(run, videos, folder, **options):
    """Run the operator; its result, and the dataset of the frames."""
    result = run("frames_from_videos", videos, output_dir=str(folder), **options).result
    return result, fo.load_dataset(result["dataset"])


def seen(frames, path):
    """Number and seconds of a video's frames, and their shade as a number of the frame."""
    found = frames.match(fo.ViewField("video") == str(path)).sort_by("frame_number")
    shades = [
        round(float(np.asarray(Image.open(file).convert("L")).mean()) / 10)
        for file in found.values("filepath")
    ]
    return list(zip(found.values("frame_number"), found.values("seconds"), shades, strict=True))


def test_each_frame_knows_its_video_its_number_and_its_time(run, videos, films, tmp_path):
    result, frames = take(run, videos, tmp_path / "out", fps=2)
    assert frames.name == f"{videos.name}-frames"
    assert frames.persistent
    assert frames.media_type == "image"
    assert seen(frames, films[0]) == [(1, 0.0, 1), (6, 0.5, 6), (11, 1.0, 11), (16, 1.5, 16)]
    # number 8 is the fifteenth shade: frames are counted as the file has them, and timed as they were shown
    assert seen(frames, films[1]) == [(1, 0.0, 1), (6, 0.5, 6), (8, 1.4, 15), (9, 1.5, 16)]
    assert set(frames.values("video_id")) == set(videos.values("id"))
    tagged = frames.match_tags("rain")
    assert set(tagged.values("video")) == {str(films[0])}
    assert len(tagged) == 4
    assert frames.match(fo.ViewField("weather.label") == "rain").values("frame_number") == [6]
    assert len({Path(path).name for path in frames.values("filepath")}) < len(frames)
    assert (result["videos"], result["added"], result["frames"]) == (2, 2, 8)


def test_every_frame_is_taken_where_the_video_has_no_more(run, videos, films, tmp_path):
    _, frames = take(run, videos, tmp_path, fps=1000)
    number = SECONDS * RATE
    assert seen(frames, films[0]) == [(n + 1, n / RATE, n + 1) for n in range(number)]
    assert [shade for _, _, shade in seen(frames, films[1])] == [*range(1, 8), *range(15, number + 1)]


@pytest.mark.parametrize("most", [1, 3, 7])
def test_at_most_so_many_frames_are_taken_evenly_spread(run, videos, films, tmp_path, most):
    _, frames = take(run, videos, tmp_path, fps=1000, max_frames=most)
    numbers = [number for number, _, _ in seen(frames, films[0])]
    assert len(numbers) == most
    assert np.ptp(np.diff([*numbers, SECONDS * RATE + 1])) <= 1
    assert 1 <= len(seen(frames, films[1])) <= most


def test_the_videos_and_their_dataset_stay_as_they_were(run, videos, films, tmp_path):
    before = (
        documents(videos, without=()),
        list(videos._frame_collection.find()),
        videos.get_frame_field_schema(),
    )
    beside = [sorted(film.parent.iterdir()) for film in films]
    take(run, videos, tmp_path)
    videos.reload()
    assert before[:2] == (documents(videos, without=()), list(videos._frame_collection.find()))
    assert list(before[2]) == list(videos.get_frame_field_schema())
    assert beside == [sorted(film.parent.iterdir()) for film in films]


def test_run_again_it_adds_the_frames_of_new_videos_only(run, videos, films, tmp_path):
    result, frames = take(run, videos.limit(1), tmp_path)
    assert (result["added"], len(frames)) == (1, 2)
    kept = frames.first().id
    frames.delete_samples(frames.exclude(kept).values("id"))  # as a removal would
    result, frames = take(run, videos, tmp_path / "elsewhere", fps=5)
    assert (result["added"], result["up_to_date"]) == (1, 1)
    assert frames.match(fo.ViewField("video") == str(films[0])).values("id") == [kept]
    assert len(frames) == 1 + len(seen(frames, films[1]))


def test_frames_that_were_chosen_otherwise_stay_and_are_told_in_the_form_and_the_result(
    run, videos, tmp_path
):
    def warned(**options):
        params = {"output_dir": str(tmp_path), **options}
        context = foo.executor.ExecutionContext({"dataset_name": videos.name, "params": params})
        form = foo.get_operator(support.uri("frames_from_videos")).resolve_input(context).type.properties
        return [found.view.label for name, found in form.items() if name.startswith("earlier")]

    take(run, videos.limit(1), tmp_path)
    assert warned(fps=1) == []
    assert re.match(r"1 video .* 1 a second.* 5 a second", warned(fps=5)[0])
    assert re.match(r"1 video .* 1 a second.* 1 a second, at most 3", warned(max_frames=3)[0])
    result, frames = take(run, videos, tmp_path, fps=5)
    assert len(frames.match_tags("rain")) == SECONDS
    (note,) = result["notes"]
    assert re.match(r"1 video .* 1 a second.* 5 a second.*frames_dataset", note)


def test_a_folder_that_cannot_be_made_is_named_with_the_remedy(run, videos, tmp_path):
    with pytest.raises(
        foo.executor.ExecutionError, match=r"x{300} \(File name too long\).*choose another folder"
    ):
        take(run, videos, tmp_path / ("x" * 300))
    assert not fo.dataset_exists(f"{videos.name}-frames")


def test_a_video_whose_frames_were_written_in_part_is_done_again(
    run, videos, films, tmp_path, monkeypatch, plugin
):
    frames_dataset = plugin("similarity.data.frames").FramesDataset
    monkeypatch.setattr(frames_dataset, "finish", lambda *_: 1 / 0)  # where a kill leaves most behind
    with pytest.raises(foo.executor.ExecutionError, match="division"):
        take(run, videos, tmp_path)
    monkeypatch.undo()
    frames = fo.load_dataset(f"{videos.name}-frames")
    assert len(frames) == SECONDS
    result, frames = take(run, videos, tmp_path)
    assert (result["added"], result["up_to_date"]) == (2, 0)
    assert [number for number, _, _ in seen(frames, films[0])] == [1, 11]
    assert all(map(os.path.exists, frames.values("filepath")))


@pytest.mark.parametrize("kind", [["a.mp4"], ["b.mkv"], ["c.avi", "-c:v", "libx264"]], ids=" ".join)
def test_frames_are_numbered_alike_in_every_kind_of_file(run, dataset, ffmpeg, tmp_path, kind):
    name, *options = kind
    made = dataset([film(tmp_path / name, *options)])
    _, frames = take(run, made, tmp_path, fps=5)
    found = seen(frames, tmp_path / name)
    assert [(number, shade) for number, _, shade in found] == [(n, n) for n in range(1, 20, 2)]
    assert [seconds for _, seconds, _ in found] == pytest.approx([n / 5 for n in range(10)], abs=1e-4)
    frames.delete()


def test_a_frame_that_cannot_be_decoded_shifts_no_other(run, dataset, ffmpeg, tmp_path):
    path = film(tmp_path / "hole.mp4", "-g", "1")
    packets = ["ffprobe", "-v", "error", "-show_entries", "packet=pos,size", "-of", "json", str(path)]
    told = json.loads(subprocess.run(packets, check=True, capture_output=True).stdout)["packets"][5]
    content, start, size = bytearray(path.read_bytes()), int(told["pos"]), int(told["size"])
    content[start : start + size] = bytes(size)
    path.write_bytes(content)
    _, frames = take(run, dataset([path]), tmp_path, fps=1000)
    found = [(number, shade) for number, _, shade in seen(frames, path)]
    assert found == [(n, n) for n in range(1, SECONDS * RATE + 1) if n != 6]
    frames.delete()


def test_videos_that_cannot_be_read_are_skipped_and_listed(run, dataset, films, tmp_path):
    broken, silent = tmp_path / "broken.mp4", tmp_path / "sound.mp4"
    broken.write_bytes(films[0].read_bytes()[:2000])
    sound = ["ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "sine=duration=1", str(silent)]
    subprocess.run(sound, check=True)
    cut = film(tmp_path / "cut.mp4", "-c:v", "mjpeg", "-movflags", "+faststart")
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 4])
    made = dataset([broken, silent, tmp_path / "gone.mp4", cut, films[0]])
    result = support.plugin("similarity.steps.frames").frames(
        made,
        support.plugin("similarity.search_options").FramesOptions(output_dir=str(tmp_path / "out"), fps=5),
    )
    reasons = [result.skipped.get(i) for i in made.values("id")]
    probed = subprocess.run(
        ["ffprobe", "-v", "error", str(broken)], capture_output=True, text=True, check=False
    )
    assert probed.stderr.splitlines()[-1] == f"{broken}: {reasons[0]}"
    assert "no frames" in reasons[1]
    assert "missing" in reasons[2]
    assert re.search(r"breaks off .*\b0\.\d of 2\.0 s", reasons[3])
    assert reasons[4] is None
    assert (result.added, result.frames) == (1, 10)
    assert "4 skipped" in result.summary()
    assert len(list((tmp_path / "out").iterdir())) == 1
    fo.delete_dataset(result.dataset)


def test_without_ffmpeg_nothing_begins_and_the_error_says_how_to_install_it(
    run, videos, tmp_path, monkeypatch
):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        foo.executor.ExecutionError, match=r"ffmpeg and ffprobe.*apt install ffmpeg.*brew.*conda"
    ):
        take(run, videos, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not fo.dataset_exists(f"{videos.name}-frames")


def test_what_does_not_do_is_refused_before_anything_is_written(
    run, videos, dataset, pictures, tmp_path, plugin
):
    served, other = plugin("similarity.data.home").PLUGIN / "frames", dataset()
    with pytest.raises(foo.executor.ExecutionError, match=re.escape(str(served))):
        take(run, videos, served)
    with pytest.raises(foo.executor.ExecutionError, match="media type 'image'"):
        take(run, dataset(pictures()), tmp_path)
    with pytest.raises(foo.executor.ExecutionError, match=f"{other.name!r}.*{videos.name!r}"):
        take(run, videos, tmp_path / "out", frames_dataset=other.name)
    assert not served.exists()
    assert not (tmp_path / "out").exists()
    assert not fo.dataset_exists(f"{videos.name}-frames")


def test_the_export_lists_the_kept_frames_by_video(run, videos, films, tmp_path):
    _, frames = take(run, videos, tmp_path / "frames", fps=2)
    run("find_copies", frames)
    dropped = frames.match(fo.ViewField("copies_kept") == False)  # noqa: E712
    assert len(dropped) == 3  # the cameras show the same shades
    folder = tmp_path / "export"
    run("export_deduplicated", frames, run_key="copies", export_dir=str(folder))
    with (folder / "frames.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["video"], float(row["frame_number"]), float(row["seconds"])) for row in rows] == sorted(
        zip(
            *(frames.exclude(dropped).values(name) for name in ("video", "frame_number", "seconds")),
            strict=True,
        )
    )
    assert all((folder / row["picture"]).is_file() for row in rows)
