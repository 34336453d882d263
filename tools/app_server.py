"""The FiftyOne App's server, for the demo and the browser tests.

Not ``fiftyone.launch_app``: it gives up after 60 seconds, and where another App already answers on the port it
shows that one, with another database.
"""

import importlib.util
import socket
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from tools.keeper import Server

START_SECONDS = 180
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Opens addresses of this machine, whatever proxy the environment names."""


class AppServer(Server):
    """A running App, over the database and the plugins that the environment names.

    Attributes:
        address: e.g. ``"http://127.0.0.1:5151"``

    Args:
        log: where its output goes
        port (None): the port wanted; another one is taken where somebody listens there

    Raises:
        RuntimeError: if it does not answer; with the end of its output
    """

    def __init__(self, log: Path, port: int | None = None):
        port = port if port and is_free(port) else free_port()
        self.address = f"http://127.0.0.1:{port}"
        command = [sys.executable, str(_server_file()), "--address", "127.0.0.1", "--port", str(port)]
        super().__init__(command, log, grace=3)  # it has nothing to save, and waits for open tabs
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.runs:
            try:
                DIRECT.open(f"{self.address}/fiftyone", timeout=5)
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
            else:
                return
        ending = self.failure()
        self.stop()
        raise RuntimeError(f"The App's server did not start:\n{ending}")


def _server_file() -> Path:
    """Return the server as a file, as FiftyOne starts it: as a module, it would keep datasets and indexes in memory."""
    package = importlib.util.find_spec("fiftyone")
    if package is None or package.origin is None:
        raise RuntimeError("FiftyOne is not installed: run make setup")
    return Path(package.origin).parent / "server" / "main.py"


def is_free(port: int) -> bool:
    """Tell whether nobody listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
