"""A click on the similarity button, over HTTP as the App's grid asks: OnlyOne's index beside FiftyOne's built-in one."""

import contextlib
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

from tools.bench import data, tasks
from tools.bench.measure import serve

K = 25


def click(n: int, clicks: int) -> dict[str, float]:
    """Median milliseconds of a click, and of the first one, for both backends on the same vectors."""
    import fiftyone.brain as fob

    dataset, plugin = tasks.dataset([f"{number}.jpg" for number in range(n)])
    ids = dataset.values("id")
    vectors = data.vectors(n)
    dataset.set_values("vectors", dict(zip(ids, vectors, strict=True)), key_field="id", progress=False)
    plugin("similarity").register_backend()
    for key, backend in (("ours", "annoy"), ("builtin", "sklearn")):
        fob.compute_similarity(dataset, embeddings="vectors", brain_key=key, backend=backend)
    with _server() as address:
        _post(
            address, "/operators", {"dataset_name": dataset.name}
        )  # the App's first request loads the plugins
        return {
            f"{key}_{name}": value
            for key in ("ours", "builtin")
            for name, value in _clicks(address, dataset.name, ids, key, clicks).items()
        }


def _clicks(address: str, name: str, ids: list[str], key: str, clicks: int) -> dict[str, float]:
    spent = []
    for number in range(clicks + 1):
        query = ids[number * len(ids) // (clicks + 1)]
        asked = {"query": query, "k": K, "brain_key": key, "reverse": False, "dist_field": None}
        started = time.perf_counter()
        _post(
            address,
            "/sort",
            {"dataset": name, "view": [], "filters": {}, "subscription": "bench", "extended": asked},
        )
        spent.append(1000 * (time.perf_counter() - started))
    return {"first_ms": spent[0], "ms": statistics.median(spent[1:])}


@contextlib.contextmanager
def _server():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "fiftyone.server.main", "--address", "127.0.0.1", "--port", str(port)]
    with (
        tempfile.TemporaryDirectory() as folder
    ):  # not in the checkout: with -m, its folders would hide packages
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield _ready(f"http://127.0.0.1:{port}", process)
        finally:
            process.terminate()
            process.wait()


def _ready(address: str, process: subprocess.Popen) -> str:
    for _ in range(600):
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{address}/fiftyone", timeout=5)
            return address
        if process.poll() is not None:
            break
        time.sleep(0.2)
    raise RuntimeError("the App's server did not start")


def _post(address: str, path: str, body: dict) -> None:
    request = urllib.request.Request(
        address + path, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=600) as answer:
        answer.read()


if __name__ == "__main__":
    serve({"click": click})
