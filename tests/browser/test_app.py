"""The App itself, before any operator of ours: if these fail, the others say nothing about the plugin."""

import pytest
from playwright.sync_api import expect

from tests.browser.app import OPEN_MS

pytestmark = pytest.mark.browser


def test_the_app_opens_a_dataset(app, dataset, pictures):
    made = dataset(pictures(scenes=3, each=2))

    opened = app(made)

    opened.shows("6 samples")
    expect(opened.thumbnails).to_have_count(6, timeout=OPEN_MS)


def test_a_form_is_found_filled_and_executed(app, dataset, pictures):
    made = dataset(pictures(scenes=3, each=2), place=range(6))
    opened = app(made)

    opened.operator("Clone sample field")
    opened.fill("Sample field", "place")
    opened.fill("New sample field", "place_again")
    opened.execute()

    made.reload()
    assert made.values("place_again") == list(range(6))


def test_pictures_are_selected_in_the_grid(app, dataset, pictures):
    made = dataset(pictures(scenes=3, each=2))
    opened = app(made)

    opened.select(0, 2)
    opened.operator("Delete selected samples")
    opened.execute()

    assert [path[-6:-4] for path in made.values("filepath")] == ["01", "01", "00", "01"]


def test_a_tag_filters_the_grid_from_the_sidebar(app, dataset, pictures):
    made = dataset(pictures(scenes=20, each=2))
    made.set_values("tags", [[f"dedup:cluster:{i // 2:04d}"] for i in range(len(made))])
    opened = app(made)

    opened.filter_tag("dedup:cluster:0001")

    opened.shows("2 samples")
