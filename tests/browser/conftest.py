"""Fixtures of the tests that drive the real App: its server, over the tests' own database, and a Chromium."""

import os
import shutil
import uuid

import numpy as np
import pytest

from tests.browser.app import App
from tests.fixtures import *  # noqa: F403
from tests.support import uri
from tools import scenes
from tools.app_server import AppServer

import fiftyone as fo  # isort: skip
import fiftyone.operators as foo  # isort: skip

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
SCENES = ("coffee-left", "flower-right", "rocket-left", "astronaut-left", "motorcycle_left", "china-right")
EPS = 0.02  # between two photographs of one scene at most 0.011, of two scenes at least 0.032
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
def app(browser, server):
    """``app(dataset)``: the App opened on a dataset, as an :class:`tests.browser.app.App`."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    context.add_init_script(DISMISS)
    context.route(lambda url: not url.startswith(server), lambda route: route.abort())

    def open_dataset(dataset, view: str | None = None) -> App:
        return App(context.new_page(), server).open(dataset, view)

    yield open_dataset
    context.close()


@pytest.fixture(scope="session")
def traffic(tmp_path_factory):
    """A dataset of 24 photographs, four of each of six scenes, a little lighter or darker; none of its own fields."""
    rng, folder, places = np.random.default_rng(51), tmp_path_factory.mktemp("traffic"), scenes.scenes()
    made = new_dataset()
    for scene in SCENES:
        for number in range(4):
            light = rng.uniform(0.96, 1.04)
            file = folder / f"{scene}-{number}.jpg"
            places[scene].point(lambda value, light=light: value * light).save(file, quality=90)
            made.add_sample(fo.Sample(filepath=str(file), scene=scene))
    return made


@pytest.fixture(scope="session")
def embedded(traffic):
    """The same with embeddings and a similarity index."""
    made = traffic.clone(new_name())
    call("compute_embeddings", made, weights="untrained")
    call("build_similarity_index", made)
    return made


@pytest.fixture(scope="session")
def deduplicated(embedded):
    """The same with a finished run."""
    made = embedded.clone(new_name())
    call("cluster_duplicates", made, eps=EPS)
    call("keep_first_per_cluster", made)
    return made


@pytest.fixture
def copy():
    """``copy(dataset)``: a copy that a test may change; the pictures are the same files."""
    made = []

    def clone(dataset):
        made.append(dataset.clone(new_name()))
        return made[-1]

    yield clone
    for each in made:
        each.delete()


def call(operator: str, dataset, **options):
    """Prepare a dataset by one of our operators, from Python."""
    return foo.get_operator(uri(operator))(dataset, **options)


def new_name() -> str:
    """Return a name that nobody has; screenshots show its beginning."""
    return f"traffic-{uuid.uuid4().hex[:6]}"


def new_dataset():
    """Return a new, empty dataset."""
    return fo.Dataset(new_name())
