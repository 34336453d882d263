"""The export read back, as FiftyOne's importers and as annotation tools read it."""

import csv
import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from PIL import Image

from tests import support
from tests.deduplicated import DROPPED, KEPT, SKIPPED, cluster, export, keep_first, load, manifest, snapshot

import fiftyone as fo  # isort: skip

FORMATS = support.plugin("similarity.handover_options").EXPORT_FORMATS
COCO, YOLO, CVAT = "COCODetectionDataset", "YOLOv5Dataset", "CVATImageDataset"
CSV, FIFTYONE, TREE = "CSVDataset", "FiftyOneDataset", "ImageClassificationDirectoryTree"

BOX = [0.1, 0.1, 0.5, 0.5]
HOSTILE = [
    "north/frame000.png",
    "south/FRAME000.png",
    "a & b <c> \"d\" 'e',f;=1+1#%20?.png",
    "line\nbreak\rand\ttab\x01\x85.png",
    "日本語 ✓.png",
]


def kept(made: fo.Dataset) -> fo.DatasetView:
    return made.load_saved_view("dedup-kept")


def rename(made: fo.Dataset, names: list[str], folder: Path) -> None:
    """Give the kept samples' pictures other names."""
    for sample, name in zip(kept(made).iter_samples(), names, strict=True):
        (folder / name).parent.mkdir(exist_ok=True)
        moved = Path(sample.filepath).rename(folder / name)
        made.set_values("filepath", {sample.id: str(moved)}, key_field="id")


def boxes(*names: str | None, **others) -> fo.Detections:
    return fo.Detections(detections=[fo.Detection(label=name, bounding_box=BOX, **others) for name in names])


def set_kept(made: fo.Dataset, values: list, field: str = "truth") -> None:
    """Set a label field of the kept samples, in their order."""
    ids = kept(made).values("id")
    made.set_values(field, dict(zip(ids, values, strict=True)), key_field="id")


@pytest.mark.parametrize(
    ("kind", "media"), [*((kind, "copy") for kind in FORMATS), (COCO, "symlink"), (FIFTYONE, "symlink")]
)
def test_unlabelled_pictures_come_back_from_every_format_whatever_their_names(
    deduplicated, target, tmp_path, kind, media
):
    made = deduplicated()
    rename(made, HOSTILE, tmp_path)
    before = snapshot(made)

    result = export(made, target, dataset_type=kind, media=media)

    assert (result.kept, result.dropped, len(result.skipped)) == (KEPT, DROPPED, SKIPPED)
    assert result.pictures == KEPT
    moved = target.rename(tmp_path / "moved")
    rows = {row["id"]: row for row in manifest(moved)}
    assert {i: row["filepath"] for i, row in rows.items()} == dict(
        zip(*made.values(["id", "filepath"]), strict=True)
    )
    exported = {moved / row["exported"]: Path(row["filepath"]) for row in rows.values() if row["exported"]}
    assert len({str(path.with_suffix("")).casefold() for path in exported}) == KEPT
    assert all(path.name.isprintable() for path in exported)
    assert all(path.read_bytes() == original.read_bytes() for path, original in exported.items())
    assert all(path.is_symlink() == (media == "symlink") for path in exported)
    assert sorted(load(moved, kind).values("filepath")) == sorted(map(str, exported))
    assert snapshot(made) == before


def labelled(kind: str, number: int) -> fo.Label | None:
    """Labels for every other kept sample."""
    if number % 2:
        return None
    name = f"c{number}"
    return {
        "Detections": boxes(name),
        "Classification": fo.Classification(label=name),
        "Polylines": fo.Polylines(polylines=[fo.Polyline(label=name, points=[[(0, 0), (1, 1), (0, 1)]])]),
        "Keypoint": fo.Keypoint(label=name, points=[(0.5, 0.5)]),
    }[kind]


@pytest.mark.parametrize(
    ("kind", "labels", "path"),
    [
        (COCO, "Detections", "detections.detections.label"),
        (COCO, "Classification", "detections.detections.label"),
        (YOLO, "Detections", "ground_truth.detections.label"),
        (CVAT, "Detections", "detections.detections.label"),
        (CVAT, "Polylines", "polylines.polylines.label"),
        (CVAT, "Classification", "classifications.classifications.label"),
        (CVAT, "Keypoint", "keypoints.keypoints.label"),
        (CSV, "Detections", "truth"),
        (CSV, "Classification", "truth"),
        (TREE, "Classification", "ground_truth.label"),
        (FIFTYONE, "Detections", "truth.detections.label"),
    ],
)
def test_labels_come_back_to_their_pictures_and_no_unlabelled_picture_is_lost(
    deduplicated, target, kind, labels, path
):
    made = deduplicated()
    set_kept(made, [labelled(labels, number) for number in range(KEPT)])
    pictures = [Path(path).read_bytes() for path in kept(made).values("filepath")]
    expected = {picture: [] if n % 2 else [f"c{n}"] for n, picture in enumerate(pictures)}

    export(made, target, dataset_type=kind, label_field="truth")

    loaded = load(target, kind)
    found = zip(*loaded.values(["filepath", path]), strict=True)
    assert {Path(file).read_bytes(): classes(value) for file, value in found} == expected


def classes(value) -> list[str]:
    """The classes of one sample, in whatever form an importer gives them."""
    return value if isinstance(value, list) else value.split(",") if value else []


def numbers(folder: Path, kind: str) -> dict[str, int]:
    """The number of each class, as a trainer reads it."""
    if kind == YOLO:
        names = yaml.safe_load((folder / "dataset.yaml").read_text(encoding="utf-8"))["names"]
        return {name: number for number, name in names.items()}
    told = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    return {category["name"]: category["id"] for category in told["categories"]}


@pytest.mark.parametrize(
    ("kind", "first", "declared"),
    [
        *((YOLO, 0, where) for where in ("for the field", "by default", "in the option", "nowhere")),
        (COCO, 1, "for the field"),
        (COCO, 1, "nowhere"),
    ],
)
def test_a_class_has_the_same_number_in_every_export_of_a_dataset(
    deduplicated, tmp_path, kind, first, declared
):
    made = deduplicated()
    order = ["person", "car", "truck", "bus"]
    dropped = made.load_saved_view("dedup-duplicates").first()
    made.set_values("truth", {dropped.id: boxes("car")}, key_field="id")
    set_kept(made, [boxes("truck"), boxes("person", "bus"), None, boxes("bus"), None])
    if declared == "for the field":
        made.classes, made.default_classes = {"truth": order}, ["other"]
    elif declared == "by default":
        made.default_classes = order
    elif declared == "nowhere":
        order = sorted(set(order))
    options = {"classes": order} if declared == "in the option" else {}

    for name, view in {"all": made, "one": kept(made).limit(1)}.items():
        export(view, tmp_path / name, dataset_type=kind, label_field="truth", **options)

    expected = {name: number for number, name in enumerate(order, first)}
    assert numbers(tmp_path / "all", kind) == numbers(tmp_path / "one", kind) == expected
    if kind == YOLO:
        row = next(row for row in manifest(tmp_path / "one") if row["exported"])
        lines = (tmp_path / "one" / "labels" / "val" / Path(row["exported"]).name).with_suffix(".txt")
        assert lines.read_text().split()[0] == str(order.index("truck"))


def test_an_unlabelled_export_names_the_classes_that_the_dataset_declares(deduplicated, target):
    made = deduplicated()
    made.default_classes = ["person", "car"]
    export(made, target, dataset_type=YOLO)
    assert numbers(target, YOLO) == {"person": 0, "car": 1}


@pytest.fixture
def masked(deduplicated, tmp_path):
    """``masked("Segmentation")``: the kept samples have masks in files, two of them of one name."""

    make_label = {
        "Segmentation": lambda file: fo.Segmentation(mask_path=file),
        "Heatmap": lambda file: fo.Heatmap(map_path=file),
        "Detections": lambda file: boxes("x", mask_path=file),
        "Detection": lambda file: fo.Detection(label="x", bounding_box=BOX, mask_path=file),
    }

    def make(kind: str) -> fo.Dataset:
        made = deduplicated()
        files = [tmp_path / f"masks{number}" / "mask.png" for number in range(KEPT)]
        for number, file in enumerate(files):
            file.parent.mkdir()
            pixels = np.full((32, 32), 255, np.uint8)
            pixels[number:, :] = 0
            Image.fromarray(pixels).save(file)
        set_kept(made, [make_label[kind](str(file)) for file in files])
        return made

    return make


def mask_of(label: fo.Label) -> bytes:
    found = label.detections[0] if isinstance(label, fo.Detections) else label
    return Path(found.map_path if isinstance(found, fo.Heatmap) else found.mask_path).read_bytes()


@pytest.mark.parametrize(
    ("kind", "media"),
    [
        *((kind, "copy") for kind in ("Segmentation", "Heatmap", "Detections", "Detection")),
        ("Detections", "symlink"),
        ("Segmentation", "none"),
    ],
)
def test_masks_in_files_go_with_a_fiftyone_export(masked, target, tmp_path, kind, media):
    made = masked(kind)
    expected = {sample.id: mask_of(sample.truth) for sample in kept(made)}
    export(made, target, dataset_type=FIFTYONE, label_field="truth", media=media)
    if media == "copy":
        for folder in tmp_path.glob("masks*"):
            shutil.rmtree(folder)
    loaded = load(target, FIFTYONE)
    assert {sample.id: mask_of(sample.truth) for sample in loaded} == expected
    inside = [file for file in target.rglob("mask*.png") if file.is_symlink() == (media == "symlink")]
    assert len(inside) == (0 if media == "none" else KEPT)


def test_masks_are_outlines_in_coco_and_are_counted_where_only_their_boxes_go(masked, tmp_path):
    made = masked("Detections")
    results = {
        kind: export(made, tmp_path / kind, dataset_type=kind, label_field="truth")
        for kind in (COCO, YOLO, CVAT)
    }
    assert {kind: result.masks_lost for kind, result in results.items()} == {COCO: 0, YOLO: KEPT, CVAT: KEPT}
    told = json.loads((tmp_path / COCO / "labels.json").read_text(encoding="utf-8"))
    assert [len(annotation["segmentation"]) for annotation in told["annotations"]] == [0, 1, 1, 1, 1]


def test_a_fiftyone_export_is_the_persons_dataset_again(deduplicated, target, tmp_path):
    made = deduplicated()
    made.set_values("truth", [boxes("car")] * len(made))
    made.set_values("weather", ["dry"] * len(made))
    made.add_sample_field("vgg16_digest", fo.StringField, info={"onlyone": {"beside": "vgg16"}})
    made.description, made.tags = "Two weeks of May", ["traffic"]
    made.info = {"camera": "north", "onlyone_archive": {"id": "x"}}
    made.default_classes = ["car", "bus"]
    made.app_config.sidebar_groups = [fo.SidebarGroupDocument(name="mine", paths=["weather", "truth"])]
    made.save()

    export(made, target, dataset_type=FIFTYONE)
    loaded = load(target, FIFTYONE)

    assert (loaded.description, loaded.tags, loaded.info) == (
        "Two weeks of May",
        ["traffic"],
        {"camera": "north"},
    )
    assert loaded.default_classes == ["car", "bus"]
    assert [group.paths for group in loaded.app_config.sidebar_groups] == [["weather"]]
    assert sorted(loaded.values("id")) == sorted(kept(made).values("id"))
    assert set(loaded.values("weather")) == {"dry"}
    schema = set(loaded.get_field_schema())
    assert {"dedup_cluster", "tags"} <= schema
    assert not {"vgg16", "vgg16_digest", "truth"} & schema


def test_no_export_deletes_an_imported_and_annotated_export(deduplicated, tmp_path):
    made = deduplicated()
    export(made, tmp_path / "one", dataset_type=FIFTYONE)
    mine = fo.Dataset.from_dir(str(tmp_path / "one"), fo.types.FiftyOneDataset, name=f"loaded-{made.name}")
    mine.name = f"{made.name}-dedup-kept"
    try:
        mine.persistent = True
        mine.set_values("truth", [fo.Classification(label="car")] * KEPT)
        before = snapshot(mine)
        for kind in FORMATS:
            export(made, tmp_path / kind, dataset_type=kind)
        assert snapshot(mine) == before
        mine.add_sample_field("vgg16", fo.VectorField)
        mine.set_values("vgg16", kept(made).values("vgg16"))
        cluster(mine)
        keep_first(mine)
        export(mine, tmp_path / "again", dataset_type=FIFTYONE, label_field="truth")
        assert load(tmp_path / "again", FIFTYONE).count("truth") == KEPT
    finally:
        mine.delete()


def test_cvat_reads_every_text_of_a_label(deduplicated, target):
    made = deduplicated()
    texts = ["<\"&'>", "two\nlines", "tab\t", "日本語"]
    set_kept(made, [boxes(*texts), boxes("bell\x07"), None, None, None])
    export(made, target, dataset_type=CVAT, label_field="truth")
    root = ElementTree.parse(target / "labels.xml").getroot()
    assert [box.get("label") for box in root.iter("box")] == [*texts, "bell\ufffd"]
    assert {name.text for name in root.findall("meta/task/labels/label/name")} == {*texts, "bell\ufffd"}
    assert len(root.findall("image")) == KEPT


def test_classes_are_folders_even_if_their_names_are_paths(deduplicated, target):
    made = deduplicated()
    set_kept(
        made, [fo.Classification(label=name) for name in ("../up", "a/b", "A/B", ".hidden", "two\nlines")]
    )
    export(made, target, dataset_type=TREE, label_field="truth")
    assert len(load(target, TREE).distinct("ground_truth.label")) == KEPT
    assert {path.parent.parent for path in target.parent.rglob("*.png")} == {target}


@pytest.mark.parametrize("kind", FORMATS)
def test_without_media_no_picture_is_written(deduplicated, target, kind):
    made = deduplicated()
    result = export(made, target, dataset_type=kind, media="none")
    assert result.pictures == 0
    assert not list(target.rglob("*.png"))
    assert {row["exported"] for row in manifest(target)} == {""}
    if kind in (COCO, CVAT, CSV, FIFTYONE):
        (target / "data").mkdir(exist_ok=True)  # FiftyOne insists on it, though the paths are absolute
        assert sorted(load(target, kind).values("filepath")) == sorted(kept(made).values("filepath"))


def test_the_csv_names_the_samples(deduplicated, target):
    made = deduplicated()
    export(made, target, dataset_type=CSV)
    with (target / "labels.csv").open(newline="", encoding="utf-8") as file:
        found = {row["id"]: f"data/{row['filepath']}" for row in csv.DictReader(file)}
    assert found == {row["id"]: row["exported"] for row in manifest(target) if row["exported"]}


def test_coco_has_the_size_of_the_upright_picture(deduplicated, target):
    made = deduplicated()
    turned = Image.new("RGB", (30, 20))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(kept(made).first().filepath, "JPEG", exif=exif)
    set_kept(made, [fo.ImageMetadata()] * KEPT, "metadata")
    export(made, target, dataset_type=COCO)
    told = json.loads((target / "labels.json").read_text(encoding="utf-8"))
    assert {(image["width"], image["height"]) for image in told["images"]} == {(20, 30), (64, 64)}
    assert told["annotations"] == []


def test_the_manifest_names_every_sample_and_reconciles(deduplicated, target):
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
    assert all(bool(row["exported"]) == (row["status"] == "kept") for row in rows)


def test_clusters_are_listed_with_sizes_members_and_noise(deduplicated, target):
    made = deduplicated()
    export(made, target)
    told = json.loads((target / "clusters.json").read_text(encoding="utf-8"))
    assert (told["clusters"], told["noise"], told["samples"], told["eps"]) == (3, 2, 12, 0.05)
    assert told["options"]["cluster_duplicates"]["run_key"] == "dedup"
    assert told["versions"]["onlyone"]
    assert [cluster["size"] for cluster in told["members"]] == [3, 3, 3]
    with (target / "clusters.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [line["members"].split() for line in lines] == [cluster["members"] for cluster in told["members"]]
    labels = dict(zip(*made.values(["id", "dedup_cluster"]), strict=True))
    assert all({labels[i] for i in cluster["members"]} == {cluster["cluster"]} for cluster in told["members"])


def test_the_same_export_twice_is_the_same(deduplicated, tmp_path):
    made = deduplicated()
    one, two = (
        {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in (export(made, tmp_path / name, dataset_type=YOLO) and tmp_path / name).rglob("*")
            if path.is_file() and path.name not in ("report.html", "report.json")  # they have a time
        }
        for name in ("one", "two")
    )
    assert one == two


@pytest.mark.parametrize("kind", [COCO, FIFTYONE, CSV])
def test_a_view_exports_its_own_kept_samples_each_once(deduplicated, target, kind):
    made = deduplicated()
    few = made.limit(4)
    result = export(few.concat(few), target, dataset_type=kind)
    assert (result.samples, result.kept, result.dropped, len(result.skipped)) == (4, 2, 2, 0)
    assert len(manifest(target)) == 4
    assert len(load(target, kind)) == 2


def test_all_members_of_a_group_by_view_are_exported(deduplicated, target):
    made = deduplicated()
    made.set_values("camera", ["a", "b"] * 6)
    result = export(made.group_by("camera"), target, dataset_type=COCO)
    assert (result.samples, result.kept) == (12, KEPT)


@pytest.mark.parametrize("kind", [COCO, FIFTYONE])
def test_the_active_slice_of_a_grouped_dataset_is_exported(dataset, pictures, target, kind):
    made = dataset()
    made.add_group_field("group", default="left")
    for left, right in zip(pictures(2, 2), pictures(2, 2, seed=7), strict=True):
        group = fo.Group()
        made.add_samples(
            [
                fo.Sample(
                    filepath=str(left), group=group.element("left"), vgg16=np.eye(3)[int(left.stem[6])]
                ),
                fo.Sample(filepath=str(right), group=group.element("right"), vgg16=np.eye(3)[2]),
                fo.Sample(filepath="/nowhere.mp4", group=group.element("film")),
            ]
        )
    cluster(made)
    keep_first(made)

    assert export(made, target, dataset_type=kind).kept == 2

    loaded = load(target, kind)
    assert (len(loaded), loaded.media_type) == (2, "image")
    assert not list(target.glob("frames*"))
    assert made.group_slice == "left"
    assert len(made.select_group_slices(_allow_mixed=True)) == 12


def test_names_stay_apart_without_case_and_extension_and_fit_the_file_system():
    names = support.plugin("similarity.exports.media").UniqueNames()
    given = [
        "a.jpg",
        "A.jpg",
        "a.png",
        "a-2.jpg",
        "é.jpg",
        "e\u0301.jpg",
        *["x" * 250 + ".jpg"] * 2,
        "b\n.jpg",
        "b_.jpg",
    ]
    made = [names.name(name) for name in given]
    assert made[:4] == ["a.jpg", "A-2.jpg", "a-3.png", "a-2-2.jpg"]
    assert len({Path(name).stem.casefold() for name in made}) == len(given)
    assert all(len(name.encode()) <= 255 and name.isprintable() for name in made)
