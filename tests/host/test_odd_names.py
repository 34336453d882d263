"""Exports of pictures and classes with names that importers take for something else."""

import csv
import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests import support
from tests.deduplicated import KEPT, export, load, manifest
from tests.host.test_export import (
    COCO,
    CSV,
    CVAT,
    FIFTYONE,
    FORMATS,
    TREE,
    YOLO,
    boxes,
    kept,
    rename,
    set_kept,
)

import fiftyone as fo  # isort: skip


def load_labels(made, folder, **options):
    chosen = support.plugin("similarity.handover_options").AnnotationsOptions(
        **{"export_dir": str(folder), "label_field": "again", "confirm": True, **options}
    )
    return support.plugin("similarity.steps.annotations").load_annotations(made, chosen)


@pytest.mark.parametrize("kind", FORMATS)
def test_hidden_pictures_and_those_without_an_extension_come_back_from_every_format(
    deduplicated, target, tmp_path, kind
):
    made = deduplicated()
    rename(made, [".x.png", "plain", "photo", "d.png", ".profile"], tmp_path)
    Image.new("RGB", (20, 10)).save(tmp_path / "photo", "JPEG")
    export(made, target, dataset_type=kind)
    exported = {Path(row["exported"]).name for row in manifest(target) if row["exported"]}
    assert exported == {"_.x.png", "plain.png", "photo.jpg", "d.png", "_.profile.png"}
    loaded = load(target, kind)
    assert (len(loaded), loaded.media_type) == (KEPT, "image")


def test_pictures_whose_format_nobody_knows_are_refused_unless_they_have_an_extension(
    deduplicated, target, tmp_path
):
    made = deduplicated()
    rename(made, ["plain", "b.png", "c.png", "d.png", "e.png"], tmp_path)
    for kind in (COCO, YOLO, CVAT, CSV):
        with pytest.raises(ValueError, match=rf"{kind} cannot name .*plain.*copy"):
            export(made, target, dataset_type=kind, media="none")
    (tmp_path / "plain").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="plain has no extension"):
        export(made, target)
    (tmp_path / "plain").unlink()
    with pytest.raises(ValueError, match=r"1 file is missing(?s:.*)plain"):
        export(made, target)
    assert not target.exists()


def test_labels_of_yolo_come_back_to_pictures_that_are_called_as_its_lists_are(
    deduplicated, target, tmp_path
):
    made = deduplicated()
    rename(made, ["test.png", "train.png", "val.png", "classes.png", "valid.png"], tmp_path)
    set_kept(made, [boxes("car"), boxes("bus"), boxes("car"), boxes("car", "bus"), fo.Detections()])
    export(made, target, dataset_type=YOLO, label_field="truth")
    result = load_labels(made, target)
    assert (result.samples, result.labels, result.not_annotated) == (KEPT, 5, {})
    assert kept(made).values("again.detections.label") == kept(made).values("truth.detections.label")
    flat = tmp_path / "flat"
    shutil.copytree(target / "labels/val", flat)
    (flat / "classes.txt").rename(flat / "classes-2.txt")
    shutil.copy(target / "dataset.yaml", flat)
    (flat / "classes.txt").write_text("bus\ncar\n")
    (flat / "train.txt").write_text("./images/1 2 3 4 5.png\n")
    result = load_labels(made, target, label_field="flat", labels_path=str(flat))
    assert (result.samples, list(result.without_sample)) == (3, ["classes-2"])


def test_a_class_may_be_called_as_the_folders_of_an_export_are(deduplicated, target, tmp_path):
    made = deduplicated()
    names = ["_unlabeled", "_UNLABELED", "data", "d", None]
    set_kept(made, [name and fo.Classification(label=name) for name in names])
    export(made, target, dataset_type=TREE, label_field="truth")
    assert load(target, TREE).count("ground_truth.label") == 4
    result = load_labels(made, target)
    assert (result.samples, len(result.not_annotated)) == (4, 1)
    assert kept(made).values("again.label") == names
    set_kept(made, [fo.Classification(label="data")] * KEPT)
    export(made, tmp_path / "data only", dataset_type=TREE, label_field="truth")
    result = load_labels(made, tmp_path / "data only", label_field="data")
    assert (result.dataset_type, result.samples) == (TREE, KEPT)


def test_classes_with_commas_stay_apart_in_a_table(deduplicated, target):
    made = deduplicated()
    set_kept(made, [boxes("a,b", "c"), boxes("a", "b"), boxes('"'), boxes(), None])
    export(made, target, dataset_type=CSV, label_field="truth")
    with (target / "labels.csv").open(newline="", encoding="utf-8") as file:
        found = {row["id"]: row["truth"] for row in csv.DictReader(file)}
    assert [found[i] for i in kept(made).values("id")] == ['["a,b", "c"]', "a,b", '"', "", ""]


def test_folders_are_found_however_they_are_written(deduplicated, tmp_path, monkeypatch):
    made = deduplicated()
    monkeypatch.chdir(tmp_path)
    set_kept(made, [fo.Classification(label="a")] * KEPT)
    export(made, tmp_path / "x", dataset_type=TREE, label_field="truth")
    for number, (folder, labels) in enumerate([("x", None), ("./y/../x", None), ("x", "x"), ("x", "y/../x")]):
        result = load_labels(made, folder, label_field=f"f{number}", labels_path=labels)
        assert (result.samples, result.export_dir) == (KEPT, str(tmp_path / "x"))


def test_a_folder_of_an_unknown_user_is_refused_by_name(deduplicated, target):
    made = deduplicated()
    export(made, target)
    for step in (
        lambda: export(made, "~nobody99/x"),
        lambda: load_labels(made, "~nobody99/x"),
        lambda: load_labels(made, target, labels_path="~nobody99/x"),
    ):
        with pytest.raises(ValueError, match="~nobody99/x cannot be found"):
            step()


def test_paths_of_masks_are_absolute_wherever_labels_are_loaded_from(deduplicated, tmp_path, monkeypatch):
    made = deduplicated()
    Image.new("L", (8, 8), 255).save(tmp_path / "mask.png")
    set_kept(made, [fo.Segmentation(mask_path=str(tmp_path / "mask.png"))] * KEPT)
    export(made, tmp_path / "x", dataset_type=FIFTYONE, label_field="truth")
    monkeypatch.chdir(tmp_path)
    load_labels(made, "x", labels_path="./x")
    assert all(Path(path).is_absolute() for path in kept(made).values("again.mask_path"))
    assert all(Path(path).is_file() for path in kept(made).values("again.mask_path"))
