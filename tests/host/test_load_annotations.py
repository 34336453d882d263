"""Whole trips: an export, annotation files as the tools write them, and the labels back on the samples."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from tests import support
from tests.deduplicated import cluster, export, keep_first, manifest
from tests.vectors import documents

import fiftyone as fo  # isort: skip

WIDTH, HEIGHT = 48, 32
CLASSES = ["bus", "car", "person"]
COCO, YOLO, CVAT = "COCODetectionDataset", "YOLOv5Dataset", "CVATImageDataset"
FIFTYONE, TREE = "FiftyOneDataset", "ImageClassificationDirectoryTree"
NAMES = [*(f"{camera}/frame00{n}.png" for camera in ("north", "south") for n in range(3)), "north/near.png"]
DRAWN = {
    "north/frame000.png": [("car", (4, 8, 12, 16)), ("bus", (0, 0, 48, 32))],
    "north/frame001.png": [("person", (24, 2, 6, 20))],
    "north/frame002.png": [],
    "south/frame000.png": [("bus", (6, 6, 30, 18))],
    "south/frame001.png": [("car", (1, 2, 3, 4))],
}
"""What the annotators draw, in pixels: nothing in one picture; they never open south/frame002.png."""


@pytest.fixture
def cameras(dataset, tmp_path):
    """Two cameras with equal file names, of which one picture is left out for north/frame000.png."""
    rng = np.random.default_rng(51)
    for name in NAMES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        pixels = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
    made = dataset([tmp_path / name for name in NAMES])
    vectors = [*np.eye(8, dtype=np.float32)[:6], np.eye(8, dtype=np.float32)[0]]
    made.set_values("vgg16", vectors)
    cluster(made)
    keep_first(made)
    return made


def load(made, folder, **options):
    chosen = support.plugin("similarity.handover_options").AnnotationsOptions(
        **{"export_dir": str(folder), "label_field": "truth", **options}
    )
    return support.plugin("similarity.steps.annotations").load_annotations(made, chosen)


def original(sample) -> str:
    """A sample's camera and file."""
    return "/".join(Path(sample.filepath).parts[-2:])


def exported(folder: Path) -> dict[str, str]:
    """Camera and file -> the picture in the export."""
    return {
        "/".join(Path(row["filepath"]).parts[-2:]): row["exported"]
        for row in manifest(folder)
        if row["exported"]
    }


def drawn(folder: Path) -> list[tuple[str, list]]:
    """The exported pictures that are annotated, with what is drawn in them."""
    return [(exported(folder)[name], boxes) for name, boxes in DRAWN.items()]


def loaded(made, field="truth") -> dict[str, list]:
    """Camera and file -> classes and boxes in pixels, of the samples that have a label or an empty list of them."""
    made.reload()
    return {
        original(sample): [
            (one.label, tuple(np.round(np.multiply(one.bounding_box, [WIDTH, HEIGHT] * 2), 3)))
            for one in sample[field].detections
        ]
        for sample in made
        if sample[field] is not None
    }


def cvat(folder: Path, out: Path, name=Path) -> dict:
    """What CVAT gives as "CVAT for images 1.1"."""
    images = []
    for number, (picture, boxes) in enumerate(drawn(folder)):
        shapes = "".join(
            f'<box label="{label}" source="manual" occluded="0" xtl="{x}.00" ytl="{y}.00" xbr="{x + w}.00" '
            f'ybr="{y + h}.00" z_order="0"><attribute name="color">red</attribute></box>'
            for label, (x, y, w, h) in boxes
        )
        images.append(
            f'<image id="{number}" name="{name(picture)}" width="{WIDTH}" height="{HEIGHT}">{shapes}</image>'
        )
    labels = "".join(f"<label><name>{label}</name></label>" for label in CLASSES)
    out.mkdir(exist_ok=True)
    (out / "annotations.xml").write_text(
        "<?xml version='1.0' encoding='utf-8'?><annotations><version>1.1</version><meta><task>"
        f"<labels>{labels}</labels></task></meta>{''.join(images)}</annotations>"
    )
    return {"labels_path": str(out / "annotations.xml")}


def prefixed(picture: str) -> str:
    """A name as Label Studio makes it."""
    return f"images/{abs(hash(picture)) % 16**8:08x}-{Path(picture).name}"


def coco(folder: Path, out: Path, name=prefixed) -> dict:
    """What Label Studio gives as COCO: categories from 0, in an order of its own."""
    classes, images, annotations = CLASSES[::-1], [], []
    for number, (picture, boxes) in enumerate(drawn(folder)):
        images.append({"id": number, "file_name": name(picture), "width": WIDTH, "height": HEIGHT})
        for label, box in boxes:
            shape = {"bbox": list(box), "segmentation": [], "area": box[2] * box[3], "iscrowd": 0}
            kind = classes.index(label)
            annotations.append({"id": len(annotations), "image_id": number, "category_id": kind, **shape})
    told = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": number, "name": label} for number, label in enumerate(classes)],
    }
    out.mkdir(exist_ok=True)
    (out / "result.json").write_text(json.dumps(told))
    return {"labels_path": str(out / "result.json")}


def yolo_files(folder: Path, out: Path, classes: list[str], name) -> dict:
    for picture, boxes in drawn(folder):
        file = out / name(picture).with_suffix(".txt")
        file.parent.mkdir(parents=True, exist_ok=True)
        rows = [
            f"{classes.index(label)} {(x + w / 2) / WIDTH} {(y + h / 2) / HEIGHT} {w / WIDTH} {h / HEIGHT}\n"
            for label, (x, y, w, h) in boxes
        ]
        file.write_text("".join(rows))
    return {"labels_path": str(out)}


def label_studio_yolo(folder: Path, out: Path) -> dict:
    given = yolo_files(folder, out, CLASSES[::-1], lambda one: Path("labels") / Path(prefixed(one)).name)
    (out / "classes.txt").write_text("\n".join(CLASSES[::-1]) + "\n")
    (out / "notes.json").write_text("{}")
    return given


def ultralytics(folder: Path, out: Path) -> dict:
    order = ["car", "person", "bus"]
    given = yolo_files(folder, out, order, lambda one: Path("labels/train") / Path(one).name)
    told = {"names": dict(enumerate(order)), "path": ".", "train": "train.txt"}
    (out / "data.yaml").write_text(yaml.safe_dump(told))
    (out / "train.txt").write_text("\n".join(f"data/images/train/{Path(p).name}" for p, _ in drawn(folder)))
    return given


def own_yolo(folder: Path, out: Path) -> dict:
    """Label files in the export itself, by the class numbers of the export, which has one for each picture."""
    yolo_files(folder, folder, CLASSES, lambda one: Path(one.replace("images", "labels", 1)))
    (folder / "labels/val/frame002-2.txt").unlink()
    return {}


def fiftyone(folder: Path, out: Path) -> dict:
    """Another FiftyOne, in which the export is annotated and exported again."""
    other = fo.Dataset.from_dir(str(folder), fo.types.FiftyOneDataset, name=f"loaded-{folder.parent.name}")
    try:
        for picture, boxes in drawn(folder):
            sample = other[str(folder / picture)]
            sample["boxes"] = fo.Detections(
                detections=[
                    fo.Detection(
                        label=label, bounding_box=list(np.divide(box, [WIDTH, HEIGHT] * 2)), color="red"
                    )
                    for label, box in boxes
                ]
            )
            sample.save()
        other.export(str(out), fo.types.FiftyOneDataset, export_media=False)
    finally:
        other.delete()
    return {"labels_path": str(out)}


@pytest.mark.parametrize(
    ("kind", "annotate"),
    [
        ("ImageDirectory", cvat),
        (CVAT, cvat),
        ("ImageDirectory", coco),
        (COCO, lambda folder, out: coco(folder, out, lambda one: Path(one).name)),
        ("ImageDirectory", lambda folder, out: coco(folder, out, lambda one: rf"C:\jobs\{Path(one).name}")),
        ("ImageDirectory", label_studio_yolo),
        (YOLO, ultralytics),
        (YOLO, own_yolo),
        (FIFTYONE, fiftyone),
    ],
)
def test_what_is_drawn_comes_back_to_the_pictures_that_it_was_drawn_in(cameras, tmp_path, kind, annotate):
    cameras.default_classes = CLASSES
    export(cameras, tmp_path / "export", dataset_type=kind)
    options = annotate(tmp_path / "export", tmp_path / "annotated")
    before = documents(cameras)

    plan = load(cameras, tmp_path / "export", **options)
    assert not plan.confirmed
    assert documents(cameras) == before
    assert not cameras.has_sample_field("truth")

    cameras.shuffle(seed=1).set_values("note", ["x"] * 7)
    result = load(cameras, tmp_path / "export", confirm=True, plan=plan.plan, **options)

    assert loaded(cameras) == DRAWN
    assert (
        (result.labels, result.samples, result.empty) == (5, 5, 1) == (plan.labels, plan.samples, plan.empty)
    )
    assert [original(cameras[i]) for i in result.not_annotated] == ["south/frame002.png"]
    assert (result.without_sample, result.changed, result.left_out) == ({}, [], {})
    after = {
        i: {k: v for k, v in found.items() if k not in ("truth", "note")}
        for i, found in documents(cameras).items()
    }
    assert after == {i: {k: v for k, v in found.items() if k != "note"} for i, found in before.items()}
    if annotate in (cvat, fiftyone):
        assert set(cameras.distinct("truth.detections.color")) == {"red"}

    again = load(cameras, tmp_path / "export", confirm=True, overwrite=True, **options)
    assert (again.samples, again.unchanged, again.changed) == (0, 5, [])


@pytest.fixture
def annotated(cameras, tmp_path):
    """The cameras, exported as plain pictures and annotated in CVAT; the options that load it."""
    export(cameras, tmp_path / "export")
    return cameras, {"folder": tmp_path / "export", **cvat(tmp_path / "export", tmp_path / "cvat")}


def test_earlier_labels_stay_and_are_counted_unless_they_are_to_be_replaced(annotated):
    made, given = annotated
    earlier = {"north/frame000.png": [("mine", (0.0, 0.0, 24.0, 16.0))]}
    sample = made.match(fo.ViewField("filepath").ends_with("north/frame000.png")).first()
    sample["truth"] = fo.Detections(detections=[fo.Detection(label="mine", bounding_box=[0, 0, 0.5, 0.5])])
    sample.save()

    kept = load(made, confirm=True, **given)
    assert loaded(made) == DRAWN | earlier
    assert (kept.samples, kept.changed) == (4, [sample.id])
    replaced = load(made, confirm=True, overwrite=True, **given)
    assert loaded(made) == DRAWN
    assert (replaced.samples, replaced.changed, replaced.unchanged) == (1, [sample.id], 4)


def test_only_the_plan_that_was_shown_is_carried_out(annotated):
    made, given = annotated
    plan = load(made, **given).plan
    made.add_sample_field("truth", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    made.set_values(
        "truth", {made.first().id: fo.Detections(detections=[fo.Detection(label="x")])}, key_field="id"
    )
    before = documents(made)
    with pytest.raises(ValueError, match=plan):
        load(made, confirm=True, plan=plan, **given)
    again = load(made, **given).plan
    file = Path(given["labels_path"])
    file.write_text(file.read_text().replace("person", "dog"))
    with pytest.raises(ValueError, match=again):
        load(made, confirm=True, plan=again, **given)
    assert documents(made) == before


def test_samples_that_are_gone_are_listed_and_another_dataset_is_refused(annotated, dataset):
    made, given = annotated
    gone = made.match(fo.ViewField("filepath").ends_with("south/frame000.png"))
    made.delete_samples(gone)
    cluster(made)
    keep_first(made, order_by="pixels")
    result = load(made, confirm=True, **given)
    assert loaded(made) == {name: boxes for name, boxes in DRAWN.items() if name != "south/frame000.png"}
    assert list(result.without_sample) == ["data/frame000-2.png"]
    assert "deleted" in result.without_sample["data/frame000-2.png"]
    assert len(made) == 6
    other = dataset(made.values("filepath"))
    with pytest.raises(ValueError, match=f"{other.name!r}"):
        load(other, **given)


def test_labels_reach_a_sample_that_was_removed_and_brought_back(cameras, tmp_path):
    export(cameras, tmp_path / "export")
    given = cvat(tmp_path / "export", tmp_path / "cvat")
    call = support.foo.get_operator
    cameras.set_values("vgg16", [np.eye(8, dtype=np.float32)[n // 2] for n in range(7)])
    for name in ("cluster_duplicates", "keep_first_per_cluster", "remove_duplicates"):
        options = {"cluster_duplicates": {"eps": 0.05}, "remove_duplicates": {"confirm": True}}
        call(support.uri(name))(cameras, **options.get(name, {}))
    assert len(cameras) < 6
    left = load(cameras, tmp_path / "export", confirm=True, **given)
    (reason,) = set(left.without_sample.values())
    assert "in an archive" in reason
    call(support.uri("restore_removed"))(cameras)
    load(cameras, tmp_path / "export", confirm=True, **given)
    assert loaded(cameras) == DRAWN


@pytest.mark.parametrize(
    ("names", "other", "reason"),
    [
        (["aaaaaaaa-frame000.png", "bbbbbbbb-frame000.png"], "cccccccc-frame001.png", "2 names"),
        (["jobs/south/frame000.png"], "data/frame001.png", "2 pictures"),
        (["frame000.jpg", "frame9.png"], "data/frame001.png", "no picture"),
    ],
)
def test_ambiguous_and_unknown_names_are_listed_never_guessed(cameras, tmp_path, names, other, reason):
    export(cameras, tmp_path / "export")
    told = {
        "images": [
            {"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT}
            for number, name in enumerate([*names, other])
        ],
        "annotations": [{"id": 0, "image_id": 0, "category_id": 0, "bbox": [1, 2, 3, 4]}],
        "categories": [{"id": 0, "name": "car"}],
    }
    (tmp_path / "labels.json").write_text(json.dumps(told))
    result = load(cameras, tmp_path / "export", labels_path=str(tmp_path / "labels.json"), confirm=True)
    assert list(result.without_sample) == names
    assert all(reason in why for why in result.without_sample.values())
    assert loaded(cameras) == {"north/frame001.png": []}
    assert all(name in json.dumps(result.tables()) for name in names)


def test_pictures_that_are_only_named_are_found_by_their_paths(cameras, tmp_path):
    export(cameras, tmp_path / "export", dataset_type=COCO, media="none")
    told = json.loads((tmp_path / "export/labels.json").read_text())
    told["categories"] = [{"id": 1, "name": "car"}]
    told["annotations"] = [
        {"id": n, "image_id": image["id"], "category_id": 1, "bbox": [n, 2, 3, 4]}
        for n, image in enumerate(told["images"])
    ]
    (tmp_path / "export/labels.json").write_text(json.dumps(told))
    load(cameras, tmp_path / "export", confirm=True)
    expected = {"/".join(Path(i["file_name"]).parts[-2:]): n for n, i in enumerate(told["images"])}
    assert {name: int(boxes[0][1][0]) for name, boxes in loaded(cameras).items()} == expected
    assert len(expected) == 6


RENAMED = {
    "a b (1)%20é.png": ["a%20b%20%281%29%2520%C3%A9.png", "1a2b3c4d-a_b_120é.png", "x/a b (1)%20e\u0301.png"],
    "1a2b3c4d-frame.png": ["1a2b3c4d-frame.png", "5e6f7a8b-1a2b3c4d-frame.png"],
    "frame.png": ["0f0f0f0f-frame.png", "/data/local-files/?d=out%2Fdata%2Fframe.png", "ab12ef__frame.png"],
    "two.dots.png": ["two.dots", r"data\two.dots.png"],
}


def test_names_are_undone_only_where_one_picture_fits():
    row, matching = (
        support.plugin("similarity.exports.manifest").Row,
        support.plugin("similarity.exports.matching"),
    )
    rows = [row(name, f"/p/{name}", 1, name, 100.0, "kept", "", f"data/{name}") for name in RENAMED]
    pictures = matching.Pictures(rows, prefixed=True)
    assert {name: [pictures.find(given) for given in several] for name, several in RENAMED.items()} == {
        name: [{name}] * len(several) for name, several in RENAMED.items()
    }
    assert pictures.find("frame.jpg") == pictures.find("nobody.png") == pictures.find("") == set()


SQUARE = np.zeros((HEIGHT, WIDTH), bool)
SQUARE[8:16, 12:24] = True
SQUARE[10:12, 14:16] = False  # a hole


def cvat_mask(out: Path, picture: str) -> dict:
    """A brush mask of CVAT's: runs over its box."""
    box = SQUARE[8:16, 12:24].ravel()
    edges = np.flatnonzero(np.diff(box)) + 1
    runs = [*([0] if box[0] else []), *np.diff([0, *edges, len(box)])]
    out.write_text(
        f'<annotations><version>1.1</version><image id="0" name="{picture}" width="{WIDTH}" height="{HEIGHT}">'
        f'<mask label="car" source="semi-auto" occluded="0" rle="{", ".join(map(str, runs))}" left="12" top="8" '
        'width="12" height="8" z_order="0"><attribute name="color">red</attribute></mask>'
        '<ellipse label="car" cx="1" cy="1" rx="1" ry="1" occluded="0" z_order="0"></ellipse></image></annotations>'
    )
    return {"labels_path": str(out)}


def coco_mask(out: Path, picture: str) -> dict:
    """A mask in COCO, as runs over the picture, column by column."""
    pixels = SQUARE.ravel(order="F")
    edges = np.flatnonzero(np.diff(pixels)) + 1
    counts = [int(run) for run in np.diff([0, *edges, len(pixels)])]
    shape = {
        "bbox": [12, 8, 12, 8],
        "segmentation": {"counts": counts, "size": [HEIGHT, WIDTH]},
        "iscrowd": 1,
    }
    told = {
        "images": [{"id": 7, "file_name": picture, "width": WIDTH, "height": HEIGHT}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 5, **shape, "attributes": {"color": "red"}},
            {"id": 2, "image_id": 8, "category_id": 5, **shape},
        ],
        "categories": [{"id": 5, "name": "car"}, {"id": 1, "name": "bus"}],
    }
    out.write_text(json.dumps(told))
    return {"labels_path": str(out)}


@pytest.mark.parametrize(
    ("annotate", "file", "left_out"),
    [(cvat_mask, "a.xml", "ellipses"), (coco_mask, "a.json", "not name")],
)
def test_masks_come_back_pixel_by_pixel_and_what_cannot_is_counted(
    cameras, tmp_path, annotate, file, left_out
):
    export(cameras, tmp_path / "export")
    given = annotate(tmp_path / file, "data/frame000-2.png")
    result = load(cameras, tmp_path / "export", confirm=True, **given)
    (sample,) = cameras.exists("truth")
    (mask,) = sample.truth.detections
    assert original(sample) == "south/frame000.png"
    assert (mask.label, mask.color) == ("car", "red")
    assert np.array_equal(mask.mask, SQUARE[8:16, 12:24])
    assert np.allclose(np.multiply(mask.bounding_box, [WIDTH, HEIGHT] * 2), [12, 8, 12, 8])
    ((reason, number),) = result.left_out.items()
    assert (left_out in reason, number) == (True, 1)
    assert reason in result.summary()
    assert load(cameras, tmp_path / "export", overwrite=True, **given).unchanged == 1


def test_masks_of_coco_are_read_in_each_of_its_forms():
    """The texts are known ones of the COCO API's."""
    read = support.plugin("similarity.exports.shapes").from_coco
    middle = np.pad(np.ones((3, 3), bool), 1)
    assert np.array_equal(read({"counts": "6320004"}, [0, 0, 5, 5], (5, 5)), middle)
    assert np.array_equal(read({"counts": "Z11"}, [0, 0, 1, 43], (1, 43)).ravel(), [False] * 42 + [True])
    rectangle, other = [1, 1, 4, 1, 4, 4, 1, 4], [0, 0, 1, 0, 1, 1, 0, 1]
    assert np.array_equal(read([rectangle], [0, 0, 5, 5], (5, 5)), middle)
    assert np.array_equal(
        read([rectangle, other], [0, 0, 5, 5], (5, 5)), middle | (np.indices((5, 5)).sum(0) == 0)
    )
    with pytest.raises(ValueError, match=r"26 .* 5 x 5"):
        read({"counts": [26]}, [0, 0, 5, 5], (5, 5))


def test_masks_that_are_exported_as_coco_come_back_nearly_as_they_were(cameras, tmp_path):
    mask = np.ones((8, 12), bool)
    box = [12 / WIDTH, 8 / HEIGHT, 12 / WIDTH, 8 / HEIGHT]
    drawn = fo.Detections(detections=[fo.Detection(label="car", bounding_box=box, mask=mask)])
    cameras.set_values("truth", {cameras.first().id: drawn}, key_field="id")
    export(cameras, tmp_path / "export", dataset_type=COCO, label_field="truth")
    load(cameras, tmp_path / "export", label_field="again", confirm=True)
    (found,) = cameras.first().again.detections
    assert found.bounding_box == pytest.approx(box)
    assert found.mask.shape == mask.shape
    assert np.mean(found.mask == mask) > 0.9


def test_mask_files_of_an_annotated_fiftyone_export_are_found(cameras, tmp_path):
    files = [tmp_path / camera / "mask.png" for camera in ("north", "south")]
    for number, file in enumerate(files):
        Image.fromarray(np.full((HEIGHT, WIDTH), number + 1, np.uint8)).save(file)
    ids = [sample.id for sample in cameras if original(sample).endswith("frame000.png")]
    masks = [fo.Segmentation(mask_path=str(file)) for file in files]
    cameras.set_values("truth", dict(zip(ids, masks, strict=True)), key_field="id")
    export(cameras, tmp_path / "export", dataset_type=FIFTYONE, label_field="truth")
    cameras.delete_sample_field("truth")
    result = load(cameras, tmp_path / "export", confirm=True)
    assert (result.label_type, result.samples, len(result.not_annotated)) == ("Segmentation", 2, 4)
    for sample_id, file in zip(ids, files, strict=True):
        found = Path(cameras[sample_id].truth.mask_path)
        assert found.is_relative_to(tmp_path / "export")
        assert found.read_bytes() == file.read_bytes()


HARD = ["a/b", "A/B", "..up", "日本 <&>", "two words"]


@pytest.mark.parametrize(
    "label",
    [
        fo.Classification(label="bus"),
        fo.Classifications(classifications=[fo.Classification(label="bus")]),
        fo.Polylines(polylines=[fo.Polyline(label="bus", points=[[(0.1, 0.1), (0.5, 0.5)]])]),
        fo.Keypoints(keypoints=[fo.Keypoint(label="bus", points=[(0.1, 0.1)])]),
    ],
    ids=lambda label: type(label).__name__,
)
def test_fiftyones_own_format_brings_back_labels_of_every_type(cameras, tmp_path, label):
    labelled = cameras.match(fo.ViewField("dedup_kept") == True).first().id  # noqa: E712
    cameras.set_values("truth", {labelled: label}, key_field="id")
    export(cameras, tmp_path / "export", dataset_type=FIFTYONE, label_field="truth")
    assert load(cameras, tmp_path / "export", label_field="again", confirm=True).samples == 1
    stored = cameras[labelled]
    digest = support.plugin("similarity.data.labels").digest
    assert digest(stored.again.to_dict()) == digest(stored.truth.to_dict())


@pytest.mark.parametrize("kind", [COCO, YOLO, CVAT, FIFTYONE])
def test_labels_that_are_exported_and_loaded_again_are_the_same(cameras, tmp_path, kind):
    """Whatever the numbers of their classes are: the dataset's order is none that a tool would choose."""
    kept = cameras.match(fo.ViewField("dedup_kept") == True)  # noqa: E712
    labels = [
        fo.Detections(
            detections=[fo.Detection(label=HARD[n], bounding_box=[0.25, 0.25, 0.5, 0.125 * (n + 1)])]
        )
        for n in range(5)
    ]
    cameras.set_values(
        "truth", dict(zip(kept.values("id"), [*labels, fo.Detections()], strict=True)), key_field="id"
    )
    cameras.classes = {"truth": HARD[::-1]}
    before = loaded(cameras)
    export(cameras, tmp_path / "export", dataset_type=kind, label_field="truth")
    assert load(cameras, tmp_path / "export").changed == []
    load(cameras, tmp_path / "export", label_field="again", confirm=True)
    assert loaded(cameras, "again") == before


def test_pictures_that_an_annotator_sorts_into_folders_get_these_classes(cameras, tmp_path):
    ids = {original(sample): sample.id for sample in cameras}
    named = {"north/frame000.png": "a/b", "south/frame000.png": "A/B", "north/frame001.png": "bus"}
    classes = {ids[name]: fo.Classification(label=label) for name, label in named.items()}
    cameras.set_values("truth", classes, key_field="id")
    folder = tmp_path / "export"
    export(cameras, folder, dataset_type=TREE, label_field="truth")
    where = exported(folder)
    assert load(cameras, folder).unchanged == 3
    moved = {"south/frame000.png": Path(where["north/frame000.png"]).parent, "south/frame002.png": "new"}
    for name, target in moved.items():
        (folder / target).mkdir(exist_ok=True)
        shutil.move(folder / where[name], folder / target)
    result = load(cameras, folder, confirm=True, overwrite=True)
    assert {original(sample): sample.truth.label for sample in cameras.exists("truth")} == {
        **named,
        "south/frame000.png": "a/b",
        "south/frame002.png": "new",
    }
    assert (result.label_type, result.unchanged, len(result.not_annotated)) == ("Classification", 2, 2)


def test_classes_are_copied_onto_the_samples_that_a_kept_one_stands_for(cameras, tmp_path):
    export(cameras, tmp_path / "export")
    picture = exported(tmp_path / "export")["north/frame000.png"]
    (tmp_path / "a.xml").write_text(
        f'<annotations><image id="0" name="{picture}" width="48" height="32"><tag label="night" source="manual"/>'
        '<tag label="rain" source="manual"/></image></annotations>'
    )
    given = {"labels_path": str(tmp_path / "a.xml"), "copy_labels": True, "confirm": True}
    result = load(cameras, tmp_path / "export", **given)
    (near,) = cameras.match(fo.ViewField("dedup_kept") == False)  # noqa: E712
    found = [(one.label, one.copied_from) for one in near.truth.classifications]
    assert found == [("night", near.dedup_kept_id), ("rain", near.dedup_kept_id)]
    first = cameras[near.dedup_kept_id].truth.classifications
    assert not any(one.has_attribute("copied_from") for one in first)
    assert {one.id for one in first}.isdisjoint(one.id for one in near.truth.classifications)
    assert (result.samples, result.copied, cameras.count("truth")) == (1, 1, 2)
    corrected = (tmp_path / "a.xml").read_text().replace("rain", "snow")
    (tmp_path / "a.xml").write_text(corrected)
    assert load(cameras, tmp_path / "export", **given).copied == 0
    assert load(cameras, tmp_path / "export", overwrite=True, **given).copied == 1
    assert [one.label for one in cameras[near.id].truth.classifications] == ["night", "snow"]
    assert load(cameras, tmp_path / "export", overwrite=True, **given).copied == 0
    near.reload()
    near["truth"] = fo.Classifications(classifications=[fo.Classification(label="mine")])
    near.save()
    assert load(cameras, tmp_path / "export", overwrite=True, **given).copied == 0
    assert [one.label for one in cameras[near.id].truth.classifications] == ["mine"]


def test_a_field_of_one_class_takes_no_picture_with_two(cameras, tmp_path):
    export(cameras, tmp_path / "export")
    tags = ['<tag label="night"/>', '<tag label="night"/><tag label="rain"/>', ""]
    images = "".join(
        f'<image id="{n}" name="frame00{n}.png" width="48" height="32">{tag}</image>'
        for n, tag in enumerate(tags)
    )
    (tmp_path / "a.xml").write_text(f"<annotations>{images}</annotations>")
    given = {"labels_path": str(tmp_path / "a.xml"), "label_type": "Classification", "confirm": True}
    result = load(cameras, tmp_path / "export", **given)
    assert [sample.truth.label for sample in cameras.exists("truth")] == ["night"]
    assert list(result.without_sample) == ["frame001.png"]
    assert re.match(r"2 labels.*\bClassification\b", result.without_sample["frame001.png"])
    assert "shows nothing" in result.not_annotated[cameras.skip(2).first().id]


def test_boxes_are_never_copied(annotated):
    made, given = annotated
    with pytest.raises(ValueError, match="copy_labels"):
        load(made, copy_labels=True, confirm=True, **given)
    assert not made.has_sample_field("truth")


def test_outlines_of_yolo_are_polylines_or_boxes_as_the_field_is(cameras, tmp_path):
    export(cameras, tmp_path / "export", dataset_type=YOLO)
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/frame000.txt").write_text("1 0.1 0.2 0.5 0.2 0.5 0.6\n")
    (tmp_path / "data.yaml").write_text("names: [bus, car]")
    given = {"labels_path": str(tmp_path / "labels"), "confirm": True}
    load(cameras, tmp_path / "export", **given)
    (sample,) = cameras.exists("truth")
    assert sample.truth.polylines[0].label == "car"
    assert sample.truth.polylines[0].points == [[[0.1, 0.2], [0.5, 0.2], [0.5, 0.6]]]
    result = load(cameras, tmp_path / "export", label_field="boxes", label_type="Detections", **given)
    assert np.allclose(cameras[sample.id].boxes.detections[0].bounding_box, [0.1, 0.2, 0.4, 0.4])
    ((reason, number),) = result.left_out.items()
    assert ("outlines" in reason, number) == (True, 1)


@pytest.mark.parametrize(
    ("file", "text", "options", "message"),
    [
        ("a.json", "{", {}, r"a\.json .*COCO"),
        ("a.json", '{"images": [{"id": 1}]}', {}, r"a\.json .*COCO.*width"),
        ("a.json", "{}", {}, r"a\.json"),
        (
            "a.json",
            '{"images": [{"id": 1, "file_name": null, "width": 1, "height": 1}]}',
            {},
            "None",
        ),
        ("labels/a.txt", "0 nan 0.5 1 1", {}, r"labels .*YOLO.*'a' .*\[nan"),
        ("a.xml", "<annotations><image>", {}, r"a\.xml .*CVAT"),
        ("labels/a.txt", "0 0.5 x 1 1", {}, r"a\.txt .*YOLO"),
        ("labels/a.txt", "7 0.5 0.5 1 1", {}, r"a\.txt: .* 7 "),
        ("samples.json", '{"samples": [{"_id": 1}]}', {}, r"samples\.json .*'truth'"),
        ("a.doc", "", {}, r"a\.doc .*dataset_type"),
        ("a.json", "", {"labels_path": "/nowhere/x"}, "/nowhere/x"),
        ("a.json", "", {"labels_path": None}, r"export .*dataset_type"),
        ("a.json", "", {"export_dir": "/nowhere"}, r"/nowhere .*manifest\.csv"),
        ("a.json", "", {"label_field": "filepath"}, "'filepath' .*StringField"),
        ("a.json", "", {"label_field": "mine", "label_type": "Polylines"}, "'mine' .*Detections"),
        ("a.xml", "(two)", {}, "1 Detections .*1 Polylines.*label_type"),
        (
            "a.xml",
            "(two)",
            {"label_type": "Keypoints"},
            "1 Detections .*1 Polylines.* Keypoints",
        ),
    ],
)
def test_what_cannot_be_loaded_is_told_by_name_before_anything_is_written(
    cameras, tmp_path, file, text, options, message
):
    export(cameras, tmp_path / "export")
    cameras.add_sample_field("mine", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    before = documents(cameras)
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/classes.txt").write_text("bus")
    two = (
        '<annotations><image id="0" name="data/frame000.png" width="48" height="32"><box label="a" xtl="1" ytl="1" '
        'xbr="2" ybr="2"/><polygon label="a" points="1,1;2,2;3,1"/></image></annotations>'
    )
    (tmp_path / file).write_text(two if text == "(two)" else text)
    path = tmp_path / file
    given = {"labels_path": str(path.parent if path.suffix == ".txt" else path), "confirm": True, **options}
    with pytest.raises(ValueError, match=message):
        load(cameras, given.pop("export_dir", tmp_path / "export"), **given)
    cameras.reload()
    assert documents(cameras) == before
    assert not cameras.has_sample_field("truth")


@pytest.fixture
def form(annotated, monkeypatch):
    """``form()``: the properties of the form in the App; the options that it is filled in with."""
    made, given = annotated
    monkeypatch.setenv("FIFTYONE_SERVER", "1")
    params = {"export_dir": str(given["folder"]), "labels_path": given["labels_path"], "label_field": "truth"}

    def show(**more):
        context = support.foo.executor.ExecutionContext(
            {"dataset_name": made.name, "params": {**params, **more}}
        )
        return (
            support.foo.get_operator(support.uri("load_annotations")).resolve_input(context).type.properties
        )

    return made, params, show


def test_the_form_shows_the_plan_and_only_this_one_can_be_confirmed(form):
    made, params, show = form

    def box():
        return next(name for name in show() if name.startswith("confirm"))

    assert re.match(r"5 labels .*\b5 samples\b.*'truth'", show()["plan_words"].view.label)
    with pytest.raises(support.foo.executor.ExecutionError, match="plan"):
        support.run("load_annotations", made, confirm=True, **params)
    outdated = box()
    file = Path(params["labels_path"])
    told = file.read_text()
    file.write_text(told.replace("person", "dog"))
    support.run("load_annotations", made, **params, **{outdated: True})
    made.reload()
    assert not made.has_sample_field("truth")
    file.write_text(told)
    assert box() == outdated
    asked = support.requests(support.run("load_annotations", made, **params, **{outdated: True}))
    assert [name for name, _ in asked][-3:] == ["reload_dataset", "set_view", "show_output"]
    assert loaded(made) == DRAWN


def test_the_form_says_what_is_wrong_with_the_annotations(form):
    _, params, show = form
    Path(params["labels_path"]).write_text("<x")
    shown = show()
    assert "annotations.xml cannot be read" in shown["problem"].error_message
    assert not [name for name in shown if name.startswith("confirm")]
    assert "copy_labels" not in shown
    assert "copy_labels" in show(more_options=True)
