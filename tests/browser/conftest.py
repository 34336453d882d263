"""Fixtures of the tests that drive the real App: its server, over the tests' own database, and a Chromium."""

import os
import shutil

import pytest

from tests.browser.app import App
from tests.fixtures import *  # noqa: F403
from tools.app_server import AppServer

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM_OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# The App's invitation to the Enterprise edition covers the grid until it is dismissed once.
DISMISS = "localStorage.setItem('fiftyone-enterprise-tooltip-seen', 'true')"


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium; without one the test is skipped, or fails where ``REQUIRE_BROWSER=1``."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if found:
        return found
    if os.environ.get("REQUIRE_BROWSER") == "1":
        pytest.fail("no Chromium on PATH, and none named by CHROMIUM")
    return pytest.skip("no Chromium on PATH, and none named by CHROMIUM")


@pytest.fixture(scope="session")
def server(chromium, tmp_path_factory):
    """The address of the App's server, which sees the same database, plugin and folders as the tests."""
    started = AppServer(tmp_path_factory.mktemp("server") / "server.log")
    yield started.address
    started.stop()


@pytest.fixture(scope="module")
def browser(chromium):
    """A Chromium.

    One a module: while it lives an event loop runs here, and FiftyOne would turn the operators that other
    tests execute into tasks that nobody awaits.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_OPTIONS)
        yield started
        started.close()


@pytest.fixture
def app(browser, server, tmp_path):
    """``app(dataset)``: the App opened on a dataset, as an :class:`tests.browser.app.App`."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    context.add_init_script(DISMISS)
    context.route(lambda url: not url.startswith(server), lambda route: route.abort())

    def open_dataset(dataset, view: str | None = None) -> App:
        return App(context.new_page(), server, tmp_path / "screenshots").open(dataset, view)

    yield open_dataset
    context.close()
