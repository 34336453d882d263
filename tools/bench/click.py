"""A click on the similarity button, over HTTP as the App's grid asks: OnlyOne's index beside FiftyOne's built-in one."""

import contextlib
import json
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tools.app_server import DIRECT, AppServer
from tools.bench import data, tasks
from tools.bench.measure import serve

K = 25


def click(n: int, clicks: int, builtin: bool) -> dict[str, float]:
    """Measure median milliseconds of a click, and of the first one, for one or both backends on the same vectors."""
    import fiftyone.brain as fob

    dataset, plugin = tasks.dataset([f"{number}.jpg" for number in range(n)])
    ids = dataset.values("id")
    tasks.write_vectors(dataset, ids, data.vectors(n))
    plugin("similarity").register_backend()
    backends = {"ours": "annoy"} | ({"builtin": "sklearn"} if builtin else {})
    for key, backend in backends.items():
        fob.compute_similarity(dataset, embeddings="vectors", brain_key=key, backend=backend)
    with tempfile.TemporaryDirectory() as folder, _app(Path(folder) / "app.log") as address:
        _post(
            address, "/operators", {"dataset_name": dataset.name}
        )  # which loads the plugins, as the App's first
        found = {
            f"{key}_{name}": value
            for key in backends
            for name, value in _clicks(address, dataset.name, ids, key, clicks).items()
        }
        return found | {"page_kb": _page(address, dataset.name) / 1000}


@contextlib.contextmanager
def _app(log: Path) -> Iterator[str]:
    server = AppServer(log)
    try:
        yield server.address
    finally:
        server.stop()


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


def _page(address: str, name: str) -> int:
    """Return the bytes of one page of the grid, as the App asks for it."""
    query = (
        "query ($dataset: String!) { samples(dataset: $dataset, view: [], first: 20) {"
        " ... on SampleItemStrConnection { edges { node { ... on ImageSample { id sample } } } } } }"
    )
    answer = _post(address, "/graphql", {"query": query, "variables": {"dataset": name}})
    if len(json.loads(answer)["data"]["samples"]["edges"]) != 20:
        raise RuntimeError("the App's server did not answer with a page of samples")
    return len(answer)


def _post(address: str, path: str, body: dict) -> bytes:
    request = urllib.request.Request(
        address + path, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    with DIRECT.open(request, timeout=600) as answer:
        return answer.read()


if __name__ == "__main__":
    serve({"click": click})
