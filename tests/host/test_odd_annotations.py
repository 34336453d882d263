"""Annotations that are of other pictures, odd, or loaded while somebody else writes labels."""

import json
from pathlib import Path

import pytest

from tests import support
from tests.deduplicated import cluster, export, keep_first
from tests.host.test_load_annotations import HEIGHT, WIDTH, cameras, load, loaded, original  # noqa: F401
from tests.vectors import documents

import fiftyone as fo  # isort: skip

BOX = (1, 2, 3, 4)


def coco(file: Path, names: list[str], *annotations: dict, label: str = "car") -> dict:
    """A file of COCO's: of pictures with a box each, or with these annotations of the first one."""
    boxes = [{"image_id": number, "bbox": BOX} for number in range(len(names))]
    told = {
        "images": [
            {"id": n, "file_name": name, "width": WIDTH, "height": HEIGHT} for n, name in enumerate(names)
        ],
        "annotations": [
            {"id": n, "image_id": 0, "category_id": 0, **one} for n, one in enumerate(annotations or boxes)
        ],
        "categories": [{"id": 0, "name": label}],
    }
    file.write_text(json.dumps(told))
    return {"labels_path": str(file), "confirm": True}


def test_the_original_of_a_dropped_picture_is_taken_for_no_kept_one(cameras, tmp_path):  # noqa: F811
    (near,) = cameras.match(fo.ViewField("dedup_kept") == False)  # noqa: E712
    (tmp_path / "west").mkdir()
    near["filepath"] = str(Path(near.filepath).rename(tmp_path / "west/frame002.png"))
    near.save()
    south = fo.ViewField("filepath").ends_with("south/frame002.png")
    export(cameras.match(~south), tmp_path / "export")

    dropped = coco(tmp_path / "a.json", [near.filepath, "west/frame002.png"])
    result = load(cameras, tmp_path / "export", **dropped)
    assert loaded(cameras) == {}
    assert all("ambiguous" in reason for reason in result.without_sample.values())
    assert len(result.without_sample) == 2
    kept = coco(tmp_path / "a.json", [str(tmp_path / "north/frame002.png"), "jobs/frame000.png"])
    load(cameras, tmp_path / "export", **kept)
    assert set(loaded(cameras)) == {"north/frame002.png", "north/frame000.png"}
    kept = coco(tmp_path / "a.json", ["data/frame002.png", "north/frame001"])
    load(cameras, tmp_path / "export", label_field="again", **kept)
    assert set(loaded(cameras, "again")) == {"north/frame002.png", "north/frame001.png"}


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["20240101-frame000.png"], []),
        (["20240101-frame000.png", "20240102-frame001.png"], []),
        (["1a2b3c4d-frame000.png", "near.png"], []),
        (["1a2b3c4d-frame000.png", "20240101-frame001.png"], ["north/frame000.png", "north/frame001.png"]),
    ],
)
def test_a_prefix_is_label_studios_only_where_every_name_has_one(cameras, tmp_path, names, found):  # noqa: F811
    export(cameras.match(fo.ViewField("filepath").contains_str("north")), tmp_path / "export")
    result = load(cameras, tmp_path / "export", **coco(tmp_path / "a.json", names))
    assert sorted(loaded(cameras)) == found
    assert len(result.without_sample) == len(names) - len(found)


def drawn(made, name: str, label: str) -> str:
    """Draw a label, as the App does; the sample's id."""
    (sample,) = made.match(fo.ViewField("filepath").ends_with(name))
    sample["truth"] = fo.Detections(detections=[fo.Detection(label=label, bounding_box=[0, 0, 1, 1])])
    sample.save()
    return sample.id


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_label_that_is_drawn_while_labels_are_loaded_stays(cameras, tmp_path, overwrite):  # noqa: F811
    export(cameras, tmp_path / "export")
    given = coco(tmp_path / "a.json", ["data/frame000.png", "data/frame001.png", "data/frame002.png"])
    cameras.add_sample_field("truth", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    replaced = drawn(cameras, "north/frame000.png", "old")
    before, ids = documents(cameras), []

    def meanwhile(words, done, total):
        if words == "Writing the labels":
            ids.append(drawn(fo.load_dataset(cameras.name), "north/frame001.png", "new"))

    chosen = support.plugin("similarity.handover_options").AnnotationsOptions(
        export_dir=str(tmp_path / "export"), label_field="truth", overwrite=overwrite, **given
    )
    result = support.plugin("similarity.steps.annotations").load_annotations(cameras, chosen, meanwhile)

    whole = (0, 0, WIDTH, HEIGHT)
    box = [("car", BOX)]
    assert loaded(cameras) == {
        "north/frame000.png": box if overwrite else [("old", whole)],
        "north/frame001.png": [("new", whole)],
        "north/frame002.png": box,
    }
    assert result.meanwhile == ids
    assert result.changed == [replaced]
    assert result.labels == result.samples == 1 + overwrite
    assert "meanwhile" in result.summary()
    assert result.tables()["changed_meanwhile"][0]["file"] == "north/frame001.png"
    same = [i for i in before if i not in {*ids, replaced} and not cameras[i].truth]
    assert {i: documents(cameras)[i] for i in same} == {i: before[i] for i in same}


def test_two_runs_do_not_write_one_label_field_at_the_same_time(cameras, tmp_path):  # noqa: F811
    cluster(cameras, run_key="two")
    keep_first(cameras, run_key="two")
    export(cameras, tmp_path / "export")
    given = coco(tmp_path / "a.json", ["data/frame000.png"])
    locks = support.plugin("similarity.data.locks")
    with locks.lock(cameras, "field-truth"), pytest.raises(locks.Busy, match="field-truth"):
        load(cameras, tmp_path / "export", run_key="two", **given)
    load(cameras, tmp_path / "export", run_key="two", **given)
    assert set(loaded(cameras)) == {"north/frame000.png"}


SQUARE = [[1, 2, 4, 2, 4, 6, 1, 6]]


def test_outlines_without_a_pixel_in_their_picture_are_counted_and_spoil_no_file(cameras, tmp_path):  # noqa: F811
    export(cameras, tmp_path / "export")
    counts = {"counts": [WIDTH * HEIGHT], "size": [HEIGHT, WIDTH]}
    odd = [
        {"bbox": [WIDTH + 1, 2, 3, 4], "segmentation": SQUARE},
        {"bbox": [-9, 2, 3, 4], "segmentation": SQUARE},
        {"bbox": [3.6, 2, 0.2, 4], "segmentation": [[3.6, 2, 3.8, 2, 3.8, 6]]},
        {"bbox": [1, HEIGHT + 5, 3, 4], "segmentation": counts},
    ]
    given = coco(tmp_path / "a.json", ["data/frame001.png"], {"bbox": BOX, "segmentation": SQUARE}, *odd)
    result = load(cameras, tmp_path / "export", **given)
    (sample,) = cameras.exists("truth")
    first, *others = sample.truth.detections
    assert first.mask.shape == (4, 3)
    assert first.mask.all()
    assert [one.mask for one in others] == [None] * len(odd)
    ((reason, number),) = result.left_out.items()
    assert ("outside" in reason, number) == (True, len(odd))
    export(cameras, tmp_path / "again", dataset_type="COCODetectionDataset", label_field="truth")


def test_boxes_of_cvat_that_are_rotated_are_counted(cameras, tmp_path):  # noqa: F811
    export(cameras, tmp_path / "export")
    boxes = "".join(
        f'<box label="car" xtl="1" ytl="1" xbr="20" ybr="5" occluded="0"{turned} z_order="0"></box>'
        for turned in ("", ' rotation="0.0"', ' rotation="90.0"')
    )
    image = f'<image id="0" name="data/frame001.png" width="{WIDTH}" height="{HEIGHT}">{boxes}</image>'
    (tmp_path / "a.xml").write_text(f"<annotations>{image}</annotations>")
    result = load(cameras, tmp_path / "export", labels_path=str(tmp_path / "a.xml"), confirm=True)
    assert result.labels == 3
    ((reason, number),) = result.left_out.items()
    assert ("rotations" in reason, number) == (True, 1)


def test_keypoints_without_a_place_are_left_out_of_cvat(cameras, tmp_path):  # noqa: F811
    nowhere = (float("nan"), float("nan"))
    points = [[(0.25, 0.25), nowhere, (0.5, 0.5)], [nowhere]]
    first = cameras.match(fo.ViewField("dedup_kept") == True).first()  # noqa: E712
    first["truth"] = fo.Keypoints(keypoints=[fo.Keypoint(label="person", points=some) for some in points])
    first.save()
    export(cameras, tmp_path / "export", dataset_type="CVATImageDataset", label_field="truth")
    load(cameras, tmp_path / "export", label_field="again", confirm=True)
    cameras.reload()
    (found,) = cameras[first.id].again.keypoints
    assert found.points == [[0.25, 0.25], [0.5, 0.5]]
    assert [len(one.points) for one in cameras[first.id].truth.keypoints] == [3, 1]


@pytest.mark.parametrize(
    ("names", "found"),
    [("[1, no]", ["1", "no"]), ("{0: 1.0, 1: yes}", ["1.0", "yes"]), ("\n  - ~\n  - 0x1", ["~", "0x1"])],
)
def test_classes_of_yolo_are_texts_and_a_byte_order_mark_is_no_part_of_them(
    cameras,  # noqa: F811
    tmp_path,
    names,
    found,
):
    export(cameras, tmp_path / "export")
    (tmp_path / "yolo/labels").mkdir(parents=True)
    (tmp_path / "yolo/labels/frame001.txt").write_text(
        "0 0.5 0.5 0.1 0.1\n1 0.5 0.5 0.1 0.1\n", encoding="utf-8-sig"
    )
    (tmp_path / "yolo/data.yaml").write_text(f"names: {names}\n", encoding="utf-8-sig")
    load(cameras, tmp_path / "export", labels_path=str(tmp_path / "yolo"), confirm=True)
    cameras.reload()
    assert [one.label for one in cameras.exists("truth").first().truth.detections] == found
