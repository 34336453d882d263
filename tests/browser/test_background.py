"""An operator that runs in the background: scheduled in its form, worked on by FiftyOne's own worker."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.browser.app import RUN_MS
from tests.browser.conftest import EPS
from tests.support import uri
from tools.app_server import AppServer

import fiftyone.operators.delegated as food  # isort: skip

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(chromium, tmp_path_factory):
    """An App that offers to run in the background, as the README says how to start it."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("FIFTYONE_ALLOW_LEGACY_ORCHESTRATORS", "true")
        started = AppServer(tmp_path_factory.mktemp("server") / "server.log")
    yield started.address
    started.stop()


@pytest.fixture
def worker(tmp_path):
    """``fiftyone delegated launch``, until the test ends."""
    command = [Path(sys.executable).with_name("fiftyone"), "delegated", "launch"]
    with (tmp_path / "worker.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path)
        yield process
        process.terminate()
        process.wait()


def finished(operator, dataset):
    """Wait for the end of the newest background run of an operator, and return its record."""
    service = food.DelegatedOperationService()
    deadline = time.monotonic() + RUN_MS / 1000
    while time.monotonic() < deadline:
        record = service.list_operations(operator=uri(operator), dataset_name=dataset.name)[-1]
        if record.run_state in ("completed", "failed"):
            return record
        time.sleep(0.5)
    return pytest.fail(f"the run is still {record.run_state}")


def test_a_scheduled_run_is_worked_on_and_keeps_its_output(app, embedded, copy, worker):
    made = copy(embedded)
    opened = app(made)

    opened.operator("Cluster duplicates")
    opened.fill("Threshold", EPS)
    opened.schedule()
    record = finished("cluster_duplicates", made)

    assert record.run_state == "completed", record.result.error
    assert "24 samples: 6 clusters" in record.result.result["summary"]
    opened.open(made)
    opened.saved_view("dedup-clusters")
    opened.shows("6 groups")
