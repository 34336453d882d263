"""Where quarantine_media puts files: folders that do and do not, its journal, full and read-only disks."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests import support
from tests.host.compare import differences, files, state
from tests.removable import DROPPED, call, folder, paths, quarantine

import fiftyone as fo  # isort: skip


def test_a_folder_of_one_s_own_choice(removed, tmp_path):
    result = quarantine(removed, folder=str(tmp_path / "aside"))
    assert result.folders == [str(tmp_path / "aside")]
    assert len(files(tmp_path / "aside" / "files")) == DROPPED
    assert call("restore_media", removed).files == DROPPED
    assert not (tmp_path / "aside").exists()


def test_folders_that_do_not_do_are_refused_before_anything_moves(removed, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("hello")
    (tmp_path / "file").write_text("hello")
    before = files(tmp_path)
    for bad, words in (
        (tmp_path / "mine", "is not a quarantine of OnlyOne's"),
        (tmp_path / "file", "is not a quarantine of OnlyOne's"),
        (tmp_path / "file" / "sub", "not a folder"),
        (Path(support.HOME) / "plugins" / "aside", "shows every file to the network"),
        (Path(__file__).parents[2] / "aside", "shows every file to the network"),
    ):
        with pytest.raises(ValueError, match=words):
            quarantine(removed, folder=str(bad))
    assert files(tmp_path) == before


def test_a_folder_with_a_journal_that_was_never_finished_is_used(removed):
    folder(removed).mkdir()
    (folder(removed) / "journal.jsonl.partial").write_text('{"dataset')
    assert quarantine(removed).files == DROPPED
    assert call("restore_media", removed).files == DROPPED
    assert not folder(removed).exists()


def test_the_quarantine_of_another_dataset_is_refused(removed, removable, tmp_path):
    quarantine(removed, folder=str(tmp_path / "aside"))
    other = removable(tmp_path / "data2")
    call("remove_duplicates", other, confirm=True)
    with pytest.raises(ValueError, match="is the quarantine of"):
        quarantine(other, folder=str(tmp_path / "aside"))


def test_a_journal_that_names_paths_outside_its_folder_is_refused(removed, tmp_path):
    quarantine(removed)
    journal = folder(removed) / "journal.jsonl"
    journal.write_text(journal.read_text().replace('"to": "files', '"to": "../files', 1))
    before = files(tmp_path)
    with pytest.raises(ValueError, match="cannot be understood"):
        call("restore_media", removed)
    assert files(tmp_path) == before


def test_nothing_removed_says_so(removable):
    with pytest.raises(ValueError, match="There are no removed samples"):
        quarantine(removable())


def test_the_journal_is_there_before_the_first_file_moves(removed, monkeypatch):
    step = support.plugin("similarity.steps.quarantine")
    seen = []

    def look(origin, target):
        seen.append((folder(removed) / "journal.jsonl").read_text().count('"from"'))
        archive = fo.load_dataset(f"{removed.name}-dedup-removed")
        archive.reload()
        assert archive.info["onlyone_archive"]["folders"] == [str(folder(removed))]
        return relocate(origin, target)

    relocate = step.relocate
    monkeypatch.setattr(step, "relocate", look)
    quarantine(removed)
    assert seen == [DROPPED] * DROPPED


def test_a_move_that_fails_half_way_moves_everything_back(removed, tmp_path, monkeypatch):
    step = support.plugin("similarity.steps.quarantine")
    before, relocate, moved = files(tmp_path), step.relocate, []

    def fail_at_the_third(origin, target):
        if len(moved) == 3:
            moved.append(None)
            raise OSError(28, "No space left on device")
        moved.append(origin)
        relocate(origin, target)

    monkeypatch.setattr(step, "relocate", fail_at_the_third)
    with pytest.raises(ValueError, match=r"No space left on device.*Nothing was moved"):
        quarantine(removed)
    assert files(tmp_path) == before
    assert not folder(removed).exists()


# Root may write everywhere, and disks are large: a mount of one's own is read-only or full also for root.
WORKER = """
import sys
from pathlib import Path
import fiftyone as fo, fiftyone.operators as foo
made = fo.load_dataset(sys.argv[1])
try:
    print(foo.get_operator("@onlyone/dedup/quarantine_media")(made, folder=sys.argv[2], confirm=True).summary())
    print(sorted(path.name for path in Path(sys.argv[2]).glob("*")))
    print(foo.get_operator("@onlyone/dedup/restore_media")(made).summary())
except ValueError as error:
    print("REFUSED", error)
"""


def mounted(mount: str, made, target: Path) -> str:
    """Run the quarantine in a process that sees a mount of its own at ``target``; its output."""
    target.mkdir(exist_ok=True)
    shell = ["unshare", "-m", "sh", "-c", f'{mount} && exec "$0" "$@"']
    worker = [sys.executable, "-c", WORKER, made.name, str(target / "aside")]
    done = subprocess.run([*shell, *worker], capture_output=True, text=True, timeout=300)
    if "unshare" in done.stderr and "not permitted" in done.stderr:
        pytest.skip("mounts are not permitted here")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def another_disk(removed, tmp_path):
    """``another_disk(mount)``: quarantine on a file system of its own; what was said. Nothing else has changed."""

    def run(mount: str) -> str:
        before, there = state(removed), files(tmp_path)
        target = tmp_path / "disk"
        said = mounted(mount.format(target=target), removed, target)
        assert differences(before, state(removed)) == []
        assert files(tmp_path) == there
        archive = fo.load_dataset(f"{removed.name}-dedup-removed")
        archive.reload()
        assert not archive.info["onlyone_archive"].get("folders")
        return said

    return run


def test_across_file_systems_files_are_copied_and_come_back(another_disk):
    said = another_disk("mount -t tmpfs -o size=8m none {target}")
    assert f"{DROPPED} files (342 bytes) moved to" in said
    assert "['files', 'journal.jsonl']" in said
    assert f"{DROPPED} files (342 bytes) back in place." in said


def test_a_full_disk_is_refused_and_nothing_changes(another_disk):
    said = another_disk("mount -t tmpfs -o size=256k none {target}")
    assert "REFUSED There is not enough room" in said


def test_a_disk_without_a_single_free_byte_is_refused_and_nothing_changes(removed, tmp_path):
    target = tmp_path / "disk"
    before = state(removed)
    mount = f"mount -t tmpfs -o size=64k none {target} && head -c 65536 /dev/zero > {target}/full"
    said = mounted(mount, removed, target)
    assert "REFUSED" in said
    assert differences(before, state(removed)) == []
    assert all(Path(path).exists() for path in paths(removed))


def test_a_read_only_target_is_refused_and_nothing_changes(another_disk):
    said = another_disk("mount --bind {target} {target} && mount -o remount,ro,bind {target}")
    assert "REFUSED Nothing can be written in" in said


def test_files_in_a_read_only_folder_stay(removed, tmp_path):
    pictures = Path(paths(removed)[0]).parent
    mount = f"mount --bind {pictures} {pictures} && mount -o remount,ro,bind {pictures}"
    said = mounted(mount, removed, tmp_path / "disk")
    assert "No file to move" in said
    assert "its folder cannot be changed (read-only)" in said
    assert all(Path(path).exists() for path in paths(removed))
