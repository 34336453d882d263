"""The panel "Deduplication" as a person sees it: what the browser tests read, move and click in it."""

import re

from playwright.sync_api import Locator, expect

from tests.browser.app import OPEN_MS, RUN_MS, App


class Panel:
    """The open panel; every method does what a person does, and waits until the panel has answered."""

    def __init__(self, app: App):
        self.app, self.page = app, app.page
        self.page.locator('[title="New panel"], [data-cy="new-panel-btn"]').first.click()
        self.page.get_by_text("Deduplication", exact=True).first.click()

    def ready(self) -> "Panel":
        """Wait until it shows a dataset's vectors."""
        expect(self.page.get_by_text("Refresh", exact=True)).to_be_visible(timeout=OPEN_MS)
        return self

    def says(self, words: str | re.Pattern) -> Locator:
        """Wait until words are shown."""
        found = self.page.get_by_text(words).first
        expect(found).to_be_visible(timeout=RUN_MS)
        return found

    @property
    def threshold(self) -> str:
        """The sentence about the threshold."""
        return self.says(re.compile(r"^(Measured|Chosen): eps .* keeps ")).inner_text()

    @property
    def pictures(self) -> list[str]:
        """The pictures of pairs, those just under the threshold first."""
        return [
            image.get_attribute("src") for image in self.page.locator('img[src^="data:image/jpeg"]').all()
        ]

    def drag(self, share: float) -> str:
        """Move the slider to a share of its way; return the new sentence."""
        return self._moved(self.page.locator(".MuiSlider-sizeSmall"), share)

    def click_curve(self, share: float) -> str:
        """Click on the curve at a share of its width; return the new sentence."""
        return self._moved(self.page.locator(".js-plotly-plot .nsewdrag").first, share)

    def _moved(self, where: Locator, share: float) -> str:
        before = self.threshold
        where.scroll_into_view_if_needed()
        box = where.bounding_box()
        x, y = box["x"] + share * box["width"], box["y"] + box["height"] / 2
        self.page.mouse.move(x - 3, y)
        self.page.mouse.move(x, y)
        self.page.wait_for_timeout(300)  # Plotly tells what is below the mouse only when it has rested
        self.page.mouse.click(x, y)
        expect(self.page.get_by_text(before)).to_have_count(0, timeout=OPEN_MS)
        return self.threshold

    def keep_about(self, target: str) -> str:
        """Give a target instead of a threshold; return the new sentence."""
        before, field = self.threshold, self.page.get_by_placeholder("200 or 10 %")
        field.fill(target)
        field.press("Tab")
        expect(self.page.get_by_text(before)).to_have_count(0, timeout=OPEN_MS)
        return self.threshold

    def press(self, label: str | re.Pattern) -> None:
        """Press a button."""
        button = self.page.get_by_role("button", name=label).first
        button.scroll_into_view_if_needed()
        button.click()

    def tile(self, label: str) -> str:
        """The number below a label."""
        name = self.page.locator("p.MuiTypography-root").get_by_text(label, exact=True).last
        return name.locator("xpath=following::p[1]").inner_text()
