"""Four weeks of an annotation team: three cameras with equal file names, of which new pictures come every Monday."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from PIL import Image

from tests import support
from tests.removable import call, delete
from tests.vectors import NEAR, directions, documents

import fiftyone as fo  # isort: skip

overview = support.plugin("similarity.steps.overview").overview

MONDAY, HOUR, PRICE = datetime(2026, 11, 2), 3600, 0.5
NORTH, SOUTH, PARK = "north", "south", "park"
CAMERAS = [NORTH, SOUTH, PARK]
TAKEN = {
    NORTH: [(0, 0, 10), (2, 12, 0), (2, 12, 10), (6, 23, 50)],
    SOUTH: [(1, 9, 0), (1, 9, 10), (2, 12, 0), (2, 12, 10)],
    PARK: [(2, 8, 0), (2, 8, 10), (2, 8, 20), (2, 8, 30)],
}
"""Day, hour and minute of each camera's four pictures of a week."""
FIRST = {"north/frame000.jpg", "north/frame001.jpg", "north/frame003.jpg"}
EVERY = {"south/frame000.jpg", "south/frame002.jpg", "park/frame000.jpg"}


def scenes(week: int) -> dict[str, list[float]]:
    """What each camera's pictures show, as a direction in degrees; those within a degree look alike.

    North's first picture goes on with the scene of last Sunday's last one. South's last two look like north's
    second. The car park looks the same each week.
    """
    return {
        NORTH: [20 * week, 20 * week + 10, 20 * week + 10.5, 20 * week + 20.5],
        SOUTH: [100 + 10 * week, 100.5 + 10 * week, 20 * week + 10.2, 20 * week + 10.7],
        PARK: [170, 170.2, 170.4, 170.6],
    }


def colour(week: int, camera: str, frame: int) -> tuple[int, int, int]:
    return 60 * week, 100 * CAMERAS.index(camera), 60 * frame


def shown(picture: Path) -> str:
    """What a person reads off a picture."""
    red, green, blue = Image.open(picture).convert("RGB").getpixel((4, 4))
    return f"{CAMERAS[round(green / 100)]} {round(blue / 60)} of week {round(red / 60)}"


def arrive(made: fo.Dataset, week: int, folder: Path) -> fo.DatasetView:
    """The week's batch: twelve pictures, of which each camera's have the same four names."""
    samples = []
    for camera in CAMERAS:
        (folder / f"{week}" / camera).mkdir(parents=True)
        for frame, (when, scene) in enumerate(zip(TAKEN[camera], scenes(week)[camera], strict=True)):
            path = folder / f"{week}" / camera / f"frame{frame:03d}.jpg"
            Image.new("RGB", (8, 8), colour(week, camera, frame)).save(path, quality=100, subsampling=0)
            day, hour, minute = when
            taken = MONDAY + timedelta(weeks=week, days=day, hours=hour, minutes=minute)
            samples.append(
                fo.Sample(
                    filepath=str(path),
                    tags=[f"week {week}"],
                    camera=camera,
                    taken=taken,
                    own=directions(scene)[0],
                )
            )
    made.add_samples(samples)
    return made.match_tags(f"week {week}")


def annotate(export: Path, week: int) -> Path:
    """The file of a COCO tool in which a person has drawn one box into each picture, named after what it shows."""
    pictures = sorted(export.glob("data/*.jpg"))
    names = [shown(picture) for picture in pictures]
    told = {
        "images": [
            {"id": n, "file_name": f"{week}c{n:06x}-{picture.name}", "width": 8, "height": 8}
            for n, picture in enumerate(pictures)
        ],
        "categories": [{"id": n, "name": name} for n, name in enumerate(names)],
        "annotations": [
            {"id": n, "image_id": n, "category_id": n, "bbox": [2, 2, 4, 4]} for n in range(len(names))
        ],
    }
    file = export.with_suffix(".json")
    file.write_text(json.dumps(told))
    return file


def frames(samples) -> set[str]:
    """Camera and file."""
    return {"/".join(Path(path).parts[-2:]) for path in samples.values("filepath")}


def apart_from_runs(made: fo.Dataset) -> dict:
    """Every sample as the database has it, without the fields and tags that begin with a run's key."""
    return {
        i: {
            key: [tag for tag in value if ":" not in tag] if key == "tags" else value
            for key, value in found.items()
            if not key.startswith(("dedup_", "alike_", "anytime_"))
        }
        for i, found in documents(made).items()
    }


@pytest.fixture
def traffic():
    made = fo.Dataset("weekly-traffic")
    yield made
    delete([made.name])


def test_four_weeks(traffic, tmp_path):
    removed, shares = {}, {"train": 0.5, "val": 0.25, "test": 0.25}
    for week in range(4):
        before, annotated = apart_from_runs(traffic), len(traffic)
        batch = arrive(traffic, week, tmp_path)
        given = {"embeddings_field": "own", "eps": NEAR} | ({"reference": "annotated"} if week else {})

        # At any time, the car park is known from the second week on. Within the hour, it is new each week.
        anytime = call("cluster_duplicates", batch, run_key="anytime", within="camera", confirm=True, **given)
        found = call(
            "find_unique_samples", batch, within="camera", order_field="taken", max_gap=HOUR, **given
        )
        expected = FIRST | EVERY if week == 0 else (FIRST | EVERY) - {"north/frame000.jpg"}
        assert frames(found.view) == expected
        assert anytime.unique == len(expected) - (week > 0)
        assert (found.samples, found.kept, found.dropped) == (12, len(expected), 12 - len(expected))
        assert (found.reference, found.resembling) == ((annotated, 1) if week else (None, 0))

        # The annotators get these; their labels come back to the pictures that they were drawn in.
        kept, export = traffic.select(found.view.values("id")), tmp_path / f"export-{week}"
        call("export_deduplicated", batch, export_dir=str(export), price=PRICE)
        cost = json.loads((export / "report.json").read_text())["cost"]
        assert (cost["before"], cost["after"]) == (12 * PRICE, len(expected) * PRICE)
        back = {
            "export_dir": str(export),
            "label_field": "truth",
            "labels_path": str(annotate(export, week)),
        }
        plan = call("load_annotations", traffic, **back)
        call("load_annotations", traffic, confirm=True, plan=plan.plan, **back)
        assert plan.samples == len(traffic.exists("truth")) - annotated == len(expected)
        for path, labels in zip(*kept.values(["filepath", "truth.detections.label"]), strict=True):
            assert labels == [shown(Path(path))]

        # Look-alikes of all weeks and cameras go to one split: the car park too.
        call("cluster_duplicates", kept, run_key="alike", **given)
        dealt = call("split_by_cluster", kept, run_key="alike", **shares)
        assert sum(dealt.sizes.values()) == len(expected)
        assert dealt.leaks is None
        kept.tag_samples("annotated")

        # What was left out goes into the archive; what earlier weeks left is as it was.
        left = set(batch.values("id")) - set(kept.values("id"))
        removed |= {i: found for i, found in apart_from_runs(traffic).items() if i in left}
        call("remove_duplicates", batch, confirm=True)
        assert set(traffic.values("id")) == {*before, *kept.values("id")}
        now = apart_from_runs(traffic)
        assert {i: now[i] for i in before} == before
        counts = overview(traffic, "dedup", "own").counts
        assert (counts.samples, counts.kept, counts.dropped, counts.removed) == (
            12, len(expected), 12 - len(expected), 12 - len(expected),
        )  # fmt: skip

    proof = call("cluster_duplicates", traffic, run_key="proof", embeddings_field="own", eps=NEAR)
    assert (proof.samples, proof.clusters, proof.leaks.clusters) == (21, 5, [])
    assert proof.leaks.splits == ["test", "train", "val"]
    assert call("restore_removed", traffic).restored == len(removed) == 27
    now = apart_from_runs(traffic)
    assert {i: now[i] for i in removed} == removed
    assert overview(traffic, "dedup", "own").counts.samples == 12
