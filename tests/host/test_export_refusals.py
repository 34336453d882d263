import errno
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import support
from tests.deduplicated import KEPT, cluster, export, load, snapshot

import fiftyone as fo  # isort: skip


def refuse(made, target, about, **options):
    """Check that an export is refused with a word about the reason, and that nothing was written."""
    before = snapshot(made)
    with pytest.raises(ValueError, match=re.escape(about)):
        export(made, target, **options)
    assert not target.parent.exists()
    assert not list(target.parent.parent.glob(".onlyone*"))
    assert snapshot(made) == before


def test_a_missing_picture_or_mask_stops_the_export_before_it_begins(deduplicated, target):
    made = deduplicated()
    sample = made.load_saved_view("dedup-kept").first()
    made.set_values("truth", {sample.id: fo.Segmentation(mask_path="/nowhere/mask.png")}, key_field="id")
    box = fo.Detection(label="x", bounding_box=[0, 0, 1, 1], mask_path="/nowhere/box.png")
    made.set_values("box", {sample.id: box}, key_field="id")
    refuse(made, target, "/nowhere/mask.png", dataset_type="FiftyOneDataset", label_field="truth")
    refuse(made, target, "/nowhere/box.png", dataset_type="COCODetectionDataset", label_field="box")
    Path(sample.filepath).unlink()
    for kind in ("ImageDirectory", "CVATImageDataset"):
        refuse(made, target, sample.filepath, dataset_type=kind)
    refuse(made, target, sample.filepath, dataset_type="CVATImageDataset", media="none")


@pytest.mark.parametrize(
    "labels",
    [
        fo.Detections(
            detections=[fo.Detection(label=name, bounding_box=[0, 0, 1, 1]) for name in ("car", None, "")]
        ),
        fo.Polyline(points=[[(0, 0), (1, 1)]]),
    ],
    ids=["boxes", "a polyline"],
)
def test_labels_without_a_class_are_refused_where_they_would_be_lost_or_named_none(
    deduplicated, target, labels
):
    made = deduplicated()
    sample = made.load_saved_view("dedup-kept").last()
    made.set_values("truth", {sample.id: labels}, key_field="id")
    for kind in ("YOLOv5Dataset", "COCODetectionDataset", "CVATImageDataset", "CSVDataset"):
        refuse(made, target, sample.filepath, dataset_type=kind, label_field="truth")
    export(made, target, dataset_type="FiftyOneDataset", label_field="truth")
    assert load(target, "FiftyOneDataset")[sample.id].truth == made[sample.id].truth


@pytest.mark.parametrize("kind", ["YOLOv5Dataset", "COCODetectionDataset"])
def test_a_class_without_a_number_is_refused(deduplicated, target, kind):
    made = deduplicated()
    made.set_values("truth", [fo.Classification(label="bus")] * len(made))
    options = {"dataset_type": kind, "label_field": "truth"}
    refuse(made, target, "'bus'", classes=["car"], **options)
    refuse(made, target, "'car'", classes=["car", "bus", "car"], **options)
    made.classes = {"truth": ["car"]}
    refuse(made, target, "'bus'", **options)
    assert export(made, target, classes=["car", "bus"], **options).kept == KEPT


def test_pictures_that_a_format_cannot_name_where_they_are_must_be_copied(deduplicated, target, tmp_path):
    made = deduplicated()
    made.set_values("truth", [fo.Classification(label="bus")] * len(made))
    twice = made.load_saved_view("dedup-kept").values("filepath")[
        3
    ]  # in its folder as the first one in another
    refuse(made, target, repr(twice), dataset_type="YOLOv5Dataset", label_field="truth", media="none")
    sample = made.load_saved_view("dedup-kept").first()
    odd = str(Path(sample.filepath).rename(tmp_path / "bell\x07.png"))
    made.set_values("filepath", {sample.id: odd}, key_field="id")
    refuse(made, target, repr(odd), dataset_type="CVATImageDataset", media="none")


def test_a_missing_dropped_picture_does_not_matter(deduplicated, target):
    made = deduplicated()
    Path(made.load_saved_view("dedup-duplicates").first().filepath).unlink()
    assert export(made, target).kept == KEPT


def test_a_kept_sample_deleted_by_hand_is_noticed(deduplicated, target):
    made = deduplicated()
    gone = made.load_saved_view("dedup-duplicates").first().dedup_kept_id
    made.delete_samples([gone])
    refuse(made, target, gone)


def test_the_keep_step_must_be_done(deduplicated, target):
    undecided = deduplicated()
    cluster(undecided)
    refuse(undecided, target, "keep_first_per_cluster")


def test_a_view_without_kept_samples_is_refused(deduplicated, target):
    with pytest.raises(ValueError, match="'dedup'"):
        export(deduplicated().load_saved_view("dedup-duplicates"), target)


def test_a_folder_that_is_not_empty_is_refused_and_kept(deduplicated, target):
    target.mkdir(parents=True)
    (target / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match=re.escape(str(target))):
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
        with pytest.raises(ValueError, match=re.escape(str(place))):
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
        with pytest.raises(ValueError, match=rf"/{Path(place).name}\b"):
            export(made, place)
    monkeypatch.setenv("HOME", str(plugins))
    with pytest.raises(ValueError, match=re.escape(str(plugins))):
        export(made, "~/x")


def test_a_place_nobody_can_write_to_is_refused(deduplicated):
    with pytest.raises(ValueError, match="/proc"):
        export(deduplicated(), "/proc/export", media="symlink")


def test_copies_that_do_not_fit_are_refused_first(deduplicated, target, tmp_path):
    made = deduplicated()
    sample = made.load_saved_view("dedup-kept").first()
    huge = tmp_path / "huge.png"
    huge.touch()
    os.truncate(huge, shutil.disk_usage(tmp_path).free)
    made.set_values("filepath", {sample.id: str(huge)}, key_field="id")
    refuse(made, target, str(tmp_path))
    assert export(made, target, media="symlink").pictures == KEPT


def test_labels_that_a_format_cannot_hold_are_refused_first(deduplicated, target):
    made = deduplicated()
    made.set_values("truth", [fo.Classification(label="a")] * len(made))
    made.set_values("mask", [fo.Segmentation(mask_path="/nowhere.png")] * len(made))
    refuse(made, target, "'nothing'", label_field="nothing")
    refuse(made, target, "'filepath'", label_field="filepath")
    for kind, field in {"ImageDirectory": "truth", "COCODetectionDataset": "mask"}.items():
        refuse(made, target, kind, dataset_type=kind, label_field=field)


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


def test_a_disk_that_takes_no_more_in_the_middle_is_named_and_leaves_nothing(deduplicated, target):
    made = deduplicated()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(activity, done, total):
        if activity == "Copying the pictures" and done == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))

    try:
        with pytest.raises(ValueError, match=rf"\.onlyone-partial-.*{os.strerror(errno.EFBIG)}"):
            export(made, target, fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not target.parent.exists()
    assert not list(target.parent.parent.glob(".onlyone*"))


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
options = importlib.import_module("{support.PACKAGE}.similarity.handover_options")
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
