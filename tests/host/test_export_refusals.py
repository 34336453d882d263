import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import support
from tests.deduplicated import KEPT, cluster, export, load, snapshot

import fiftyone as fo  # isort: skip


def test_a_missing_picture_stops_the_export_before_it_begins(deduplicated, target):
    made = deduplicated()
    gone = made.load_saved_view("dedup-kept").first().filepath
    Path(gone).unlink()
    with pytest.raises(ValueError, match=r"1 picture file is missing") as error:
        export(made, target)
    assert gone in str(error.value)
    assert not target.parent.exists()


def test_a_missing_dropped_picture_does_not_matter(deduplicated, target):
    made = deduplicated()
    Path(made.load_saved_view("dedup-duplicates").first().filepath).unlink()
    assert export(made, target).kept == KEPT


def test_a_kept_sample_deleted_by_hand_is_noticed(deduplicated, target):
    made = deduplicated()
    made.delete_samples([made.load_saved_view("dedup-duplicates").first().dedup_kept_id])
    with pytest.raises(ValueError, match="are gone"):
        export(made, target)
    assert not target.exists()


def test_the_keep_step_must_be_done(deduplicated, target):
    undecided = deduplicated()
    cluster(undecided)
    with pytest.raises(ValueError, match="run keep_first_per_cluster first"):
        export(undecided, target)


def test_a_view_without_kept_samples_is_refused(deduplicated, target):
    with pytest.raises(ValueError, match="is kept"):
        export(deduplicated().load_saved_view("dedup-duplicates"), target)


def test_a_folder_that_is_not_empty_is_refused_and_kept(deduplicated, target):
    target.mkdir(parents=True)
    (target / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="not empty"):
        export(deduplicated(), target)
    assert [path.name for path in target.iterdir()] == ["mine.txt"]


def test_an_empty_folder_is_used(deduplicated, target):
    target.mkdir(parents=True)
    export(deduplicated(), target)
    assert (target / "manifest.csv").is_file()
    assert not list(target.parent.glob(".onlyone*"))


def test_a_file_in_the_way_is_refused(deduplicated, tmp_path):
    (tmp_path / "file").write_text("mine")
    made = deduplicated()
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ValueError, match="is a file"):
            export(made, place)


def test_places_that_fiftyone_serves_are_refused(deduplicated, tmp_path, monkeypatch):
    made = deduplicated()
    plugin, plugins = Path(support.plugin().__file__).parent, Path(fo.config.plugins_dir)
    (tmp_path / "link").symlink_to(plugin)
    monkeypatch.chdir(plugin / "docs")
    for place in (
        plugin / "x",
        plugin.resolve() / "docs" / "x",
        plugins / "x",
        tmp_path / "link" / "x",
        "x",
        "../x",
    ):
        with pytest.raises(ValueError, match="shows every file to the network"):
            export(made, place)
    monkeypatch.setenv("HOME", str(plugins))
    with pytest.raises(ValueError, match="shows every file to the network"):
        export(made, "~/x")


def test_a_place_nobody_can_write_to_is_refused(deduplicated):
    with pytest.raises(ValueError, match="Nothing can be written"):
        export(deduplicated(), "/proc/export", media="symlink")


def test_copies_that_do_not_fit_are_refused_first(deduplicated, target, tmp_path):
    made = deduplicated()
    sample = made.load_saved_view("dedup-kept").first()
    huge = tmp_path / "huge.png"
    huge.touch()
    os.truncate(huge, shutil.disk_usage(tmp_path).free)
    made.set_values("filepath", {sample.id: str(huge)}, key_field="id")
    with pytest.raises(ValueError, match="not enough room"):
        export(made, target)
    assert not target.parent.exists()
    assert export(made, target, media="symlink").pictures == KEPT


def test_labels_that_a_format_cannot_hold_are_refused_first(deduplicated, target):
    made = deduplicated()
    made.set_values("truth", [fo.Classification(label="a")] * len(made))
    with pytest.raises(ValueError, match="'nothing' is not a label field"):
        export(made, target, label_field="nothing")
    with pytest.raises(ValueError, match="ImageDirectory cannot hold the Classification labels"):
        export(made, target, label_field="truth")
    assert not target.parent.exists()


def test_a_failure_in_the_middle_leaves_nothing(deduplicated, target):
    made = deduplicated()
    before = snapshot(made)
    sample = made.load_saved_view("dedup-kept").last()
    Path(sample.filepath).write_bytes(b"not a picture")
    with pytest.raises(Exception):  # noqa: B017, PT011  FiftyOne's own error: it cannot measure the picture
        export(made, target, dataset_type="COCODetectionDataset")
    assert not list(target.parent.parent.glob(".onlyone*"))
    assert not target.parent.exists()
    assert snapshot(made) == before


def test_a_cancelled_export_leaves_nothing(deduplicated, target):
    made = deduplicated()
    before = snapshot(made)

    def cancel(what, done, total):
        if what == "Copying the pictures" and done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(made, target, cancel)
    assert not target.parent.exists()
    assert not list(target.parent.parent.glob(".onlyone*"))
    assert snapshot(made) == before


def test_a_killed_export_leaves_no_half_export(deduplicated, tmp_path):
    made = deduplicated()
    target = tmp_path / "export"
    code = f"""
import time, fiftyone as fo, fiftyone.operators as foo, importlib
foo.list_operators()
options = importlib.import_module("{support.PACKAGE}.similarity.options")
export = importlib.import_module("{support.PACKAGE}.similarity.steps.export").export
def slow(what, done, total):
    if what == "Copying the pictures" and done == 3:
        print("there", flush=True)
        time.sleep(60)
export(fo.load_dataset({made.name!r}), options.ExportOptions(export_dir={str(target)!r}), slow)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        assert any("there" in line for line in child.stdout)
        partial = next(tmp_path.glob(".onlyone-partial-*"))
        child.send_signal(signal.SIGKILL)
    assert partial.exists()
    assert not target.exists()
    export(made, target)
    assert not partial.exists()
    assert len(load(target, "ImageDirectory")) == KEPT


def test_a_living_exports_folder_is_not_removed_by_another(tmp_path):
    targets = support.plugin("similarity.exports.targets")
    with (
        targets.target(str(tmp_path / "one")).writing() as one,
        targets.target(str(tmp_path / "two")).writing(),
    ):
        (one / "file").write_text("there")
    assert (tmp_path / "one" / "file").read_text() == "there"
