"""The files of removed samples on their way to the system's trash, which is inside the tests' own home."""

import os
from pathlib import Path

import pytest

from tests.host.compare import differences, state
from tests.removable import DROPPED, call, dropped, trashed

import fiftyone as fo  # isort: skip


@pytest.fixture
def made(removable, tmp_path):
    return removable(tmp_path / "pictures")


def remove(made, **options):
    return call("remove_duplicates", made, files="trash", **options)


def paths(made) -> list[str]:
    """The files of the samples that the run leaves out, by sample id."""
    return [made[i].filepath for i in dropped(made)]


def test_the_files_of_removed_samples_go_to_the_trash_and_no_others(made, tmp_path):
    wanted = paths(made)
    kept = [p for p in made.values("filepath") if p not in wanted]
    contents = {path: Path(path).read_bytes() for path in wanted}
    result = remove(made, confirm=True)
    assert (result.removed, result.trashed, result.files_left) == (DROPPED, DROPPED, {})
    assert {path: there.read_bytes() for path, there in trashed(tmp_path).items()} == contents
    assert all(Path(path).exists() for path in kept)


def test_the_plan_counts_the_files_and_moves_none(made, tmp_path):
    before, wanted = state(made), paths(made)
    fo.Dataset(f"{made.name}-theirs").add_sample(fo.Sample(filepath=wanted[0]))
    plan = remove(made)
    assert (plan.removed, plan.trashed, plan.trashed_bytes) == (DROPPED, DROPPED - 1, (DROPPED - 1) * 57)
    assert list(plan.files_left) == [wanted[0]]
    assert differences(before, state(made)) == []
    assert trashed(tmp_path) == {}


def test_a_file_that_any_sample_of_any_dataset_names_stays(made, tmp_path):
    wanted = paths(made)
    (tmp_path / "linked").symlink_to(tmp_path / "pictures")
    os.link(wanted[1], tmp_path / "hard.png")
    box = [0.1, 0.1, 0.5, 0.5]
    mask = fo.Detection(label="c", bounding_box=box, mask_path=wanted[2])
    theirs = fo.Dataset(f"{made.name}-theirs")
    theirs.add_samples(
        [
            fo.Sample(filepath=str(tmp_path / "linked" / Path(wanted[0]).name)),
            fo.Sample(filepath=str(tmp_path / "hard.png")),
            fo.Sample(filepath="/nowhere/x.png", truth=fo.Detections(detections=[mask])),
        ]
    )
    theirs.add_group_field("group", default="left")
    group = fo.Group()
    theirs.add_samples(
        [
            fo.Sample(filepath="/nowhere/y.png", group=group.element("left")),
            fo.Sample(filepath=wanted[3], group=group.element("right")),
        ]
    )
    kept = made.match(fo.ViewField("dedup_kept") == True).first()  # noqa: E712
    kept["thumbnail"] = wanted[4]
    kept.save()
    result = remove(made, confirm=True)
    assert result.removed == DROPPED
    assert sorted(result.files_left) == sorted(wanted[:5])
    assert list(trashed(tmp_path)) == wanted[5:]


def test_the_archive_of_another_run_counts_and_that_of_this_one_does_not(made, tmp_path):
    wanted = paths(made)
    twin = made.clone(f"{made.name}-twin")
    call("remove_duplicates", twin, confirm=True)
    fo.delete_dataset(twin.name)
    assert sorted(remove(made, confirm=True).files_left) == sorted(wanted)
    fo.delete_dataset(f"{twin.name}-dedup-removed")
    assert remove(made, confirm=True).trashed == DROPPED


def test_files_of_samples_that_were_removed_before_go_when_they_are_asked_for(made, tmp_path):
    wanted = paths(made)
    call("remove_duplicates", made, confirm=True)
    Path(wanted[0]).write_bytes(b"another picture")
    result = remove(made, confirm=True)
    assert (result.removed, result.trashed, list(result.files_left)) == (0, DROPPED - 1, wanted[:1])
    assert sorted(trashed(tmp_path)) == sorted(wanted[1:])


def test_a_file_that_the_trash_does_not_take_stays_and_is_counted(made):
    wanted, trash = paths(made), Path(os.environ["XDG_DATA_HOME"], "Trash")
    aside = trash.with_name("aside")
    trash.mkdir(parents=True, exist_ok=True)
    trash.rename(aside)
    trash.write_text("a file where the trash should be")
    try:
        result = remove(made, confirm=True)
    finally:
        trash.unlink()
        aside.rename(trash)
    assert (result.removed, result.trashed) == (DROPPED, 0)
    assert sorted(result.files_left) == sorted(wanted)
    assert all(Path(path).exists() for path in wanted)


def test_samples_come_back_without_their_files_which_are_named(made, tmp_path):
    before, wanted = state(made), paths(made)
    remove(made, confirm=True)
    result = call("restore_removed", made)
    assert (result.restored, result.archive) == (DROPPED, None)
    assert sorted(result.missing_files) == sorted(wanted)
    assert sorted(row["file"] for row in result.tables()["missing_files"]) == sorted(wanted)
    assert differences(before, state(made)) == []
    for origin, there in trashed(tmp_path).items():
        there.rename(origin)
    assert remove(made).trashed == DROPPED
