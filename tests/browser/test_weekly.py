"""The weeks of an annotation team by clicks: each Monday's pictures, and the annotators' labels back."""

import json
import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.browser.app import App
from tests.browser.conftest import call, new_dataset
from tests.browser.panel import Panel
from tests.removable import delete
from tools import scenes

import fiftyone as fo  # isort: skip

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WEIGHTS = os.environ.get("WEIGHTS", "untrained")  # a file of ImageNet's weights, for screenshots
WEEKS = 2  # the first, and one with a reference; tests/host/test_weekly.py plays four
MONDAY = datetime(2026, 11, 2)
BY_NIGHT = ["astronaut-left", "coffee-left", "rocket-left", "flower-left", "china-left"]
AT_NOON = ["motorcycle_left", "coins", "clock_motion", "horse"]
ALONE = ["coffee-right", "rocket-right", "retina-left", "cell"]


def batch(week: int) -> list[tuple[str, str, timedelta]]:
    """Camera, scene and time of a week's twelve pictures.

    North goes on with last Sunday's scene; at noon, south sees what north does; the car park looks the same each week.
    """
    north, south, park = "north", "south", "park"
    return [
        (north, BY_NIGHT[week], timedelta(minutes=10)),
        *((north, AT_NOON[week], timedelta(days=2, hours=12, minutes=m)) for m in (0, 10)),
        (north, BY_NIGHT[week + 1], timedelta(days=6, hours=23, minutes=50)),
        *((south, ALONE[week], timedelta(days=1, hours=9, minutes=m)) for m in (0, 10)),
        *((south, AT_NOON[week], timedelta(days=2, hours=12, minutes=m)) for m in (0, 10)),
        *((park, "china-right", timedelta(days=2, hours=8, minutes=m)) for m in (0, 10, 20, 30)),
    ]


@pytest.fixture
def arrive(tmp_path):
    """``arrive(week)``: the dataset with that week's pictures, which have the same four names at each camera."""
    made, places = new_dataset(), scenes.scenes()

    def add(week: int) -> fo.Dataset:
        samples = []
        for number, (camera, scene, after) in enumerate(batch(week)):
            path = tmp_path / f"week{week + 1}" / camera / f"frame{number % 4:03d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            light = 1 + 0.004 * number
            places[scene].point(lambda value, light=light: value * light).save(path, quality=90)
            taken = MONDAY + timedelta(weeks=week) + after
            tags = [f"week {week + 1}"]
            samples.append(fo.Sample(filepath=str(path), tags=tags, camera=camera, taken=taken, scene=scene))
        made.add_samples(samples)
        return made

    yield add
    delete([made.name])


def annotate(made: fo.Dataset, export: Path) -> Path:
    """The folder of a YOLO tool in which a person has named what each picture shows."""
    by_bytes = {
        Path(path).read_bytes(): scene
        for path, scene in zip(*made.values(["filepath", "scene"]), strict=True)
    }
    out = export.with_name(f"{export.name}-labels")
    out.mkdir()
    classes = sorted(set(by_bytes.values()))
    (out / "classes.txt").write_text("\n".join(classes))
    for picture in export.glob("data/*.jpg"):
        scene = classes.index(by_bytes[picture.read_bytes()])
        (out / f"{picture.stem}.txt").write_text(f"{scene} 0.5 0.5 0.8 0.8\n")
    return out


def fill(opened: App, **values: object) -> None:
    """Fill fields of the open form."""
    for name, value in values.items():
        opened.fill(name.replace("_", " ").capitalize(), value)


def executed(opened: App, picture: str | None = None) -> str:
    """Press Execute, return the text of the output, and close it."""
    opened.press_execute()
    text = opened.result()
    if picture:
        opened.screenshot(picture)
    opened.close()
    opened.settle()
    return text


def test_every_week_new_pictures_are_found_exported_labelled_and_split(app, arrive, tmp_path):
    annotated = 0
    for week in range(WEEKS):
        made, export = arrive(week), tmp_path / f"week{week + 1}-export"
        kept, known = (6, {}) if week == 0 else (5, {"reference": "annotated"})

        def pictured(name: str, week=week) -> str | None:
            return f"weekly_{name}" if week == WEEKS - 1 else None

        opened = app(made)
        opened.filter_tag(f"week {week + 1}")
        opened.shows("12 samples")
        opened.operator("Find unique samples, leave out duplicates (deletes nothing)")
        if week == 0:  # from then on the form knows them
            opened.fill("Weights", WEIGHTS)
        opened.check("More options")
        fill(opened, **known, within="camera", order_field="taken", max_gap=3600)
        if pictured("form"):
            opened.page.set_viewport_size({"width": 1440, "height": 1200})
            opened.field("Within").evaluate("(field) => field.scrollIntoView({block: 'center'})")
            opened.screenshot("weekly_form")
        found = executed(opened, pictured("found"))
        words = f"5 of 12 new samples to annotate (41.7 %); 1 resembles one of {annotated} reference samples"
        assert (words if week else "12 samples, 4 clusters, 6 kept: 50.0 % to annotate") in found
        opened.shows(f"{kept} samples")

        opened.operator("Export deduplicated")
        fill(opened, export_dir=export, price=0.5)
        assert f"{kept} samples of 12" in executed(opened)
        assert json.loads((export / "report.json").read_text())["cost"]["after"] == kept * 0.5

        opened.operator("Load annotations")
        fill(opened, export_dir=export, label_field="truth", labels_path=annotate(made, export))
        opened.check("Yes, write these labels")
        if pictured("load"):
            opened.screenshot("weekly_load")
        assert f"{kept} labels were written onto {kept} samples" in executed(opened)

        opened.operator("Cluster duplicates")
        fill(opened, run_key="alike", **known)
        executed(opened)
        opened.operator("Split by cluster")
        fill(opened, run_key="alike")
        assert f"{kept} samples in " in executed(opened, pictured("split"))
        opened.tag("annotated")

        opened.clear_view()
        opened.shows(f"{annotated + 12} samples")
        opened.operator("Remove duplicates")
        opened.check("Yes, take these samples out of the dataset")
        removed = executed(opened)
        assert f"{12 - kept} samples removed, {kept} remain" in removed
        opened.clear_view()
        annotated += kept
        opened.shows(f"{annotated} samples")

    opened.page.set_viewport_size({"width": 1440, "height": 1100})
    panel = Panel(opened).ready()
    tiles = {"New samples": "12", "Kept": "5", "Dropped": "7", "To annotate": "41.7 %"}
    panel.tiles(lambda shown: shown == tiles, *tiles)
    opened.screenshot("weekly_panel")
    made.reload()
    assert made.values("truth.detections.label") == [[scene] for scene in made.values("scene")]
    proof = call("cluster_duplicates", made, run_key="proof")
    assert (proof.samples, proof.leaks.clusters) == (annotated, [])
    assert proof.clusters > 0
