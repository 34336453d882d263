"""The whole job in one go on the demo's 500 pictures, also after a tab was closed in the middle of it."""

import os
import re
import time

import pytest

from tests.browser.app import RUN_MS
from tests.browser.conftest import call, new_dataset
from tests.browser.panel import Panel
from tools import scenes

import fiftyone as fo  # isort: skip

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PICTURES = 500
TRAINED = os.environ.get("WEIGHTS")  # a file of ImageNet's weights, for screenshots where there is one
MOST_WITH_COVER = 56  # of 28 scenes, with untrained weights


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo's pictures as a dataset, with the scene that each one shows and nothing else."""
    folder = tmp_path_factory.mktemp("demo")
    shown = scenes.make_pictures(folder, PICTURES)
    made = new_dataset()
    files = sorted(folder.glob("*.jpg"))
    made.add_samples(
        [fo.Sample(filepath=str(file), scene=scene) for file, scene in zip(files, shown, strict=True)]
    )
    yield made
    made.delete()


def wait_until_free(dataset, plugin):
    """Wait until nobody embeds into the dataset's field any more."""
    locks = plugin("similarity.data.locks")
    deadline = time.monotonic() + RUN_MS / 1000
    while True:
        try:
            with locks.lock(dataset, "field-vgg16"):
                return
        except locks.Busy:
            assert time.monotonic() < deadline, "the lock was not released"
            time.sleep(0.2)


def test_a_closed_tab_keeps_what_was_computed_and_frees_the_lock(app, demo, plugin):
    opened = app(demo)
    opened.operator("Compute embeddings")
    opened.fill("Weights", "untrained")
    opened.press_execute()
    opened.progress("Embedding", percent=r"[1-9]\d?")
    opened.screenshot("progress")

    opened.page.close()
    wait_until_free(demo, plugin)

    demo.reload()
    assert 0 < demo.exists("vgg16").count() < PICTURES


def test_one_button_keeps_every_scene_of_500_pictures(app, demo):
    if TRAINED:
        call("compute_embeddings", demo, weights=TRAINED, recompute=True)
    opened = app(demo)
    opened.page.set_viewport_size({"width": 1280, "height": 720})
    opened.zoom(0.1)
    opened.settle()
    opened.frame(2)

    opened.button("@onlyone/dedup/find_unique_samples").click()
    opened.fill("Weights", "imagenet" if TRAINED else "untrained")
    opened.screenshot("find_unique_form")
    opened.frame(2)
    opened.press_execute()
    text = opened.result()
    opened.screenshot("find_unique")
    opened.frame(3)
    opened.close()

    demo.reload()
    kept = demo.load_saved_view("dedup-kept")
    assert f"500 samples, 28 clusters, {len(kept)} kept" in text
    assert "up to date" in text
    assert set(kept.values("scene")) == set(scenes.scenes())
    assert len(kept) <= MOST_WITH_COVER
    opened.shows(f"{len(kept)} samples")
    opened.zoom(0.5)
    opened.settle()
    opened.screenshot("kept")
    opened.frame(2)
    panel = Panel(opened).ready().tab("Pairs")
    panel.pictures()
    opened.frame(3)
    opened.save_film("hero")


def test_the_panel_shows_what_was_found(app, demo):
    if "vgg16_annoy" not in demo.list_brain_runs():
        call("build_similarity_index", demo)
    opened = app(demo, "dedup-kept")

    panel = Panel(opened).ready().tab("Threshold")

    panel.says(re.compile("^At .* 28 of 500 samples are kept"))
    opened.shows(f"{len(demo.load_saved_view('dedup-kept'))} samples")
