"""What a person drops, and gets back: plan, confirmation, removal and restoration through their forms, and the report."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.app import eventually
from tests.browser.conftest import call
from tests.browser.panel import Panel

pytestmark = pytest.mark.browser


def test_duplicates_are_planned_removed_and_restored(app, copy, deduplicated):
    made = copy(deduplicated)
    before = made.values("id")
    opened = app(made)

    plan = opened.run("Remove duplicates")
    opened.screenshot("remove_plan")
    assert "18 samples of 24" in plan
    assert "Nothing has been changed" in plan
    assert made.values("id") == before
    opened.close()

    opened.clear_view()
    opened.operator("Remove duplicates")
    opened.check("Yes, take these samples out of the dataset")
    opened.press_execute()
    removed = opened.result()
    opened.screenshot("removed")
    assert "18 samples" in removed
    opened.close()
    opened.shows("6 samples")
    made.reload()
    assert made.count() == 6

    panel = Panel(opened).ready()
    panel.press("Restore removed")
    opened.form.wait_for()
    opened.press_execute()
    restored = opened.result()
    opened.screenshot("restored")
    assert "18" in restored
    made.reload()
    assert sorted(made.values("id")) == sorted(before)


def test_removed_samples_are_shown_by_the_panel_and_restored_from_their_archive(app, copy, deduplicated):
    made = copy(deduplicated)
    call("remove_duplicates", made, confirm=True)
    opened = app(made)
    panel = Panel(opened).ready()
    panel.press("Show dropped")
    panel.says(re.compile(f"^The removed samples are in '{made.name}-dedup-removed'"))
    opened.shows("18 samples")
    opened.button("@onlyone/dedup/restore_removed").click()
    opened.form.wait_for()
    opened.press_execute()
    assert "All are back" in opened.result()
    opened.close()
    opened.shows("24 samples")


def test_the_report_is_a_page_of_its_own(app, deduplicated, tmp_path):
    opened = app(deduplicated)
    opened.run("Write report", export_dir=tmp_path / "report")
    opened.close()

    opened.page.context.unroute_all()  # a file of this machine, and not a page of the server's
    opened.page.goto((tmp_path / "report" / "report.html").as_uri())

    expect(opened.page.locator("body")).to_contain_text("24")
    expect(opened.page.locator("body")).to_contain_text("18")
    drawn = "image => image.complete && image.naturalWidth > 0"
    eventually(opened.page, lambda: opened.page.locator("img").first.evaluate(drawn), bool)
    opened.screenshot("report")
    for media, scheme, paper in (
        ("screen", "dark", "rgb(28, 25, 23)"),
        ("print", "dark", "rgb(255, 255, 255)"),
    ):
        opened.page.emulate_media(media=media, color_scheme=scheme)
        expect(opened.page.locator("main")).to_have_css("background-color", paper)
