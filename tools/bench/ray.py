"""What is measured on a Ray cluster that is brought up on this machine: CPU time, bytes and the driver's memory."""

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from tools import ray_cluster
from tools.bench import data
from tools.bench.measure import serve
from tools.bench.tasks import dataset

PIECE = 16_384


def clustering(n: int, nodes: int) -> dict[str, Any]:
    """Measure labels of ready vectors by the engine here, and by the same tiles on nodes of one CPU."""
    from similarity import ray as ours
    from similarity.engine import clusters, pieces
    from similarity.engine import vectors as vec

    vectors = data.vectors(n)
    started = time.process_time()
    here = clusters.dbscan(vectors, eps=data.EPS)
    found: dict[str, Any] = {"engine_cpu_s": time.process_time() - started}
    with cluster(nodes, 8 * n * vectors.shape[1]) as address, ours.cluster(address) as on:
        on.look(time.time)  # a worker on each node is there
        driver, workers, wire, began = time.process_time(), _cpu_of_workers(), _sent(), time.monotonic()
        parts = [vectors[start : start + PIECE] for start in range(0, n, PIECE)]
        digests = [vec.digests(part) for part in parts]
        there = pieces.Pieces([on.put(part) for part in parts], digests, vectors.shape[1], on)
        labels = clusters.dbscan(there, eps=data.EPS, run=on.run)
        found |= {
            "tiles_cpu_s": sum(spent - workers.get(pid, 0) for pid, spent in _cpu_of_workers().items()),
            "driver_cpu_s": time.process_time() - driver,
            "seconds": time.monotonic() - began,
            "equal": float((labels == here).all()),
        }
        if wire is not None:
            found["wire_mb"] = (_sent() - wire) / 1e6
    return found


def prepare(n: int) -> dict[str, Any]:
    """Make a dataset of ``n`` samples with ready vectors, near each other by groups of a scene, and leave it there."""
    import fiftyone as fo
    import fiftyone.core.utils as fou

    if fo.dataset_exists(_name(n)):
        return {}
    made, _ = dataset([])
    made.persistent = True
    made.add_sample_field("vgg16", fo.VectorField)
    rng, now = np.random.default_rng(51), datetime.now(UTC)
    centre = rng.exponential(1.0, data.DIMENSION).astype(np.float32)
    for start in range(0, n, PIECE):
        some = centre * (1 + 0.05 * rng.standard_normal((min(PIECE, n - start), data.DIMENSION), np.float32))
        documents = [
            {
                "filepath": f"/pictures/{start + i:08d}.jpg",
                "tags": [],
                "_media_type": "image",
                "_rand": 0.5,
                "_dataset_id": made._doc.id,
                "created_at": now,
                "last_modified_at": now,
                "vgg16": fou.serialize_numpy_array(vector),
            }
            for i, vector in enumerate(some)
        ]
        made._sample_collection.insert_many(documents)
    made.name = _name(n)
    return {}


def driver(n: int) -> dict[str, Any]:
    """Measure ``cluster_duplicates`` on one node, of vectors in MongoDB: the driver's own memory.

    All are near each other, so that the first row of tiles joins them, and no further ones are needed: a million vectors
    would keep two cores busy for a quarter of an hour, and what the driver holds does not depend on it.
    """
    import fiftyone as fo

    _, plugin = dataset([])
    made = fo.load_dataset(_name(n))
    step, options = plugin("similarity.steps.cluster"), plugin("similarity.options")
    with cluster(1, 5 * n * data.DIMENSION) as address, memory() as peak:
        started = time.monotonic()
        asked = options.ClusterOptions(eps=data.EPS, ray=address, tag_clusters=False)
        result = step.cluster(made, asked, least=1)
        return {"seconds": time.monotonic() - started, "driver_mb": peak(), "clusters": result.clusters}


def here(n: int) -> dict[str, Any]:
    """Measure the same without Ray: the memory of the process that does it all."""
    import fiftyone as fo

    _, plugin = dataset([])
    made = fo.load_dataset(_name(n))
    step, options = plugin("similarity.steps.cluster"), plugin("similarity.options")
    with memory() as peak:
        started = time.monotonic()
        result = step.cluster(made, options.ClusterOptions(eps=data.EPS, tag_clusters=False))
        return {"seconds": time.monotonic() - started, "driver_mb": peak(), "clusters": result.clusters}


def _name(n: int) -> str:
    return f"bench-ray-{n}"


@contextmanager
def cluster(nodes: int, store: int) -> Iterator[str]:
    """Have a cluster of nodes with one CPU each, with room for so many bytes; yields its address.

    Of two nodes, the second one is in a network namespace where this is root: what goes there can be counted.
    """
    if nodes == 2 and _may_set_apart():
        with ray_cluster.two_nodes(namespaces=True, cpus=1) as ip:
            yield f"{ip}:{ray_cluster.PORT}"
        return
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": max(store, 100 << 20)}
    made = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    try:
        for _ in range(nodes - 1):
            made.add_node(**node)
        yield made.address
    finally:
        made.shutdown()


def _may_set_apart() -> bool:
    return os.geteuid() == 0 and shutil.which("ip") is not None


@contextmanager
def memory() -> Iterator[Any]:
    """Have the most memory of this process that it shares with no other one, in MB, as a function."""
    peak, ended = [0.0], threading.Event()

    def look() -> None:
        while not ended.wait(0.1):
            status = Path("/proc/self/status").read_text()
            own = next(line for line in status.splitlines() if line.startswith("RssAnon:"))
            peak[0] = max(peak[0], int(own.split()[1]) / 1024)

    watch = threading.Thread(target=look, daemon=True)
    watch.start()
    try:
        yield lambda: peak[0]
    finally:
        ended.set()
        watch.join()


def _cpu_of_workers() -> dict[int, float]:
    """Return CPU seconds of each of this cluster's workers, by process id."""
    spent = {}
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if any("ray::" in word for word in process.cmdline()):
                times = process.cpu_times()
                spent[process.pid] = times.user + times.system
    return spent


def _sent() -> int | None:
    """Return the bytes that went to the second node; None where it is not set apart."""
    counter = Path(f"/sys/class/net/{ray_cluster.HERE}/statistics/tx_bytes")
    return int(counter.read_text()) if counter.exists() else None


if __name__ == "__main__":
    serve({"clustering": clustering, "prepare": prepare, "driver": driver, "here": here})
