"""The FiftyOne App as a person sees it in Chromium: what the browser tests click, fill and read."""

import io
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from PIL import Image
from playwright.sync_api import Locator, Page, TimeoutError, expect

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
OPEN_MS = 60_000
RUN_MS = 300_000
BEGUN_MS = 15_000
COLORS = 160  # of a screenshot, so that it stays small in the repository
FILM = (960, 540)
SETTLE_MS = 800  # pictures fade in; the App never says when it has drawn, and its polling never ends


T = TypeVar("T")


def eventually(page: Page, read: Callable[[], T], right: Callable[[T], object]) -> T:
    """Read something again and again until it is right, and return it; the App draws anew at any time."""
    deadline = time.monotonic() + OPEN_MS / 1000
    while not right(found := read()):
        assert time.monotonic() < deadline, found
        page.wait_for_timeout(200)
    return found


def insist(act: Callable[[], None], wait: Callable[[], None]) -> None:
    """Do something and wait for its effect; once more, since the App lets a click or a key go by while it draws anew."""
    act()
    try:
        wait()
    except (TimeoutError, AssertionError):
        act()
        wait()


def cy(name: str) -> str:
    """Return the selector of an element by the name that FiftyOne gave it for its own tests."""
    return f'[data-cy="{name}"]'


class App:
    """One tab of the App; every method does what a person does, and waits until the App has answered.

    Args:
        page: the tab
        address: of the App's server, e.g. ``http://127.0.0.1:5151``
    """

    def __init__(self, page: Page, address: str):
        self.page = page
        self.address = address
        self.film: list[tuple[Image.Image, int]] = []

    def open(self, dataset, view: str | None = None) -> "App":
        """Open a dataset, or one of its saved views by its slug, and wait for the grid."""
        query = f"?view={view}" if view else ""
        self.page.goto(f"{self.address}/datasets/{dataset.name}{query}", timeout=OPEN_MS)
        expect(self.page.locator(cy("entry-counts"))).to_contain_text("sample", timeout=OPEN_MS)
        return self

    @property
    def form(self) -> Locator:
        """The form of an operator."""
        return self.page.locator(cy("operators-prompt-modal"))

    @property
    def output(self) -> Locator:
        """What an operator shows: first its progress, at the end its output."""
        return self.page.locator(cy("operators-prompt-view-modal"))

    @property
    def grid(self) -> Locator:
        """The grid of pictures."""
        return self.page.locator(cy("fo-grid"))

    @property
    def thumbnails(self) -> Locator:
        """The pictures in the grid that are near enough to be drawn."""
        return self.grid.locator(cy("looker"))

    def operators(self, search: str) -> list[str]:
        """Return the labels that the operator browser lists for a search, and close it."""
        listed = self._search(search).locator(".MuiDialogContent-root").inner_text()
        self.page.keyboard.press("Escape")
        return [line.strip() for line in listed.splitlines() if line.strip()]

    def operator(self, label: str) -> Locator:
        """Open an operator's form by choosing its label in the operator browser."""
        self._search(label).get_by_text(label, exact=True).first.click()
        self.form.wait_for()
        expect(self.form).to_contain_text(label)
        return self.form

    def button(self, operator: str) -> Locator:
        """Return the button over the grid that an operator placed there, by the operator's full name."""
        return self.page.locator(cy("fo-grid-actions")).locator(f'[data-item-id="{operator}"]')

    def field(self, label: str) -> Locator:
        """Return the input that follows a label in the form."""
        follows = "following::*[self::input or self::textarea][1]"
        return self.form.locator(f"xpath=.//p[normalize-space()={label!r}]/{follows}")

    def fill(self, label: str, value: object) -> None:
        """Type a value into a field of the form and leave it; of a list of proposals the same one is taken."""
        field = self.field(label)
        field.press("ControlOrMeta+a")
        field.press_sequentially(str(value))
        proposal = self.page.get_by_role("option", name=str(value), exact=True)
        if field.get_attribute("role") == "combobox" and proposal.count():
            proposal.click()
        else:
            field.press("Tab")

    def upload(self, file: Path) -> None:
        """Give the form a file from this machine."""
        self.form.locator('input[type="file"]').set_input_files(file)
        expect(self.form).to_contain_text(file.name)

    def check(self, label: str, on: bool = True) -> None:
        """Tick or untick a box of the form by its label."""
        self.form.get_by_label(label).set_checked(on)

    def choose(self, label: str) -> None:
        """Choose one of the form's radio buttons by its label."""
        self.form.get_by_role("radio", name=label).check()

    def execute(self, timeout: float = RUN_MS) -> str:
        """Press Execute, wait until the operator has ended, and return the text of its output, if any."""
        self.press_execute()
        self.page.wait_for_function(ENDED, timeout=timeout)
        return self.form.inner_text() if self.form.is_visible() else ""

    def press_execute(self) -> None:
        """Press Execute and wait until the operator has begun, to look at its progress."""
        button = self.form.get_by_role("button", name="Execute")
        expect(button).to_be_enabled(timeout=OPEN_MS)
        try:
            with self.page.expect_request(EXECUTION, timeout=BEGUN_MS):
                button.click()
        except TimeoutError:  # the App lets a press go by while it still checks the value typed last
            with self.page.expect_request(EXECUTION, timeout=BEGUN_MS):
                button.click()

    def schedule(self) -> None:
        """Choose to run the form's operator in the background, and press the button that then says so."""
        self.form.get_by_role("button").last.click()
        self.page.get_by_text("Run this operation in the background").click()
        self.form.get_by_role("button", name="Schedule").click()
        self.page.get_by_text("Operation successfully scheduled").wait_for(timeout=OPEN_MS)

    def progress(self, what: str, percent: str = r"\d+") -> None:
        """Wait until the progress bar says what is being done and shows a percentage of this pattern."""
        expect(self.output).to_have_text(re.compile(rf"^{percent}%.*{what}", re.DOTALL), timeout=RUN_MS)

    def result(self) -> str:
        """Wait for the output that takes the progress bar's place, and return its text."""
        expect(self.output).to_have_text(RESULT, timeout=RUN_MS)
        return self.output.inner_text()

    def run(self, label: str, **values: object) -> str:
        """Open an operator's form, fill it (``run_key="a"`` goes into "Run key"), execute it, return its output's text."""
        self.operator(label)
        for name, value in values.items():
            self.fill(name.replace("_", " ").capitalize(), value)
        self.press_execute()
        return self.result()

    def close(self) -> None:
        """Close the output."""
        self.output.get_by_role("button", name="Done").click()
        self.output.wait_for(state="hidden")

    def select(self, *indices: int) -> None:
        """Select pictures by their places in the grid, read line by line."""
        self.settle()
        drawn = eventually(self.page, self._drawn, lambda drawn: len(drawn) > max(indices))
        for count, index in enumerate(indices, start=1):
            y, x, _ = drawn[index]
            # The tick box in the picture's corner comes into being when the mouse does.
            self.page.mouse.move(x + 15, y + 15)
            self.page.wait_for_timeout(SETTLE_MS / 2)
            self.page.mouse.click(x + 15, y + 15)
            expect(self.page.locator(cy("action-manage-selected"))).to_have_text(str(count))

    def count(self) -> str:
        """Return what the App says is shown, e.g. ``"28 samples"``."""
        return self.page.locator(cy("entry-counts")).inner_text()

    def shows(self, count: str) -> None:
        """Wait until the App says that so many are shown."""
        expect(self.page.locator(cy("entry-counts"))).to_have_text(count, timeout=OPEN_MS)

    def filter_tag(self, tag: str) -> None:
        """Show only the samples with a tag, through the sidebar, which has a search where the tags are many."""
        self.page.locator(cy("sidebar-field-arrow-enabled-tags")).click()
        box, search = self.page.locator(cy(f"checkbox-{tag}")), self.page.locator(cy(TAG_SEARCH))
        box.or_(search).first.wait_for()

        def tick() -> None:
            if search.count():
                search.click()
                search.fill(tag)
                self.page.locator(cy(TAGS_FOUND)).get_by_text(tag).click()
            else:
                box.click()

        ticked = expect(box.locator("input"))
        insist(tick, lambda: ticked.to_be_checked(timeout=BEGUN_MS))

    def tag(self, tag: str) -> None:
        """Tag all samples that are shown, by the button over the grid."""
        self.page.locator(cy("action-tag-sample-labels")).click()
        self.page.locator(cy("sample-tag-input")).fill(tag)
        self.page.keyboard.press("Enter")
        self.page.get_by_text("Apply", exact=True).click()
        self.page.locator(cy("sample-tag-input")).wait_for(state="hidden")
        self.settle()

    def show_field(self, field: str) -> None:
        """Tick a field in the sidebar: every picture then carries its value."""
        self.page.locator(cy(f"checkbox-{field}")).click()

    def values(self, right: Callable[[list[str]], object]) -> list[str]:
        """Return what the pictures in the grid carry, line by line, once it is right."""
        return eventually(self.page, lambda: [text for *_, text in self._drawn()], right)

    def saved_view(self, name: str) -> None:
        """Choose a saved view from the list over the sidebar."""
        self.page.locator(cy("saved-views-selection")).click()
        self.page.locator(cy(f"saved-views-{name}-selection-option")).click()

    def zoom(self, share: float) -> None:
        """Set the size of the pictures by the slider over the grid: 0 is the smallest, 1 the largest."""
        slider = self.page.locator(cy("slider")).last
        box = slider.bounding_box()
        slider.click(position={"x": share * box["width"], "y": box["height"] / 2})

    def clear_view(self) -> None:
        """Go back to the whole dataset."""
        self.page.locator(cy("btn-clear-view-bar")).click()

    def settle(self) -> None:
        """Wait until the grid has its pictures at their places; not for an empty one."""
        self.grid.locator('canvas[canvas-loaded="true"]').first.wait_for(timeout=OPEN_MS)
        self.page.wait_for_timeout(SETTLE_MS)

    def screenshot(self, name: str) -> None:
        """Save a picture of the tab in docs/images, where ``UPDATE_SCREENSHOTS=1`` asks for it."""
        if os.environ.get("UPDATE_SCREENSHOTS") != "1":
            return
        self.page.wait_for_timeout(SETTLE_MS)
        with Image.open(io.BytesIO(self.page.screenshot())) as picture:
            picture.convert("RGB").quantize(COLORS).save(IMAGES / f"{name}.png", optimize=True)

    def frame(self, seconds: float) -> None:
        """Take a frame of the film, to be shown so long, where ``UPDATE_SCREENSHOTS=1`` asks for it."""
        if os.environ.get("UPDATE_SCREENSHOTS") == "1":
            self.page.wait_for_timeout(SETTLE_MS)
            with Image.open(io.BytesIO(self.page.screenshot())) as picture:
                self.film.append((picture.convert("RGB").resize(FILM), round(1000 * seconds)))

    def save_film(self, name: str) -> None:
        """Save the frames as an animated picture in docs/images."""
        if self.film:
            (first, *rest), durations = zip(*self.film, strict=True)
            more = {"append_images": rest, "duration": durations, "loop": 0, "quality": 60, "method": 6}
            first.save(IMAGES / f"{name}.webp", save_all=True, **more)

    def _drawn(self) -> list[tuple[int, int, str]]:
        """Where each picture of the grid stands, in pixels, and what it carries, line by line."""
        return sorted(tuple(each) for each in self.thumbnails.evaluate_all(DRAWN))

    def _search(self, text: str) -> Locator:
        browser = self.page.locator(cy("operators-browser"))
        insist(lambda: self.page.keyboard.press("`"), lambda: browser.wait_for(timeout=BEGUN_MS))
        browser.locator(cy("operators-browser-search")).fill(text)
        return browser


# Each value that a picture carries is an element of its own, with no space between them.
DRAWN = """(pictures) => pictures.map((picture) => {
    const box = picture.getBoundingClientRect();
    const values = [...picture.querySelectorAll('[class*="lookerTags"] > *')];
    return [Math.round(box.y), Math.round(box.x), values.map((value) => value.textContent.trim()).join(" ")];
})"""
EXECUTION = re.compile(r"/operators/execute")
TAG_SEARCH = "selector-sidebar-search-tags"
TAGS_FOUND = "selector-results-container-sidebar-search-tags"
# The text of an output, not of a progress bar, and not of the moment between the two.
RESULT = re.compile(r"^(?!\d+%).{5,}", re.DOTALL)

# An operator has ended when its form is gone or has become its output: then it has no button to execute it.
ENDED = """() => {
    const form = document.querySelector('[data-cy="operators-prompt-modal"]');
    if (!form) return true;
    const executes = [...form.querySelectorAll("button")].some((button) => /Execut/.test(button.innerText));
    return !executes && !form.querySelector('[role="progressbar"]');
}"""
