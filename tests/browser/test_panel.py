"""The panel, as a person uses it: read, move the threshold, look at pairs, cluster, keep, and see the numbers reconcile."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.app import RUN_MS
from tests.browser.conftest import EPS, call
from tests.browser.panel import Panel
from tests.support import plugin

pytestmark = pytest.mark.browser

EPS_OF = re.compile(r"eps (\S+) ")
KEEPS = re.compile(r"keeps (\d+) of 24")


def kept(sentence: str) -> int:
    return int(KEEPS.search(sentence)[1])


def test_the_threshold_is_moved_and_the_pairs_change_with_it(app, embedded):
    panel = Panel(app(embedded)).ready()
    first, pairs = panel.threshold, panel.pictures
    assert first.startswith("Measured")
    assert pairs

    left = panel.drag(0.1)
    assert left.startswith("Chosen")
    assert kept(left) > kept(first)
    assert panel.pictures != pairs

    assert kept(panel.click_curve(0.97)) < kept(left)
    assert kept(panel.keep_about("6")) == 6


def test_clustering_and_keeping_from_the_panel_give_its_numbers(app, embedded, copy):
    made = copy(embedded)
    opened = app(made)
    panel = Panel(opened).ready()
    wanted = kept(panel.keep_about("6"))

    panel.press(re.compile("Cluster with eps"))
    opened.form.wait_for()
    opened.press_execute()
    panel.says(f"{wanted} clusters at eps")
    opened.close()
    assert panel.tile("Would keep") == str(wanted)

    panel.press(re.compile("4. Keep first per cluster"))
    opened.form.wait_for()
    opened.execute()
    opened.close()
    made.reload()
    found = made.count_values("dedup_kept")  # cover may keep more than one of a cluster
    assert wanted <= found[True] < 24
    panel.says(f"{found[True]} kept, {found[False]} dropped")
    opened.shows(f"{found[True]} samples")
    panel.says("Worst pairs")
    numbers = {name: int(panel.tile(name)) for name in ("Samples", "Kept", "Dropped", "Skipped")}
    assert numbers == {"Samples": 24, "Kept": found[True], "Dropped": found[False], "Skipped": 0}


def test_the_form_of_the_clustering_holds_the_threshold_chosen_in_the_panel(app, embedded, copy):
    made = copy(embedded)
    call("cluster_duplicates", made, eps=EPS, min_samples=1)
    opened = app(made)
    panel = Panel(opened).ready()
    chosen = EPS_OF.search(panel.drag(0.2))[1]

    panel.press(re.compile("Cluster with eps"))
    opened.form.wait_for()
    assert f"{float(opened.field('Eps').input_value()):.4g}" == chosen
    expect(opened.field("Run key")).to_have_value("dedup")
    opened.fill("Run key", "other")
    opened.press_execute()
    opened.result()

    made.reload()
    step = plugin("similarity.data.runs").load(made, "other")["steps"]["cluster"]
    assert f"{step['eps']:.4g}" == chosen
    assert step["options"]["min_samples"] == 1


def test_a_cluster_is_shown_in_the_grid(app, deduplicated):
    opened = app(deduplicated)
    panel = Panel(opened).ready()
    panel.says("Clusters")

    show = opened.page.locator("table").get_by_role("button").first
    show.scroll_into_view_if_needed()
    show.click()

    opened.shows("4 samples")


def test_money_saved_follows_the_price(app, deduplicated):
    panel = Panel(app(deduplicated)).ready()
    field = panel.page.locator("input[type=number]").first
    field.fill("0.5")
    field.press("Tab")
    expect(panel.page.get_by_text("9.00", exact=True)).to_be_visible(timeout=RUN_MS)


def test_without_embeddings_it_says_what_to_do_first(app, traffic):
    panel = Panel(app(traffic)).ready()
    panel.says("Compute embeddings first")


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_it_fits_its_width_in_both_themes(app, deduplicated, theme):
    opened = app(deduplicated)
    opened.page.set_viewport_size({"width": 1600, "height": 1750})
    opened.page.evaluate(f"localStorage.setItem('mui-mode', '{theme}')")
    opened.open(deduplicated)
    panel = Panel(opened).ready()
    panel.says("Threshold")
    panel.threshold  # noqa: B018 - waits until the curve is there
    panel.says(re.compile(r"^coffee-left-\d\.jpg$"))
    opened.settle()
    expect(opened.page.locator(".legendtext").get_by_text("kept with cover")).to_be_visible()
    plot = opened.page.locator(".js-plotly-plot").first.bounding_box()
    assert plot["x"] + plot["width"] <= opened.page.viewport_size["width"]
