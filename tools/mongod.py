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
import subprocess
import sys
import threading
import time
from pathlib import Path

START_SECONDS = 60
LOG_NAME = "mongod.log"


class Mongod:
    """A running MongoDB server; it ends when :meth:`stop` is called or this process dies, however it dies.

    Args:
        folder: where its files are; made if missing. One server at a time can use a folder
        remove (None): a folder to delete once the server has ended

    Raises:
        RuntimeError: if there is no ``mongod``, or it does not start; with the end of its log
    """

    def __init__(self, folder: Path, remove: Path | None = None):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / LOG_NAME).unlink(missing_ok=True)
        command = [sys.executable, __file__, find_mongod(), str(folder), *([str(remove)] if remove else [])]
        # A session of its own: Ctrl-C in the terminal ends the client, and the client then ends the server.
        self._keeper = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        self.uri = f"mongodb://127.0.0.1:{self._wait_for_port(folder / LOG_NAME)}"

    def stop(self) -> None:
        """End the server and wait for its end."""
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        self._keeper.wait()

    def _wait_for_port(self, log: Path) -> int:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._keeper.poll() is None:
            if port := read_port(log):
                return port
            time.sleep(0.05)
        ending = log.read_text(errors="replace")[-1500:] if log.exists() else "(it wrote no log)"
        self.stop()
        raise RuntimeError(
            f"MongoDB did not start in {log.parent}. Is another one using this folder?\n{ending}"
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
    if not log.exists():
        return None
    for line in log.read_text(errors="replace").splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            entry = json.loads(line)
            if entry.get("msg") == "Waiting for connections":
                return int(entry["attr"]["port"])
    return None


def keep(mongod: str, folder: str, remove: str | None = None) -> None:
    """Run a server until standard input closes, which the kernel does when the parent is gone."""
    options = ["--dbpath", folder, "--port", "0", "--nounixsocket", "--wiredTigerCacheSizeGB", "0.5"]
    with Path(folder, LOG_NAME).open("wb") as log:
        server = subprocess.Popen([mongod, *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def end_with_parent() -> None:
        sys.stdin.read()
        server.terminate()

    threading.Thread(target=end_with_parent, daemon=True).start()
    server.wait()
    if remove:
        shutil.rmtree(remove, ignore_errors=True)


if __name__ == "__main__":
    keep(*sys.argv[1:])
