import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import support
from tests.deduplicated import DROPPED, KEPT, SKIPPED, cluster, manifest, snapshot


def folders(samples, folder, **options):
    chosen = support.plugin("similarity.handover_options").FoldersOptions(export_dir=str(folder), **options)
    return support.plugin("similarity.steps.folders").folders(samples, chosen)


def tree(folder: Path) -> dict[str, int]:
    return {path.name: len(list(path.iterdir())) for path in folder.iterdir() if path.is_dir()}


@pytest.mark.parametrize("media", ["copy", "hardlink", "symlink"])
def test_each_cluster_has_a_folder_and_noise_and_skipped_their_own(deduplicated, target, media):
    made = deduplicated()
    before = snapshot(made)
    result = folders(made, target, media=media)
    assert (result.clusters, result.clustered, result.unique, result.kept) == (3, 9, 2, KEPT)
    assert result.pictures == len(made) == result.clustered + result.unique + len(result.skipped)
    assert tree(target) == {
        "cluster_0000": 3,
        "cluster_0001": 3,
        "cluster_0002": 3,
        "unique": 2,
        "skipped": 1,
    }
    for row in manifest(target):
        exported = target / row["exported"]
        assert exported.read_bytes() == Path(row["filepath"]).read_bytes()
        assert exported.is_symlink() == (media == "symlink")
        assert exported.samefile(row["filepath"]) == (media != "copy")
    assert snapshot(made) == before


def test_the_kept_one_of_each_cluster_is_recognisable(deduplicated, target):
    folders(deduplicated(), target)
    rows = manifest(target)
    for name in ("cluster_0000", "cluster_0001", "cluster_0002"):
        marked = [path.name for path in (target / name).iterdir() if path.name.startswith("KEPT-")]
        kept = [row for row in rows if row["exported"].startswith(name) and row["status"] == "kept"]
        assert [Path(row["exported"]).name for row in kept] == marked
        assert len(marked) == 1
    assert not list((target / "unique").glob("KEPT-*"))
    statuses = [row["status"] for row in rows]
    assert [statuses.count(word) for word in ("kept", "dropped", "skipped")] == [KEPT, DROPPED, SKIPPED]


def test_the_cluster_step_is_enough(deduplicated, target):
    made = deduplicated()
    cluster(made)
    result = folders(made, target)
    assert result.kept is None
    assert {row["status"] for row in manifest(target)} == {"undecided", "skipped"}
    assert not list(target.rglob("KEPT-*"))


def test_the_cluster_step_must_be_done(deduplicated, target):
    with pytest.raises(ValueError, match="'other'"):
        folders(deduplicated(), target, run_key="other")


def test_skipped_samples_without_a_file_are_only_listed(deduplicated, target):
    made = deduplicated()
    Path(made.load_saved_view("dedup-skipped").first().filepath).unlink()
    assert folders(made, target).pictures == len(made) - 1
    assert "skipped" not in tree(target)
    assert [row["exported"] for row in manifest(target) if row["status"] == "skipped"] == [""]


def test_a_missing_clustered_picture_is_an_error(deduplicated, target):
    made = deduplicated()
    gone = Path(made.load_saved_view("dedup-duplicates").first().filepath)
    gone.unlink()
    with pytest.raises(ValueError, match=re.escape(str(gone))):
        folders(made, target)
    assert not target.parent.exists()


def test_names_do_not_collide(deduplicated, target, tmp_path):
    made = deduplicated()
    for number, path in enumerate(made.values("filepath")):
        (tmp_path / str(number)).mkdir()
        name = ("Frame.png", "frame.png", "frame.PNG")[number % 3] if number < 9 else "x" * 251 + ".png"
        Path(path).rename(tmp_path / str(number) / name)
        made.set_values(
            "filepath", {made.values("id")[number]: str(tmp_path / str(number) / name)}, key_field="id"
        )
    folders(made, target)
    rows = manifest(target)
    assert len({row["exported"].lower() for row in rows}) == len(made)
    assert all((target / row["exported"]).read_bytes() == Path(row["filepath"]).read_bytes() for row in rows)
    assert all(len(Path(row["exported"]).name.encode()) <= 255 for row in rows)


def test_a_folder_that_is_not_empty_is_refused(deduplicated, target):
    target.mkdir(parents=True)
    (target / "mine").touch()
    with pytest.raises(ValueError, match=re.escape(str(target))):
        folders(deduplicated(), target)


def test_hard_links_of_symbolic_links_are_pictures(deduplicated, target, tmp_path):
    made = deduplicated()
    sample = made.first()
    (tmp_path / "link.png").symlink_to(sample.filepath)
    made.set_values("filepath", {sample.id: str(tmp_path / "link.png")}, key_field="id")
    folders(made, target, media="hardlink")
    exported = next(row["exported"] for row in manifest(target) if row["id"] == sample.id)
    assert not (target / exported).is_symlink()
    assert (target / exported).samefile(sample.filepath)


OTHER_FILE_SYSTEM = Path("/dev/shm")


@pytest.mark.skipif(not os.access(OTHER_FILE_SYSTEM, os.W_OK), reason="needs a second file system")
def test_hard_links_across_file_systems_are_refused_first(deduplicated, tmp_path):
    made = deduplicated()
    if OTHER_FILE_SYSTEM.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("the same file system")
    target = OTHER_FILE_SYSTEM / f"onlyone-{os.getpid()}"
    with pytest.raises(ValueError, match=re.escape(str(OTHER_FILE_SYSTEM))):
        folders(made, target, media="hardlink")
    assert not target.exists()
    assert not list(OTHER_FILE_SYSTEM.glob(".onlyone-*"))


STEP = f"""
import importlib, sys, fiftyone as fo, fiftyone.operators as foo
foo.list_operators()
options = importlib.import_module("{support.PACKAGE}.similarity.handover_options")
step = importlib.import_module("{support.PACKAGE}.similarity.steps.folders").folders
for place in sys.argv[2:]:
    try:
        step(fo.load_dataset(sys.argv[1]), options.FoldersOptions(export_dir=place + "/out"))
    except ValueError as error:
        print("ERROR:", error)
"""
MOUNTED = """
mount -t tmpfs -o size=64k none full && mount -t tmpfs -o ro none read-only || exit 77
"$1" -c "$2" "$3" full read-only
echo LEFT: $(ls -A full read-only/)
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare")
def test_a_full_and_a_read_only_place_are_refused_first(deduplicated, tmp_path):
    for name in ("full", "read-only"):
        (tmp_path / name).mkdir()
    command = ["unshare", "-m", "sh", "-c", MOUNTED, "sh", sys.executable, STEP, deduplicated().name]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("needs the right to mount")
    full, read_only, left = [line for line in done.stdout.splitlines() if line.startswith(("ERROR", "LEFT"))]
    assert "too full" in full
    assert "Nothing can be written" in read_only
    assert left == "LEFT: full: read-only/:"
