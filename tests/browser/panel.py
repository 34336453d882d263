"""The panel "Deduplication" as a person sees it: what the browser tests read, move and click in it."""

import re
from collections.abc import Callable

from playwright.sync_api import Locator, expect

from tests.browser.app import OPEN_MS, App, eventually

PICTURES = 'img[src*="/media?filepath="][alt]'
NAMES = "(images) => images.map((image) => image.alt)"
FRAMED = """(images) => images
    .filter((image) => getComputedStyle(image).borderTopColor === "rgb(255, 109, 4)")
    .map((image) => image.alt)"""


class Panel:
    """The open panel; every method does what a person does, and waits until the panel has answered."""

    def __init__(self, app: App):
        self.app, self.page = app, app.page
        self.page.set_viewport_size({"width": 1280, "height": 720})
        self.page.locator('[title="New panel"], [data-cy="new-panel-btn"]').first.click()
        self.page.get_by_text("Deduplication", exact=True).first.click()

    def ready(self) -> "Panel":
        """Wait until it shows a dataset's vectors."""
        expect(self.page.get_by_text("Refresh", exact=True)).to_be_visible(timeout=OPEN_MS)
        return self

    def says(self, words: str | re.Pattern) -> Locator:
        """Wait until words are shown."""
        found = self.page.get_by_text(words).first
        expect(found).to_be_visible(timeout=OPEN_MS)
        return found

    def tab(self, name: str) -> "Panel":
        """Click on a tab."""
        self.page.get_by_role("tab", name=name, exact=True).click()
        expect(self.page.get_by_role("tab", name=name, exact=True)).to_have_attribute("aria-selected", "true")
        return self

    @property
    def threshold(self) -> str:
        """The sentence about the threshold."""
        return self.says(re.compile(r"^At .* are kept")).inner_text()

    def pictures(self, right: Callable[[list[str]], object] = bool) -> list[str]:
        """The pictures of pairs or of a cluster, line by line, once they are right; without a rule, once there are any."""
        return eventually(self.page, lambda: self.page.locator(PICTURES).evaluate_all(NAMES), right)

    def keeps(self, right: Callable[[list[str]], object]) -> list[str]:
        """The framed ones among them, once they are right."""
        return eventually(self.page, lambda: self.page.locator(PICTURES).evaluate_all(FRAMED), right)

    def tiles(self, right: Callable[[dict[str, str]], object], *labels: str) -> dict[str, str]:
        """The numbers below these labels, once they are right."""
        return eventually(self.page, lambda: {label: self._tile(label) for label in labels}, right)

    def picture(self, name: str) -> Locator:
        """A picture by its name."""
        return self.page.locator(f'{PICTURES}[alt="{name}"]').first

    def drag(self, share: float) -> str:
        """Move the slider to a share of its way; return the new sentence."""
        return self._moved(self.slider, share)

    @property
    def slider(self) -> Locator:
        """The slider of the threshold."""
        return self.page.get_by_role("slider", name="Threshold")

    def hold(self, share: float) -> str:
        """Move the pressed mouse to a share of the slider's way; return the new sentence, with the mouse still pressed."""
        before, box = self.threshold, self.slider.bounding_box()
        self.page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
        self.page.mouse.down()
        return self._other(before)

    def press_access_key(self, key: str) -> None:
        """Press a button's key together with Alt; Playwright's own keyboard gives the browser no access keys."""
        session = self.page.context.new_cdp_session(self.page)
        pressed = {
            "modifiers": 1,
            "key": key,
            "unmodifiedText": key,
            "windowsVirtualKeyCode": ord(key.upper()),
        }
        for kind in ("keyDown", "keyUp"):
            session.send("Input.dispatchKeyEvent", {"type": kind, **pressed})

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
        return self._other(before)

    def _other(self, before: str) -> str:
        return eventually(self.page, lambda: self.threshold, lambda sentence: sentence != before)

    def click_bar(self, share: float) -> None:
        """Click on a bar at a share of the chart's width."""
        chart = self.page.locator(".js-plotly-plot .nsewdrag").first
        chart.scroll_into_view_if_needed()
        box = chart.bounding_box()
        x, y = box["x"] + share * box["width"], box["y"] + box["height"] - 10
        self.page.mouse.move(x - 3, y)
        self.page.mouse.move(x, y)
        self.page.wait_for_timeout(300)  # Plotly tells what is below the mouse only when it has rested
        self.page.mouse.click(x, y)

    def keep_about(self, target: str) -> str:
        """Type a target instead of a threshold; return the new sentence."""
        before = self.threshold
        self.page.get_by_placeholder("200 or 10 %").press_sequentially(target, delay=100)
        return self._other(before)

    def press(self, label: str | re.Pattern) -> None:
        """Press a button."""
        self.page.get_by_role("button", name=label).first.click()

    def _tile(self, label: str) -> str:
        """The number below a label."""
        name = self.page.locator("p.MuiTypography-root").get_by_text(label, exact=True).last
        return name.locator("xpath=following::p[1]").inner_text()
