import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests import support
from tests.deduplicated import DROPPED, KEPT, SKIPPED, cluster, export, keep_first, load, manifest, snapshot

import fiftyone as fo  # isort: skip

FORMATS = support.plugin("similarity.options").EXPORT_FORMATS


def label(made: fo.Dataset, kind: str = "Detections") -> None:
    """Give every other sample labels in the field ``truth``."""
    box = [0.1, 0.1, 0.5, 0.5]
    labels = {
        "Detections": lambda n: fo.Detections(detections=[fo.Detection(label=f"c{n % 2}", bounding_box=box)]),
        "Classification": lambda n: fo.Classification(label=f"c{n % 2}"),
        "Polylines": lambda n: fo.Polylines(
            polylines=[fo.Polyline(label="p", points=[[(0, 0), (1, 1), (0, 1)]])]
        ),
    }[kind]
    made.set_values("truth", [labels(n) if n % 4 == 0 else None for n in range(len(made))])


@pytest.mark.parametrize("media", ["copy", "symlink"])
@pytest.mark.parametrize("kind", FORMATS)
def test_unlabelled_kept_samples_come_back_from_every_format(deduplicated, target, kind, media):
    made = deduplicated()
    before = snapshot(made)
    result = export(made, target, dataset_type=kind, media=media)
    assert (result.kept, result.dropped, len(result.skipped)) == (KEPT, DROPPED, SKIPPED)
    assert result.pictures == KEPT
    loaded = load(target, kind)
    originals = {Path(path).read_bytes() for path in made.load_saved_view("dedup-kept").values("filepath")}
    assert len(loaded) == KEPT
    assert {Path(path).read_bytes() for path in loaded.values("filepath")} == originals
    exported = [target / row["exported"] for row in manifest(target) if row["exported"]]
    assert sorted(map(str, exported)) == sorted(loaded.values("filepath"))
    assert all(path.is_symlink() == (media == "symlink") for path in exported)
    assert snapshot(made) == before


@pytest.mark.parametrize(
    "kind", ["COCODetectionDataset", "YOLOv5Dataset", "CVATImageDataset", "FiftyOneDataset"]
)
def test_detections_come_back_and_no_unlabelled_sample_is_lost(deduplicated, target, kind):
    made = deduplicated()
    label(made)
    before = snapshot(made)
    export(made, target, dataset_type=kind, label_field="truth")
    loaded = load(target, kind)
    kept = made.load_saved_view("dedup-kept")
    field = (
        "truth"
        if kind == "FiftyOneDataset"
        else next(iter(loaded.get_field_schema(embedded_doc_type=fo.Detections)))
    )
    assert len(loaded) == KEPT
    assert loaded.count_values(f"{field}.detections.label") == kept.count_values("truth.detections.label")
    assert snapshot(made) == before


def test_polylines_come_back_from_cvat(deduplicated, target):
    made = deduplicated()
    label(made, "Polylines")
    export(made, target, dataset_type="CVATImageDataset", label_field="truth")
    loaded = load(target, "CVATImageDataset")
    assert (
        loaded.count("polylines.polylines") == made.load_saved_view("dedup-kept").count("truth.polylines") > 0
    )


@pytest.mark.parametrize("kind", ["ImageClassificationDirectoryTree", "CSVDataset", "CVATImageDataset"])
def test_classes_come_back(deduplicated, target, kind):
    made = deduplicated()
    label(made, "Classification")
    export(made, target, dataset_type=kind, label_field="truth")
    loaded = load(target, kind)
    path = {"ImageClassificationDirectoryTree": "ground_truth.label", "CSVDataset": "truth"}
    found = loaded.count_values(path.get(kind, "classifications.classifications.label"))
    found.pop(None, None)
    expected = made.load_saved_view("dedup-kept").count_values("truth.label")
    expected.pop(None, None)
    assert len(loaded) == KEPT
    assert found == expected


def test_classes_are_folders_even_if_their_names_are_paths(deduplicated, target):
    made = deduplicated()
    names = ["../up", "a/b", "A/B", ".hidden"]
    made.set_values("truth", [fo.Classification(label=names[n % 4]) for n in range(len(made))])
    export(made, target, dataset_type="ImageClassificationDirectoryTree", label_field="truth")
    assert len(load(target, "ImageClassificationDirectoryTree")) == KEPT
    assert {path.parent for path in target.parent.rglob("*.png")} <= {
        p for p in target.iterdir() if p.is_dir()
    }


@pytest.mark.parametrize("kind", FORMATS)
def test_without_media_no_picture_is_written(deduplicated, target, kind):
    made = deduplicated()
    result = export(made, target, dataset_type=kind, media="none")
    assert result.pictures == 0
    assert not list(target.rglob("*.png"))
    assert {row["exported"] for row in manifest(target)} == {""}
    if kind in ("COCODetectionDataset", "CVATImageDataset", "CSVDataset", "FiftyOneDataset"):
        (target / "data").mkdir(exist_ok=True)  # FiftyOne insists on it, though the paths are absolute
        loaded = load(target, kind)
        assert sorted(loaded.values("filepath")) == sorted(
            made.load_saved_view("dedup-kept").values("filepath")
        )


def test_sample_ids_survive_the_round_trip(deduplicated, tmp_path):
    made = deduplicated()
    kept = sorted(made.load_saved_view("dedup-kept").values("id"))
    export(made, tmp_path / "fiftyone", dataset_type="FiftyOneDataset")
    assert sorted(load(tmp_path / "fiftyone", "FiftyOneDataset").values("id")) == kept
    export(made, tmp_path / "csv", dataset_type="CSVDataset")
    with (tmp_path / "csv" / "labels.csv").open(newline="") as file:
        assert sorted(row["id"] for row in csv.DictReader(file)) == kept


def test_fiftyone_export_leaves_vectors_and_other_labels_out(deduplicated, target):
    made = deduplicated()
    label(made)
    made.set_values("weather", ["dry"] * len(made))
    export(made, target, dataset_type="FiftyOneDataset")
    schema = load(target, "FiftyOneDataset").get_field_schema()
    assert {"weather", "dedup_cluster", "tags"} <= set(schema)
    assert not {"vgg16", "truth"} & set(schema)


def test_manifest_names_every_sample_and_reconciles(deduplicated, target):
    made = deduplicated()
    export(made, target)
    rows = manifest(target)
    statuses = [row["status"] for row in rows]
    assert [row["id"] for row in rows] == sorted(made.values("id"))
    assert [statuses.count(word) for word in ("kept", "dropped", "skipped")] == [KEPT, DROPPED, SKIPPED]
    by_id = {row["id"]: row for row in rows}
    for row in rows:
        if row["status"] == "dropped":
            assert by_id[row["kept_id"]]["status"] == "kept"
            assert by_id[row["kept_id"]]["cluster"] == row["cluster"]
            assert 95 < float(row["similarity"]) <= 100
        if row["status"] == "skipped":
            assert row["reason"] == "no embedding: run compute_embeddings"
    assert all(bool(row["exported"]) == (row["status"] == "kept") for row in rows)


def test_clusters_are_listed_with_sizes_members_and_noise(deduplicated, target):
    made = deduplicated()
    export(made, target)
    told = json.loads((target / "clusters.json").read_text())
    assert (told["clusters"], told["noise"], told["samples"], told["eps"]) == (3, 2, 12, 0.05)
    assert told["options"]["cluster_duplicates"]["run_key"] == "dedup"
    assert told["versions"]["onlyone"]
    assert [cluster["size"] for cluster in told["members"]] == [3, 3, 3]
    with (target / "clusters.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["members"].split() for line in lines] == [cluster["members"] for cluster in told["members"]]
    labels = dict(zip(*made.values(["id", "dedup_cluster"]), strict=True))
    assert all({labels[i] for i in cluster["members"]} == {cluster["cluster"]} for cluster in told["members"])


def test_a_view_exports_only_its_own_kept_samples(deduplicated, target):
    made = deduplicated()
    result = export(made.limit(4), target)
    assert (result.samples, result.kept, result.dropped, len(result.skipped)) == (4, 2, 2, 0)
    assert len(manifest(target)) == 4


@pytest.mark.parametrize("kind", ["ImageDirectory", "COCODetectionDataset", "YOLOv5Dataset"])
def test_same_base_names_do_not_collide(deduplicated, target, tmp_path, kind):
    made = deduplicated()
    view = made.load_saved_view("dedup-kept")
    names = ["a/0001.png", "b/0001.png", "c/0001.PNG", "d/0001.jpg", "e/0001-2.png"]
    for sample, name in zip(view.iter_samples(), names, strict=True):
        (tmp_path / name).parent.mkdir()
        moved = shutil.copy(sample.filepath, tmp_path / name)
        made.set_values("filepath", {sample.id: str(moved)}, key_field="id")
    export(made, target, dataset_type=kind)
    rows = [row for row in manifest(target) if row["exported"]]
    stems = [Path(row["exported"]).stem.lower() for row in rows]
    assert len(set(stems)) == KEPT
    assert all((target / row["exported"]).read_bytes() == Path(row["filepath"]).read_bytes() for row in rows)
    assert len(load(target, kind)) == KEPT


def test_the_export_can_be_moved(deduplicated, target, tmp_path):
    made = deduplicated()
    for kind in (
        "COCODetectionDataset",
        "YOLOv5Dataset",
        "CVATImageDataset",
        "CSVDataset",
        "FiftyOneDataset",
    ):
        export(made, target, dataset_type=kind)
        moved = target.rename(tmp_path / kind)
        assert all(path.startswith(str(moved)) for path in load(moved, kind).values("filepath"))
        assert "onlyone-partial" not in "".join(
            path.read_text(errors="ignore") for path in moved.rglob("*") if path.suffix not in (".png", "")
        )


def test_the_same_export_twice_is_the_same(deduplicated, tmp_path):
    made = deduplicated()
    for name in ("one", "two"):
        export(made, tmp_path / name, dataset_type="YOLOv5Dataset")
    one, two = (
        {p.relative_to(tmp_path / name): p.read_bytes() for p in (tmp_path / name).rglob("*") if p.is_file()}
        for name in ("one", "two")
    )
    timed = {Path("report.html"), Path("report.json")}
    assert {name: content for name, content in one.items() if name not in timed} == {
        name: content for name, content in two.items() if name not in timed
    }
    assert set(one) == set(two)


def test_all_members_of_a_group_by_view_are_exported(deduplicated, target):
    made = deduplicated()
    made.set_values("camera", ["a", "b"] * 6)
    result = export(made.group_by("camera"), target, dataset_type="COCODetectionDataset")
    assert (result.samples, result.kept) == (12, KEPT)


@pytest.mark.parametrize("kind", FORMATS)
def test_the_active_slice_of_a_grouped_dataset_is_exported(dataset, pictures, target, kind):
    made = dataset()
    made.add_group_field("group", default="left")
    for left, right in zip(pictures(2, 2), pictures(2, 2, seed=7), strict=True):
        group = fo.Group()
        made.add_samples(
            [
                fo.Sample(filepath=str(path), group=group.element(name), vgg16=np.eye(3)[number])
                for path, name, number in ((left, "left", int(left.stem[6])), (right, "right", 2))
            ]
        )
    cluster(made)
    keep_first(made)
    assert export(made, target, dataset_type=kind).kept == 2
    assert len(load(target, kind)) == 2
    assert made.group_slice == "left"
    assert len(made.select_group_slices()) == 8


def test_names_stay_apart_without_case_and_extension_and_fit_the_file_system():
    names = support.plugin("similarity.exports.media").UniqueNames()
    given = [
        "a.jpg",
        "A.jpg",
        "a.png",
        "a-2.jpg",
        "é.jpg",
        "e\u0301.jpg",
        "x" * 250 + ".jpg",
        "x" * 250 + ".jpg",
    ]
    made = [names.name(name) for name in given]
    assert made[:4] == ["a.jpg", "A-2.jpg", "a-3.png", "a-2-2.jpg"]
    assert len({Path(name).stem.casefold() for name in made}) == len(given)
    assert all(len(name.encode()) <= 255 for name in made)


def test_pictures_of_a_kept_sample_are_upright_in_metadata_of_coco(deduplicated, target):
    made = deduplicated()
    export(made, target, dataset_type="COCODetectionDataset")
    told = json.loads((target / "labels.json").read_text())
    assert {(image["width"], image["height"]) for image in told["images"]} == {(64, 64)}
    assert told["annotations"] == []
    with Image.open(target / "data" / told["images"][0]["file_name"]) as picture:
        assert picture.size == (64, 64)


@pytest.mark.parametrize("kind", FORMATS)
def test_odd_file_names_survive_every_format(deduplicated, target, tmp_path, kind):
    made = deduplicated()
    odd = ["a & b <c>.png", "d\"e'f.png", "g,h;i.png", "日本語 ✓.png", "=1+1#%20?.png"]
    for sample, name in zip(made.load_saved_view("dedup-kept").iter_samples(), odd, strict=True):
        renamed = Path(sample.filepath).rename(tmp_path / name)
        made.set_values("filepath", {sample.id: str(renamed)}, key_field="id")
    export(made, target, dataset_type=kind)
    assert sorted(Path(path).name for path in load(target, kind).values("filepath")) == sorted(odd)
    assert sorted(Path(row["filepath"]).name for row in manifest(target) if row["exported"]) == sorted(odd)
