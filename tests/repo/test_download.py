"""FiftyOne's own way to install a plugin works, from a zip served on this machine."""

import functools
import http.server
import os
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from tests import support

ROOT = Path(__file__).resolve().parents[2]
FIFTYONE = [sys.executable, "-c", "from fiftyone.core.cli import main; main()"]
LIST = """
import fiftyone.operators as foo
uris = {operator.uri for operator in foo.list_operators()}
assert not foo.OperatorRegistry().list_errors(), foo.OperatorRegistry().list_errors()
print("@onlyone/dedup/find_unique_samples" in uris)
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def address(tmp_path):
    """The address of a zip of the checkout, one folder deep as a code host makes it."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    with zipfile.ZipFile(tmp_path / "plugin.zip", "w") as archive:
        for name in listed.stdout.splitlines():
            if (ROOT / name).is_file():
                archive.write(ROOT / name, f"dedup-main/{name}")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=tmp_path))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/plugin.zip"
    server.shutdown()
    server.server_close()


def test_the_plugin_installs_from_a_zip_and_loads(address, tmp_path):
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    assert os.environ["FIFTYONE_DATABASE_URI"], support.HOME  # the tests' own, not the user's
    environment = {**os.environ, "FIFTYONE_PLUGINS_DIR": str(plugins)}
    run = functools.partial(
        subprocess.run, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True, timeout=300
    )
    run([*FIFTYONE, "plugins", "download", address])
    assert (plugins / "@onlyone" / "dedup" / "fiftyone.yml").is_file()
    printed = run([*FIFTYONE, "plugins", "requirements", "@onlyone/dedup", "--print", "--ensure"]).stdout
    assert [line for line in printed.splitlines() if line.startswith("tensorflow")]
    assert run([sys.executable, "-c", LIST]).stdout.strip().splitlines()[-1] == "True"
