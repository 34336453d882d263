"""Sorting by similarity, by our button and by the App's own, and searching for a picture from outside."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.app import OPEN_MS, RUN_MS, cy
from tests.browser.conftest import SCENES
from tools import scenes

pytestmark = pytest.mark.browser

SORT = "@onlyone/dedup/sort_by_similarity"
FLOWER = range(4, 8)  # places of the flower's photographs in the grid


@pytest.fixture
def outside(tmp_path):
    """A photograph of the rocket that is not in the dataset."""
    file = tmp_path / "outside.jpg"
    scenes.scenes()["rocket-left"].save(file, quality=70)
    return file


def percentages(shown):
    """Return the number that each picture carries, beside its scene; none for one that carries none."""
    return [float(word) for text in shown for word in text.split() if word[0].isdigit()]


def scenes_of(shown):
    """Return the scene that each picture carries."""
    return [scene for text in shown for scene in SCENES if scene in text]


def begin_with(scene, count):
    """Whether so many pictures are shown, four of this scene first."""
    return lambda shown: len(shown) == count and scenes_of(shown)[:4] == [scene] * 4


def wait_for_search(opened):
    """Wait until the grid shows what a search of ours found."""
    expect(opened.page.locator(cy("view-stage-container")).first).to_contain_text("Select", timeout=RUN_MS)
    expect(opened.thumbnails.first).to_contain_text(re.compile(r"\d"), timeout=OPEN_MS)


def test_an_index_is_built(app, embedded, copy):
    made = copy(embedded)
    opened = app(made)

    text = opened.run("Build similarity index", brain_key="second")

    assert "'second' holds 24 samples" in text
    made.reload()
    assert made.get_brain_info("second").config.method == "annoy"


def test_our_button_sorts_the_grid_at_once_with_percentages(app, embedded, copy):
    opened = app(copy(embedded))
    opened.show_field("scene")
    opened.select(FLOWER[1])

    opened.button(SORT).click()
    wait_for_search(opened)

    expect(opened.form).to_be_hidden()
    expect(opened.output).to_be_hidden()
    opened.values(begin_with("flower-right", 24))
    shown = opened.values(lambda shown: len(percentages(shown)) == 24)
    assert percentages(shown)[0] == 100
    assert percentages(shown) == sorted(percentages(shown), reverse=True)
    opened.screenshot("sort")
    opened.clear_view()
    expect(opened.thumbnails.first).not_to_contain_text(re.compile(r"\d"), timeout=OPEN_MS)


def test_a_picture_from_outside_is_searched_for_by_its_path(app, embedded, copy, outside):
    opened = app(copy(embedded))
    opened.show_field("scene")

    opened.button(SORT).click()
    opened.fill("Picture", outside)
    opened.press_execute()
    wait_for_search(opened)

    opened.values(begin_with("rocket-left", 24))


def test_a_picture_from_outside_is_searched_for_by_upload(app, embedded, copy, outside):
    opened = app(copy(embedded))
    opened.show_field("scene")

    opened.button(SORT).click()
    opened.upload(outside)
    opened.fill("K", 4)
    opened.screenshot("upload")
    opened.press_execute()
    wait_for_search(opened)

    opened.shows("4 samples")
    opened.values(begin_with("rocket-left", 4))
    shown = opened.values(lambda shown: len(percentages(shown)) == 4)
    assert 99 < percentages(shown)[0] < 100


def test_a_search_without_an_index_says_how_long_it_takes_and_builds_it(app, embedded, copy):
    made = copy(embedded)
    made.delete_brain_run("vgg16_annoy")
    opened = app(made)
    opened.show_field("scene")
    opened.select(FLOWER[1])

    opened.button(SORT).click()
    expect(opened.form).to_contain_text("in about 1 second")
    opened.press_execute()
    wait_for_search(opened)

    opened.values(begin_with("flower-right", 24))


def test_the_apps_own_similarity_button_finds_by_our_index(app, embedded, copy):
    opened = app(copy(embedded))
    opened.show_field("scene")
    opened.select(FLOWER[0])

    opened.page.locator(cy("action-sort-by-similarity")).click()
    opened.page.get_by_text("Show similar samples").click()
    opened.page.get_by_text("Completed", exact=True).wait_for(timeout=RUN_MS)
    opened.page.get_by_text("vgg16_annoy").wait_for()
    # Forced: around the list stands a handle for sorting it, which is disabled, and Playwright takes that for its parts.
    opened.page.locator('button[aria-label="Show results"]').first.click(force=True)
    expect(opened.page.locator(cy("view-stage-container"))).to_contain_text("Select", timeout=OPEN_MS)

    opened.values(begin_with("flower-right", 24))
    opened.screenshot("own_similarity")


def test_a_second_search_from_a_result_looks_through_the_whole_dataset_again(app, embedded, copy):
    opened = app(copy(embedded))
    opened.show_field("scene")
    opened.select(FLOWER[1])
    opened.operator("Sort by similarity")
    opened.fill("K", 6)
    opened.press_execute()
    wait_for_search(opened)
    opened.shows("6 samples")
    found = scenes_of(opened.values(begin_with("flower-right", 6)))
    opened.select(5)

    opened.button(SORT).click()
    opened.shows("24 samples")

    opened.values(begin_with(found[5], 24))
    opened.values(lambda shown: percentages(shown)[:1] == [100])
