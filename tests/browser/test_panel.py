"""The panel, as a person uses it at 1280 x 720: run and stop, read, move the threshold, look at pairs, review, hand on."""

import re
from pathlib import Path

import pytest
from fiftyone import ViewField as F
from PIL import Image
from playwright.sync_api import expect

from tests.browser.app import OPEN_MS, cy, eventually
from tests.browser.conftest import call
from tests.browser.panel import Panel
from tests.support import plugin

import fiftyone as fo  # isort: skip

pytestmark = pytest.mark.browser

# Counts what a person does: clicks and presses of the space bar.
COUNT = """() => {
    window.counted = {clicks: 0, spaces: 0};
    addEventListener("pointerdown", () => { window.counted.clicks += 1; }, true);
    addEventListener("keydown", (pressed) => { window.counted.spaces += pressed.key === " "; }, true);
}"""
BOTTOM = """(buttons) => Math.max(...buttons
    .filter((button) => button.checkVisibility()).map((button) => button.getBoundingClientRect().bottom))"""
RIGHT = "(plot) => plot.getBoundingClientRect().right"
WIDTH = 1440
KEPT = re.compile(r"(\d+) of 24 samples are kept")


def kept(sentence: str) -> int:
    return int(KEPT.search(sentence)[1])


def numbers(panel, samples: int, kept: int, dropped: int) -> None:
    """Wait until the tiles say so."""
    said = {"Samples": f"{samples}", "Kept": f"{kept}", "Dropped": f"{dropped}", "Skipped": "0"}
    panel.tiles(lambda shown: shown == said, *said)


def ends_within(panel, height: int) -> None:
    """Wait until the last button of the panel ends within so many pixels from the top of the window."""
    eventually(
        panel.page, lambda: panel.page.get_by_role("button").evaluate_all(BOTTOM), lambda end: end <= height
    )


@pytest.fixture
def many(traffic, copy, tmp_path):
    """A dataset of 120 photographs, enough to follow their embedding and to stop it."""
    made = copy(traffic)
    samples = []
    for number, path in enumerate(made.values("filepath") * 4):
        with Image.open(path) as picture:
            picture.point(lambda value, light=1 - number / 1_000: value * light).save(
                tmp_path / f"{number}.jpg"
            )
        samples.append(fo.Sample(filepath=str(tmp_path / f"{number}.jpg")))
    made.add_samples(samples)
    return made


def test_the_main_button_finds_unique_samples_with_the_app_usable_and_every_tab_following(app, many):
    made = many
    call("compute_embeddings", made[:2], weights="untrained")
    opened, other = app(made), app(made)
    panel, second = Panel(opened).ready(), Panel(other).ready()
    panel.says(re.compile("118 pictures to look at"))

    panel.press("Find unique samples")
    panel.says(re.compile(r"1/3 Embedding: \d+ of 118 pictures, [\d,]+ a (second|minute), \d+ (s|min) left"))
    second.press("Refresh")
    second.says("Cancel")
    opened.select(0)
    for each in (panel, second):
        expect(each.page.get_by_text("Result of 'dedup'")).to_be_visible(timeout=OPEN_MS)
    made.reload()
    kept = made.count_values("dedup_kept")[True]
    for each in (panel, second):
        numbers(each, 120, kept, 120 - kept)
    panel.press("Show kept")
    opened.shows(f"{kept} samples")
    expect(opened.page.locator('[data-cy="saved-views-selection"]')).to_contain_text("dedup-kept")


def test_a_cancelled_run_keeps_what_it_did_and_the_next_one_goes_on(app, many):
    made = many
    call("compute_embeddings", made[:2], weights="untrained")
    panel = Panel(app(made)).ready()

    panel.press("Find unique samples")
    panel.says(re.compile(r"Embedding: [1-9]\d* of 118"))
    panel.press("Cancel")
    panel.says(re.compile("what was done before stays"))
    made.reload()
    done = made.exists("vgg16").count()
    assert 2 < done < 120
    panel.says(f"{120 - done} pictures to look at")
    assert not made.has_sample_field("dedup_kept")


def test_a_step_that_a_form_started_is_cancelled_there_and_keeps_what_it_did(app, many):
    call("compute_embeddings", many[:2], weights="untrained")
    opened = app(many)
    opened.operator("Compute embeddings")
    opened.fill("Weights", "untrained")
    opened.press_execute()
    opened.progress(r"Embedding: [1-9]\d* of 118")
    opened.output.get_by_role("button", name="Cancel").click()
    assert "what was done before stays" in opened.result()
    many.reload()
    assert 2 < many.exists("vgg16").count() < 120


def test_ten_clicks_and_a_key_for_each_cluster_lead_to_an_exported_reviewed_set(app, traffic, copy, tmp_path):
    made = copy(traffic)
    opened = app(made)
    panel = Panel(opened).ready()
    panel.page.get_by_placeholder("imagenet, or the path of a file").fill("untrained")
    panel.page.evaluate(COUNT)
    panel.press("Find unique samples")
    panel.says("Result of 'dedup'")
    panel.press("Review the clusters")
    for number in range(1, 7):
        panel.says(f"Cluster {number} of 6")
        panel.page.keyboard.press("Space")
    panel.says("Result of 'dedup'")
    panel.press("Export")
    expect(opened.form).to_contain_text("Export dir", timeout=OPEN_MS)
    opened.fill("Export dir", tmp_path / "export")
    expect(opened.field("Export dir")).to_have_value(str(tmp_path / "export"), timeout=OPEN_MS)
    opened.press_execute()
    assert "samples of 24" in opened.result()

    counted = panel.page.evaluate("window.counted")
    assert counted["clicks"] <= 10
    assert counted["spaces"] == 6
    made.reload()
    kept_files = made.match(F("dedup_kept")).values("filepath")
    exported = {path.name for path in (tmp_path / "export").rglob("*.jpg")}
    assert exported == {Path(file).name for file in kept_files}
    review = plugin("similarity.steps.review")
    assert len(review.reviewed(made, "dedup")) == 6


def test_why_a_run_could_not_be_done_is_said_where_it_was_started(app, traffic, copy):
    panel = Panel(app(copy(traffic))).ready()
    panel.page.get_by_placeholder("imagenet, or the path of a file").fill("/nowhere/weights.h5")
    panel.press("Find unique samples")
    panel.says(re.compile("/nowhere/weights.h5"))
    panel.press("Close")
    expect(panel.page.get_by_role("button", name="Close")).to_have_count(0)


def test_the_result_and_the_steps_fit_one_screen(app, deduplicated):
    panel = Panel(app(deduplicated)).ready()
    panel.says("Result of 'dedup'")
    ends_within(panel, 720)
    panel.tab("Steps").says("6. Remove duplicates")
    ends_within(panel, 720)


def test_the_threshold_is_moved_and_the_pairs_change_with_it(app, embedded):
    panel = Panel(app(embedded)).ready().tab("Threshold")
    first, pairs = panel.threshold, panel.pictures()
    assert "as measured for these vectors" in first
    for name in ("one of each", "with cover", "measured", "chosen"):
        legend = panel.page.locator(".legendtext").get_by_text(name, exact=True)
        expect(legend).to_be_visible(timeout=OPEN_MS)

    left = panel.drag(0.1)
    assert kept(left) > kept(first)
    panel.pictures(lambda shown: shown and shown != pairs)
    assert kept(panel.click_curve(0.97)) < kept(left)
    panel.says(re.compile("^One cluster would hold"))
    assert kept(panel.keep_about("6")) == 6


def test_the_numbers_follow_the_slider_while_it_is_dragged(app, embedded):
    panel = Panel(app(embedded)).ready().tab("Threshold")
    first = panel.hold(0.6)
    second = panel.hold(0.3)
    assert kept(second) > kept(first)
    assert kept(panel.hold(0.05)) > kept(second)
    panel.page.mouse.up()


def test_one_click_clusters_and_keeps_at_the_chosen_threshold(app, embedded, copy):
    made = copy(embedded)
    panel = Panel(app(made)).ready().tab("Threshold")
    chosen = re.search(r"At (\S+) % similar", panel.drag(0.3))[1]
    panel.press(f"Cluster and keep at {chosen} %")
    panel.tab("Result").says("Result of 'dedup'")
    made.reload()
    step = plugin("similarity.data.runs").load(made, "dedup")["steps"]["cluster"]
    assert f"{100 * (1 - step['eps']):.3f}".startswith(chosen)
    kept = made.count_values("dedup_kept")[True]
    numbers(panel, 24, kept, 24 - kept)


def test_clusters_are_reviewed_by_key_and_overruled_by_clicks(app, deduplicated, copy):
    made = copy(deduplicated)
    opened = app(made)
    panel = Panel(opened).ready()
    panel.press("Review the clusters")
    panel.says("0 of 6 reviewed")
    first = panel.pictures(lambda shown: len(shown) == 4)
    panel.keeps(lambda kept: kept == first[:1])
    dropped = first[1]

    panel.picture(dropped).click()
    panel.says("kept too")
    panel.keeps(lambda kept: dropped in kept)
    panel.picture(dropped).click()
    panel.says("kept instead")
    panel.keeps(lambda kept: kept == [dropped])
    made.reload()
    tagged = made.match_tags("dedup:keep")
    assert [path.endswith(f"/{dropped}") for path in tagged.values("filepath")] == [True]
    assert tagged.values("dedup_kept") == [True]
    panel.picture(dropped).click()
    expect(panel.page.get_by_text("kept instead")).to_have_count(0, timeout=OPEN_MS)
    panel.keeps(lambda kept: kept == first[:1])

    for number in range(1, 6):
        panel.page.keyboard.press("Space")
        panel.says(f"{number} of 6 reviewed")
    panel.press_access_key("b")
    panel.says("Cluster 5 of 6")
    panel.page.keyboard.press("Space")
    panel.says("Cluster 6 of 6")
    panel.press("All different")
    expect(panel.page.get_by_role("button", name=re.compile("instead|Undo"))).to_have_count(
        4, timeout=OPEN_MS
    )
    panel.page.keyboard.press("Space")
    panel.says("Result of 'dedup'")
    numbers(panel, 24, 9, 15)


def test_a_bar_and_a_pair_are_selected_in_the_grid_which_keeps_its_view(app, deduplicated):
    opened = app(deduplicated)
    panel = Panel(opened).ready().tab("Clusters")
    panel.click_bar(0.05)
    opened.shows("4 samples")
    panel.tab("Pairs").says("Worst pairs")
    panel.press("Both in grid")
    opened.shows("2 samples")
    expect(opened.page.locator('[data-cy="saved-views-selection"]')).to_contain_text("Unsaved view")


def test_a_pair_fills_the_panel_and_each_of_it_is_opened_by_a_click_whatever_the_grid_shows(
    app, deduplicated, copy
):
    made = copy(deduplicated)
    opened = app(made)
    panel = Panel(opened).ready()
    panel.press("Show kept")
    opened.shows("6 samples")
    panel.tab("Pairs").says("Worst pairs")
    names = panel.pictures()[:2]
    width = 1280 - panel.page.get_by_role("tab", name="Result").bounding_box()["x"]
    eventually(
        opened.page,
        lambda: [panel.picture(name).bounding_box()["width"] for name in names],
        lambda widths: sum(widths) > 0.85 * width,
    )
    for name in names:
        panel.picture(name).click()
        shown = made.match(F("filepath").ends_with(f"/{name}")).first()
        expect(opened.page.locator(cy("modal"))).to_contain_text(shown.id, timeout=OPEN_MS)
        opened.page.mouse.click(
            5, 400
        )  # beside it; FiftyOne's modal is deaf to Escape when that is pressed while it opens
        expect(opened.page.locator(cy("modal"))).to_have_count(0, timeout=OPEN_MS)
    opened.shows("6 samples")


def test_the_worst_pairs_are_groups_of_two_in_a_saved_view(app, deduplicated, copy):
    opened = app(copy(deduplicated))  # the server remembers a dataset's view
    panel = Panel(opened).ready().tab("Pairs")
    panel.press("Show as groups")
    opened.shows("6 groups")
    expect(opened.page.locator('[data-cy="saved-views-selection"]')).to_contain_text("dedup-worst")


def test_the_map_opens_in_the_embeddings_panel_with_what_is_kept_for_its_colours(app, deduplicated, copy):
    panel = Panel(app(copy(deduplicated))).ready().tab("Clusters")
    panel.press("Map of the vectors")
    panel.says("24 points")
    legend = panel.page.locator(".emb-plot")
    for words in ("dedup_map", "Color by", "dedup_kept", re.compile(r"true\s*6"), re.compile(r"false\s*18")):
        expect(legend).to_contain_text(words, timeout=OPEN_MS)


def test_money_saved_follows_the_price(app, deduplicated):
    panel = Panel(app(deduplicated)).ready()
    field = panel.page.locator("input[type=number]").first
    field.fill("0.5")
    field.press("Tab")
    expect(panel.page.get_by_text("9.00", exact=True)).to_be_visible(timeout=OPEN_MS)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_every_tab_fits_its_width_in_both_themes(app, deduplicated, theme):
    opened = app(deduplicated)
    opened.page.evaluate(f"localStorage.setItem('mui-mode', '{theme}')")
    opened.open(deduplicated)
    panel = Panel(opened).ready()
    opened.page.set_viewport_size({"width": WIDTH, "height": 900})
    heads = {
        "Result": "Result of",
        "Threshold": "At 99",
        "Clusters": "Cluster 1",
        "Pairs": "Worst",
        "Steps": "In this",
    }
    for name, words in heads.items():
        panel.tab(name).says(re.compile(f"^{words}"))
        if name == "Threshold":
            plot = opened.page.locator(".js-plotly-plot")
            expect(plot.locator(".legendtext").first).to_be_visible(timeout=OPEN_MS)
            eventually(opened.page, lambda plot=plot: plot.evaluate(RIGHT), lambda right: right <= WIDTH)
        if name in ("Result", "Threshold", "Clusters"):
            opened.screenshot(f"panel-{name.lower()}-{theme}")
