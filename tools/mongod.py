"""A MongoDB of one's own, for the demo and the tests.

FiftyOne's embedded MongoDB is not private: a second FiftyOne of a user attaches to whichever server runs
already, whatever its database folder (``MultiClientService`` in fiftyone/core/service.py). A server of our
own, named to FiftyOne by ``FIFTYONE_DATABASE_URI``, keeps the two apart in both directions.
"""

import contextlib
import importlib.util
import json
import os
import shutil
import time
from pathlib import Path

from tools.keeper import Server

START_SECONDS = 120


class Mongod(Server):
    """A running MongoDB server; it ends when :meth:`stop` is called or this process dies, however it dies.

    Attributes:
        uri: its address, on a port of its own choice

    Args:
        folder: where its files are; made if missing. One server at a time can use a folder
        remove (None): a folder to delete once the server has ended

    Raises:
        RuntimeError: if there is no ``mongod``, or it does not start; with the end of its log
    """

    def __init__(self, folder: Path, remove: Path | None = None):
        folder.mkdir(parents=True, exist_ok=True)
        options = ["--dbpath", str(folder), "--port", "0", "--nounixsocket", "--wiredTigerCacheSizeGB", "0.5"]
        super().__init__([find_mongod(), *options], folder / "mongod.log", remove)
        self.uri = f"mongodb://127.0.0.1:{self._wait_for_port()}"

    def _wait_for_port(self) -> int:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.runs:
            if port := read_port(self.log):
                return port
            time.sleep(0.05)
        ending = self.failure()
        self.stop()
        raise RuntimeError(
            f"MongoDB did not start in {self.log.parent}. Is another one using this folder?\n{ending}"
        )


def find_mongod() -> str:
    """Return the ``mongod`` that came with FiftyOne, else the one on PATH, without importing FiftyOne."""
    package = importlib.util.find_spec("fiftyone")
    for folder in (package.submodule_search_locations or []) if package else []:
        bundled = Path(folder, "db", "bin", "mongod")
        if os.access(bundled, os.X_OK):
            return str(bundled)
    if found := shutil.which("mongod"):
        return found
    raise RuntimeError("No mongod found: run `make setup`, or install MongoDB 6 or newer.")


def read_port(log: Path) -> int | None:
    """Return the port a server listens on, None if not yet; ``log`` holds one JSON object a line."""
    for line in log.read_text(errors="replace").splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            entry = json.loads(line)
            if entry.get("msg") == "Waiting for connections":
                return int(entry["attr"]["port"])
    return None
