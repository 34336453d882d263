"""Run the benchmark and write ``docs/benchmarks.md`` and ``docs/benchmarks.json``.

Ratios come from runs that took turns on the same machine; absolute figures are this machine's.
"""

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools import sandbox
from tools.bench.measure import CHECKOUT, Task, in_turns

DOCS = CHECKOUT / "docs"
QUICK, FULL = "quick", "full"


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    repeats: int
    pictures: int
    large_pictures: int
    vectors: int
    many: int
    dense: int
    growth: tuple[int, ...]
    clicks: int
    peers: bool


SIZES = {
    QUICK: Sizes(1, 64, 16, 5_000, 10_000, 5_000, (1_000, 2_000, 4_000, 8_000), 5, False),
    FULL: Sizes(3, 256, 48, 20_000, 100_000, 50_000, (12_500, 25_000, 50_000, 100_000), 11, True),
}


def measure(sizes: Sizes, folder: Path) -> dict[str, Any]:
    """Everything, section by section."""
    return {
        "embedding": embedding(sizes, folder),
        "clustering": clustering(sizes),
        "keeping": keeping(sizes),
        "click": in_turns(
            {"click": Task("click", {"n": sizes.many, "clicks": sizes.clicks}, module="tools.bench.click")}, 1
        ),
        "index": in_turns(
            {f"{n:,} vectors": Task("index", {"n": n}) for n in (sizes.vectors, sizes.many)}, 1
        ),
        "fiftyone": in_turns({f"{sizes.many:,} samples": Task("steps", {"n": sizes.many})}, 1),
        "growth": growth(sizes),
    }


def embedding(sizes: Sizes, folder: Path) -> dict[str, Any]:
    """Pictures a second: the bare model, from files to the field, and what a user would pick instead."""
    print("Embedding", flush=True)
    small = {"n": sizes.pictures, "megapixels": 2.0, "folder": str(folder / "2mp")}
    large = {"n": sizes.large_pictures, "megapixels": 12.0, "folder": str(folder / "12mp")}
    tasks = {
        "model alone, auto precision": Task("embed_bare", {"n": sizes.pictures, "precision": "auto"}),
        "model alone, float32": Task("embed_bare", {"n": sizes.pictures, "precision": "float32"}),
        "files to field, 2 megapixels, auto": Task("embed_files", {**small, "precision": "auto"}),
        "files to field, 2 megapixels, float32": Task("embed_files", {**small, "precision": "float32"}),
        "files to field, 12 megapixels, auto": Task("embed_files", {**large, "precision": "auto"}),
        "decoding 12 megapixels, one core": Task("decode", large),
        "FiftyOne compute_embeddings, plain Keras VGG16": Task("embed_fiftyone", small),
    }
    if sizes.peers:
        tasks["VGG16 in PyTorch eager"] = Task(
            "embed_torch", {"n": sizes.pictures}, peer_python(folder), "tools.bench.peers"
        )
    found = in_turns(tasks, sizes.repeats)
    found["effect of bfloat16"] = Task("bfloat16_effect", {"n": 64}).run()
    return found


def clustering(sizes: Sizes) -> dict[str, Any]:
    """DBSCAN labels, ours and scikit-learn's, and what only ours can hold in memory."""
    print("Clustering", flush=True)
    n, many, dense = sizes.vectors, sizes.many, sizes.dense
    compared = in_turns(
        {
            f"{n:,} vectors": Task("cluster_ours", {"n": n}),
            f"{n:,} vectors, scikit-learn": Task("cluster_sklearn", {"n": n}),
        },
        sizes.repeats,
    )
    alone = {
        f"{many:,} vectors": Task("cluster_ours", {"n": many}),
        f"one cluster of {dense:,}": Task("cluster_ours", {"n": dense, "dense": dense}),
    }
    return compared | in_turns(alone, 1)


def keeping(sizes: Sizes) -> dict[str, Any]:
    """Keepers, cover and certificate, with a large cluster among the vectors."""
    print("Keeping", flush=True)
    dense = sizes.many // 10
    return in_turns(
        {
            f"{sizes.many:,} vectors, a cluster of {dense:,}": Task(
                "keepers", {"n": sizes.many, "dense": dense, "cover": False}
            ),
            f"{sizes.many:,} vectors, a cluster of {dense:,}, cover": Task(
                "keepers", {"n": sizes.many, "dense": dense, "cover": True}
            ),
        },
        1,
    )


def growth(sizes: Sizes) -> dict[str, Any]:
    """Each step at four sizes, and the exponent of its growth."""
    print("Growth", flush=True)
    found: dict[str, Any] = {}
    for function in ("cluster_ours", "sweep", "index"):
        runs = in_turns({f"{n:,}": Task(function, {"n": n}) for n in sizes.growth}, 1)
        spent = [run.get("seconds", math.nan) for run in runs.values()]
        found[function] = {
            "seconds": dict(zip(runs, spent, strict=True)),
            "exponent": exponent(sizes.growth, spent),
        }
    return found


def exponent(sizes: tuple[int, ...], seconds: list[float]) -> float:
    """The slope of log(seconds) over log(size), by least squares."""
    x = [math.log(size) for size in sizes]
    y = [math.log(second) for second in seconds]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    return sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / sum(
        (a - mean_x) ** 2 for a in x
    )


def peer_python(folder: Path) -> str:
    """The Python of an environment with the peers; made once."""
    place = folder / "peers"
    python = place / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "torch==2.13.0", "numpy"], check=True)
    return str(python)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    model = next(
        (line.split(":", 1)[1].strip() for line in _cpuinfo() if line.startswith("model name")),
        platform.processor(),
    )
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "gpu": "none",
    }


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def main() -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, under three minutes")
    parser.add_argument("--only", help="one section")
    mode = QUICK if (arguments := parser.parse_args()).quick else FULL
    home = Path(os.environ.get("BENCH_HOME", Path(tempfile.gettempdir()) / "onlyone-bench"))
    home.mkdir(parents=True, exist_ok=True)
    server = sandbox.enter(home)
    started = time.monotonic()
    try:
        sizes = SIZES[mode]
        sections = (
            {arguments.only: globals()[arguments.only](sizes)} if arguments.only else measure(sizes, home)
        )
    finally:
        server.stop()
    found = {
        "mode": mode,
        "machine": machine(),
        "minutes": (time.monotonic() - started) / 60,
        "sections": sections,
    }
    from tools.bench import report

    text = report.page(found)
    print(text)
    if mode == FULL and not arguments.only:
        (DOCS / "benchmarks.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        (DOCS / "benchmarks.md").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
