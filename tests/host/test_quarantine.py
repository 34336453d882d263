"""Which files quarantine_media moves aside, which stay, and how they come back."""

import os
import shutil
from pathlib import Path

import pytest

from tests.host.compare import differences, files, state
from tests.removable import DROPPED, call, folder, paths, quarantine

import fiftyone as fo  # isort: skip


def test_the_plan_names_the_files_and_moves_none(removed, tmp_path):
    before = files(tmp_path)
    plan = call("quarantine_media", removed)
    assert (plan.files, plan.bytes, plan.left) == (DROPPED, DROPPED * 57, {})
    assert plan.folders == [str(folder(removed))]
    assert "Nothing has been changed" in plan.summary()
    assert files(tmp_path) == before
    assert not folder(removed).exists()


def test_just_the_files_of_removed_samples_are_moved_and_come_back_byte_identical(removed, tmp_path):
    before, times = files(tmp_path), {path: Path(path).stat().st_mtime_ns for path in paths(removed)}
    result = quarantine(removed)
    assert (result.files, result.left) == (DROPPED, {})
    assert set(files(tmp_path / "data" / "pictures")) == {
        Path(path).name for path in removed.values("filepath")
    }
    assert sorted(files(folder(removed) / "files").values()) == sorted(
        before[str(Path(path).relative_to(tmp_path))] for path in paths(removed)
    )
    back = call("restore_media", removed)
    assert (back.files, back.left, back.folders) == (DROPPED, {}, [])
    assert files(tmp_path) == before
    assert {path: Path(path).stat().st_mtime_ns for path in paths(removed)} == times
    assert not folder(removed).exists()


def test_samples_and_files_may_come_back_in_either_order(removable, tmp_path):
    made = removable(tmp_path / "data" / "pictures")
    before, there = state(made), files(tmp_path)
    for first, second in (("restore_removed", "restore_media"), ("restore_media", "restore_removed")):
        call("remove_duplicates", made, confirm=True)
        quarantine(made)
        call(first, made)
        call(second, made)
        assert differences(before, state(made)) == []
        assert files(tmp_path) == there
        assert not fo.dataset_exists(f"{made.name}-dedup-removed")


def test_restored_samples_are_told_where_their_files_are(removed):
    quarantine(removed)
    result = call("restore_removed", removed)
    assert "restore_media brings them back" in result.summary()
    assert result.archive == f"{removed.name}-dedup-removed"


def test_a_second_call_moves_nothing_more(removed, tmp_path):
    quarantine(removed)
    before = files(tmp_path)
    again = quarantine(removed)
    assert (again.files, again.away) == (0, DROPPED)
    assert files(tmp_path) == before


def user(name: str, path: str, tmp_path: Path) -> fo.Sample:
    """A sample of another dataset that uses a file, in one of the ways there are."""
    link = tmp_path / f"{name}.png"
    if name == "symbolic link":
        link.symlink_to(path)
    elif name == "hard link":
        os.link(path, link)
    elif name == "folder link":
        (tmp_path / "linked").symlink_to(Path(path).parent)
        link = tmp_path / "linked" / Path(path).name
    elif name == "other spelling":
        return fo.Sample(filepath="/mine.png", picture=f"{Path(path).parent}/../pictures//{Path(path).name}")
    elif name == "mask":
        return fo.Sample(filepath="/mine.png", mask=fo.Segmentation(mask_path=path))
    elif name == "mask of a detection":
        detection = fo.Detection(label="x", bounding_box=[0, 0, 1, 1], mask_path=path)
        return fo.Sample(filepath="/mine.png", found=fo.Detections(detections=[detection]))
    elif name == "thumbnail":
        return fo.Sample(filepath="/mine.png", thumbnail=path)
    else:
        link = Path(path)
    return fo.Sample(filepath=str(link))


@pytest.mark.parametrize(
    "way",
    [
        "same path",
        "symbolic link",
        "hard link",
        "folder link",
        "other spelling",
        "mask",
        "mask of a detection",
        "thumbnail",
    ],
)
def test_a_file_that_another_dataset_uses_stays(removed, dataset, tmp_path, way):
    other, used = dataset(), paths(removed)[0]
    other.add_sample(user(way, used, tmp_path))
    result = quarantine(removed)
    assert result.left == {used: f"a sample of the dataset {other.name!r} uses it"}
    assert Path(used).exists()
    assert result.files == DROPPED - 1


def test_a_file_that_a_slice_or_a_frame_uses_stays(removed, dataset):
    grouped, video = dataset(), dataset()
    grouped.add_group_field("group", default="left")
    group = fo.Group()
    grouped.add_samples(
        [
            fo.Sample(filepath="/a.png", group=group.element("left")),
            fo.Sample(filepath=paths(removed)[0], group=group.element("right")),
        ]
    )
    sample = fo.Sample(filepath="/a.mp4")
    sample.frames[1] = fo.Frame(filepath=paths(removed)[1])
    video.add_sample(sample)
    assert set(quarantine(removed).left) == set(paths(removed)[:2])


def test_a_file_that_a_remaining_sample_shares_stays(removed):
    removed.add_sample(fo.Sample(filepath=paths(removed)[0]))
    assert set(quarantine(removed).left) == {paths(removed)[0]}


def test_the_archive_of_another_run_counts_as_a_user(removable, tmp_path):
    made = removable(tmp_path / "pictures")
    twin = made.clone(f"{made.name}-twin")
    call("remove_duplicates", made, confirm=True)
    call("remove_duplicates", twin, confirm=True)
    result = quarantine(made)
    assert result.files == 0
    assert set(result.left.values()) == {f"a sample of the dataset {twin.name + '-dedup-removed'!r} uses it"}


def test_what_is_not_the_removed_sample_s_file_any_more_stays(removed, tmp_path):
    changed, gone, linked = paths(removed)[:3]
    Path(changed).write_bytes(b"another picture")
    Path(gone).unlink()
    shutil.move(linked, tmp_path / "elsewhere.png")
    Path(linked).symlink_to(tmp_path / "elsewhere.png")
    result = quarantine(removed)
    assert result.left == {
        changed: "it has changed since its sample was removed",
        gone: "the file is not there",
        linked: "it is a link, not a file",
    }
    assert Path(linked).is_symlink()
    assert Path(changed).read_bytes() == b"another picture"
    assert "left in place" in result.summary()


def test_nothing_is_written_over_on_the_way_back(removed):
    quarantine(removed)
    taken, same = paths(removed)[:2]
    Path(taken).write_bytes(b"somebody's new picture")
    shutil.copy(folder(removed) / "files" / Path(same).relative_to("/"), same)
    result = call("restore_media", removed)
    assert list(result.left) == [taken]
    assert "another file is at its place" in result.left[taken]
    assert Path(taken).read_bytes() == b"somebody's new picture"
    waiting = folder(removed) / "files" / Path(taken).relative_to("/")
    assert waiting.exists()
    Path(taken).unlink()
    assert call("restore_media", removed).files == 1
    assert Path(taken).exists()
    assert not folder(removed).exists()


def test_what_somebody_took_out_of_the_quarantine_is_named(removed):
    quarantine(removed)
    taken = folder(removed) / "files" / Path(paths(removed)[0]).relative_to("/")
    taken.unlink()
    result = call("restore_media", removed)
    assert result.files == DROPPED - 1
    assert "somebody has taken it out" in result.left[paths(removed)[0]]


def test_a_folder_whose_disk_is_away_is_not_forgotten(removed, tmp_path):
    quarantine(removed)
    shutil.move(folder(removed), tmp_path / "unplugged")
    result = call("restore_media", removed)
    assert "is its disk connected?" in result.left[str(folder(removed))]
    shutil.move(tmp_path / "unplugged", folder(removed))
    assert call("restore_media", removed).files == DROPPED


def test_a_quarantine_is_emptied_by_its_folder_where_the_archive_is_gone(removed, tmp_path):
    before = files(tmp_path)
    quarantine(removed)
    fo.delete_dataset(f"{removed.name}-dedup-removed")
    with pytest.raises(ValueError, match="name the folder"):
        call("restore_media", removed)
    assert call("restore_media", removed, folder=str(folder(removed))).files == DROPPED
    assert files(tmp_path) == before
