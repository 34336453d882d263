"""The steps one by one, as a person clicks them: embed, cluster, keep, and look at what came of it."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.app import OPEN_MS
from tests.browser.conftest import EPS, SCENES

pytestmark = pytest.mark.browser

LISTED = {
    "Find unique samples, leave out duplicates (deletes nothing)": "filter_none",
    "Compute embeddings": "memory",
    "Build similarity index": "account_tree",
    "Sort by similarity": "image_search",
    "Compare samples": "compare",
    "Cluster duplicates": "bubble_chart",
    "Keep first per cluster": "filter_1",
    "Export deduplicated": "file_download",
    "Group into folders": "create_new_folder",
}


def test_the_operators_are_listed_with_their_icons(app, traffic):
    opened = app(traffic)

    listed = opened.operators("onlyone")

    icons = dict(zip(listed[1::3], listed[::3], strict=True))
    assert LISTED.items() <= icons.items()


def test_two_of_them_have_a_button_over_the_grid(app, traffic):
    opened = app(traffic)

    for name in ("find_unique_samples", "sort_by_similarity"):
        expect(opened.button(f"@onlyone/dedup/{name}")).to_be_visible()


def test_embedding_shows_progress_then_its_result_and_skips_the_second_time(app, traffic, copy):
    made = copy(traffic)
    opened = app(made)

    opened.operator("Compute embeddings")
    opened.fill("Weights", "untrained")
    opened.screenshot("form")
    opened.press_execute()
    opened.progress("Embedding|Loading the model")
    first = opened.result()
    opened.close()
    second = opened.run("Compute embeddings", weights="untrained")

    assert "24 samples: 24 embedded" in first
    assert "untrained" in first
    assert "0 embedded, 24 up to date" in second
    assert made.exists("vgg16").count() == 24


def test_a_wrong_value_is_shown_in_the_form_and_blocks_it(app, embedded):
    opened = app(embedded)

    opened.operator("Cluster duplicates")
    opened.fill("Threshold", "0")

    expect(opened.form).to_contain_text("greater than 0")
    expect(opened.form.get_by_role("button", name="Execute")).to_be_disabled()
    opened.screenshot("form_error")


def test_what_goes_wrong_later_is_shown_as_an_error_with_a_way_back_to_the_filled_form(
    app, deduplicated, copy
):
    made = copy(deduplicated)
    sample = made.first()
    sample["vgg16"] = -sample["vgg16"]  # which no form reads
    sample.save()
    opened = app(made)

    text = opened.run("Keep first per cluster", order_by="medoid")
    expect(opened.output.locator(".MuiAlert-standardError")).to_be_visible()
    opened.screenshot("later_error")
    opened.output.get_by_role("button", name="Back to the form").click()

    assert "have changed since" in text
    expect(opened.field("Order by")).to_have_value("medoid")


def test_weights_that_a_field_would_mix_are_refused_in_the_form(app, embedded):
    opened = app(embedded)

    opened.operator("Find unique samples, leave out duplicates (deletes nothing)")
    expect(opened.field("Weights")).to_have_value("untrained")
    expect(opened.form.get_by_role("button", name="Execute")).to_be_enabled()
    opened.fill("Weights", "imagenet")

    expect(opened.form).to_contain_text("not 'imagenet")
    expect(opened.form.get_by_role("button", name="Execute")).to_be_disabled()


def test_a_text_counts_while_it_is_typed(app, embedded):
    opened = app(embedded)
    opened.operator("Cluster duplicates")

    field = opened.field("Threshold")
    field.press("ControlOrMeta+a")
    field.press_sequentially("101 %")

    expect(opened.form).to_contain_text("below 100 %")
    field.press("ControlOrMeta+a")
    field.press_sequentially("97 %")
    expect(opened.form.get_by_role("button", name="Execute")).to_be_enabled()
    expect(field).to_have_value("97 %")


def test_control_and_enter_execute_the_form_with_the_text_typed_last(app, embedded, copy):
    made = copy(embedded)
    opened = app(made)
    opened.operator("Cluster duplicates")

    field = opened.field("Run key")
    field.press("ControlOrMeta+a")
    field.press_sequentially("night")
    field.press("Enter")
    expect(opened.form.get_by_role("button", name="Execute")).to_be_enabled()
    opened.field("Threshold").press("ControlOrMeta+a")
    opened.field("Threshold").press_sequentially(str(EPS))
    opened.field("Threshold").press("ControlOrMeta+Enter")

    assert "6 clusters" in opened.result()
    made.reload()
    assert made.list_runs() == ["night"]


def test_clustering_and_keeping_show_their_results(app, embedded, copy):
    opened = app(copy(embedded))

    clustered = opened.run("Cluster duplicates", threshold=EPS)
    opened.screenshot("cluster")
    opened.close()
    kept = opened.run("Keep first per cluster")
    opened.screenshot("keep")
    opened.close()

    assert "24 samples: 6 clusters, and 0 samples" in clustered
    assert "dedup:cluster:0005" in clustered
    assert "24 samples, 6 clusters, 6 kept: 25.0 %" in kept
    assert "18 dropped, 0 skipped" in kept
    opened.shows("6 samples")


def test_a_cluster_tag_filters_the_grid_from_the_sidebar(app, deduplicated):
    opened = app(deduplicated)
    opened.show_field("scene")

    opened.filter_tag("dedup:cluster:0003")

    opened.shows("4 samples")
    opened.values(lambda shown: len(shown) == 4 and len(set(shown)) == 1 and shown[0])
    opened.screenshot("tag")


def test_the_kept_view_has_each_scene_once(app, deduplicated):
    opened = app(deduplicated)
    opened.show_field("scene")

    opened.saved_view("dedup-kept")

    opened.shows("6 samples")
    opened.values(lambda shown: sorted(shown) == sorted(SCENES))


def test_the_clusters_view_has_a_group_for_each_with_the_kept_one_in_front(app, deduplicated):
    opened = app(deduplicated)
    opened.show_field("scene")
    opened.show_field("dedup_kept")

    opened.saved_view("dedup-clusters")

    opened.shows("6 groups")
    front = sorted(sorted([scene, "True"]) for scene in SCENES)  # the App lists the fields in either order
    opened.values(lambda shown: sorted(sorted(text.split()) for text in shown) == front)
    opened.screenshot("clusters")


def test_a_saved_view_is_listed_without_loading_the_page_again(app, embedded, copy):
    opened = app(copy(embedded))

    opened.run("Cluster duplicates", threshold=EPS)
    opened.close()
    opened.saved_view("dedup-clusters")

    expect(opened.page).to_have_url(re.compile("view=dedup-clusters"), timeout=OPEN_MS)
    opened.shows("6 groups")
