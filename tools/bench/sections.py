"""What is measured, section by section, and at which sizes."""

import importlib.util
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.bench.measure import Task, in_turns
from tools.environments import environment

TORCH = "torch==2.13.0"


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes:
        repeats: turns of what is compared side by side
        pictures, large_pictures: of 2 and of 12 megapixels
        remembered: numbers of pictures after which memory is compared; none leave it out
        vectors: where scikit-learn is compared
        many: samples of a click, of keeping, of FiftyOne's reads and writes
        dense: size of one cluster within eps
        million: vectors and samples of what is measured at the largest size; 0 leaves it out
        growth: sizes at which each step's growth is fitted
        clicks: of which the median is taken
        peers: whether peers are installed and measured, and what else takes long
    """

    repeats: int
    pictures: int
    large_pictures: int
    remembered: tuple[int, ...]
    vectors: int
    many: int
    dense: int
    million: int
    growth: tuple[int, ...]
    clicks: int
    peers: bool


QUICK = Sizes(1, 16, 16, (), 5_000, 10_000, 5_000, 0, (1_000, 4_000), 3, False)
FULL = Sizes(
    3,
    192,
    48,
    (1_000, 10_000),
    20_000,
    100_000,
    50_000,
    1_000_000,
    (10_000, 20_000, 40_000, 80_000),
    11,
    True,
)


def embedding(sizes: Sizes, folder: Path, pictures: Path | None) -> dict[str, Any]:
    """Measure pictures a second: the bare model, from files to the field, and what a user would pick instead."""
    small = {"n": sizes.pictures, "megapixels": 2.0, "folder": str(folder / "2mp")}
    large = {"n": sizes.large_pictures, "megapixels": 12.0, "folder": str(folder / "12mp")}
    tasks = {
        "model alone, auto precision": Task("embed_bare", {"n": sizes.pictures, "precision": "auto"}),
        "model alone, float32": Task("embed_bare", {"n": sizes.pictures, "precision": "float32"}),
        "files to field, 2 megapixels, auto": Task("embed_files", {**small, "precision": "auto"}),
        "files to field, 2 megapixels, float32": Task("embed_files", {**small, "precision": "float32"}),
        "files to field, 12 megapixels, auto": Task("embed_files", {**large, "precision": "auto"}),
        "decoding 12 megapixels, one core": Task("decode", large),
        "FiftyOne compute_embeddings, Keras VGG16 by predict": Task(
            "embed_fiftyone", {**small, "predict": True}
        ),
    }
    if sizes.peers:
        tasks["decoding 2 megapixels, one core"] = Task("decode", small)
        tasks["FiftyOne compute_embeddings, Keras VGG16 called"] = Task(
            "embed_fiftyone", {**small, "predict": False}
        )
        try:
            python = environment(folder / "peers", "torch", TORCH)
        except OSError as error:  # without a network
            print(f"  {error}", flush=True)
        else:
            tasks["VGG16 in PyTorch eager"] = Task(
                "embed_torch", {"n": sizes.pictures}, str(python), "tools.bench.peers"
            )
    if pictures is not None:
        real = {"n": sizes.pictures, "folder": str(pictures), "megapixels": None}
        tasks["files to field, real pictures, auto"] = Task("embed_files", {**real, "precision": "auto"})
        tasks["real pictures, FiftyOne compute_embeddings"] = Task(
            "embed_fiftyone", {**real, "predict": True}
        )
    return in_turns(tasks, sizes.repeats)


def embedding_memory(sizes: Sizes, folder: Path, pictures: Path | None) -> dict[str, Any]:
    """Measure what a run costs in memory as it grows, what copies cost, and what bfloat16 changes."""
    if not sizes.remembered:
        return {}
    tiny = {"megapixels": 0.05, "folder": str(folder / "tiny"), "precision": "auto"}
    few, many = sizes.remembered
    compared = {"n": sizes.pictures, "megapixels": tiny["megapixels"], "folder": tiny["folder"]}
    title = "effect of bfloat16 on a similarity, generated pictures"
    if pictures is not None:
        compared |= {"megapixels": None, "folder": str(pictures)}
        title = "effect of bfloat16 on a similarity, real pictures"
    return in_turns(
        {
            f"{few:,} pictures": Task("embed_files", {**tiny, "n": few}),
            f"{many:,} pictures": Task("embed_files", {**tiny, "n": many}),
            f"{many:,} files that are copies of 16": Task("embed_files", {**tiny, "n": many, "distinct": 16}),
            title: Task("bfloat16_effect", compared),
        },
        1,
    )


def clustering(sizes: Sizes, _folder: Path, _pictures: Path | None) -> dict[str, Any]:
    """Measure DBSCAN labels, ours and scikit-learn's, and what only ours can hold in memory."""
    n, many, dense = sizes.vectors, sizes.many, sizes.dense
    half = n // 2
    compared = in_turns(
        {
            f"{n:,} vectors": Task("cluster_ours", {"n": n}),
            f"{n:,} vectors, scikit-learn": Task("cluster_sklearn", {"n": n}),
            f"one cluster of {half:,}": Task("cluster_ours", {"n": half, "dense": half}),
            f"one cluster of {half:,}, scikit-learn": Task("cluster_sklearn", {"n": half, "dense": half}),
        },
        sizes.repeats,
    )
    unpruned = {"n": dense, "dense": dense, "eps": 0.0011}  # just below every distance: no sketch can tell
    alone = {
        f"{many:,} vectors": Task("cluster_ours", {"n": many}),
        f"{dense:,} vectors": Task("cluster_ours", {"n": dense}),
        f"{dense:,} vectors where nothing prunes": Task("cluster_ours", unpruned),
        f"one cluster of {dense:,}": Task("cluster_ours", {"n": dense, "dense": dense}),
        f"one cluster of {half:,}, min_samples 4": Task(
            "cluster_ours", {"n": half, "dense": half, "min_samples": 4}
        ),
    }
    return compared | in_turns(alone, 1)


def limits(sizes: Sizes, _folder: Path, _pictures: Path | None) -> dict[str, Any]:
    """Measure DBSCAN labels where most pairs are ruled out: by a group, such as the camera, and by a reference."""
    tasks = {}
    for n in filter(None, (sizes.many, sizes.million)):
        tasks |= {
            f"{n:,} vectors in 1 group": Task("limited", {"n": n}),
            f"{n:,} vectors in 100 groups": Task("limited", {"n": n, "groups": 100}),
            f"{n // 10:,} vectors and a reference of {n - n // 10:,}": Task(
                "limited", {"n": n, "reference": n - n // 10}
            ),
        }
    return in_turns(tasks, 1)


def million(sizes: Sizes, _folder: Path, _pictures: Path | None) -> dict[str, Any]:
    """Measure the largest clustering and index, of ready vectors."""
    n = sizes.million
    tasks = {
        f"clustering {n:,} vectors": Task("cluster_ours", {"n": n}),
        f"index of {n:,}": Task("index", {"n": n}),
    }
    return in_turns(tasks, 1) if n else {}


def ray(sizes: Sizes, _folder: Path, _pictures: Path | None) -> dict[str, Any]:
    """Measure the same tiles on nodes of a Ray cluster, and the driver's own memory; nothing where Ray is not installed."""
    if importlib.util.find_spec("ray") is None:
        return {}
    tasks = {
        f"{n:,} vectors, {nodes} {'node' if nodes == 1 else 'nodes'}": Task(
            "clustering", {"n": n, "nodes": nodes}, module="tools.bench.ray"
        )
        for n in (sizes.vectors, sizes.dense)
        for nodes in (1, 2)
    }
    n = sizes.million
    if n:
        Task("prepare", {"n": n}, module="tools.bench.ray").run()
        title = f"cluster_duplicates of {n:,} samples near each other"
        tasks[title] = Task("here", {"n": n}, module="tools.bench.ray")
        tasks[f"{title}, on Ray"] = Task("driver", {"n": n}, module="tools.bench.ray")
    found = in_turns(tasks, 1)
    for run in found.values():
        run.pop(
            "peak_mb", None
        )  # counts the object store's pages, and what was made before the clock started
    return found


def keeping(sizes: Sizes, _folder: Path, _pictures: Path | None) -> dict[str, Any]:
    """Measure keepers, cover and certificate, with a large cluster among the vectors."""
    dense = sizes.many // 10
    asked = {"n": sizes.many, "dense": dense}
    title = f"{sizes.many:,} vectors, a cluster of {dense:,}"
    return in_turns(
        {
            title: Task("keepers", {**asked, "cover": False}),
            f"{title}, cover": Task("keepers", {**asked, "cover": True}),
        },
        1,
    )


def click(sizes: Sizes, _folder: Path, _pictures: Path | None) -> dict[str, Any]:
    """Measure sort by similarity over HTTP, and what a page of the grid weighs; the largest without the built-in index."""
    tasks = {}
    for n in filter(None, (sizes.many, sizes.million)):
        asked = {"n": n, "clicks": sizes.clicks, "builtin": n == sizes.many}
        tasks[f"{n:,} samples"] = Task("click", asked, module="tools.bench.click")
    found = in_turns(tasks, 1)
    for run in found.values():
        run.pop("peak_mb", None)  # of the process that asks; another one answers
    return found


def index(sizes: Sizes, _folder: Path, _pictures: Path | None) -> dict[str, Any]:
    """Measure building and loading the Annoy forest."""
    return in_turns({f"{n:,} vectors": Task("index", {"n": n}) for n in (sizes.vectors, sizes.many)}, 1)


def fiftyone(sizes: Sizes, _folder: Path, _pictures: Path | None) -> dict[str, Any]:
    """Measure what is read from and written to FiftyOne's database."""
    found = in_turns({f"{n:,} samples": Task("steps", {"n": n}) for n in (sizes.many, sizes.million) if n}, 1)
    title = f"find_unique_samples, {sizes.many:,} ready vectors"
    asked = {"n": sizes.many}
    both = {
        f"{title}, eps as a number": Task("unique", {**asked, "auto": False}),
        f"{title}, eps auto": Task("unique", {**asked, "auto": True}),
    }
    return found | in_turns(both, sizes.repeats)


def growth(sizes: Sizes, _folder: Path, _pictures: Path | None) -> dict[str, Any]:
    """Measure each step at four sizes, and the exponent of its growth."""
    found: dict[str, Any] = {}
    for function, figures in (
        ("cluster_ours", {"seconds": "labels of ready vectors"}),
        ("sweep", {"seconds": "sweep over every eps"}),
        ("keepers", {"seconds": "keepers with cover, a tenth in one cluster"}),
        ("index", {"seconds": "Annoy index"}),
        ("steps", {"cluster_seconds": "cluster_duplicates", "keep_seconds": "keep_first_per_cluster"}),
    ):
        runs = in_turns({f"{n:,}": Task(function, _asked(function, n)) for n in sizes.growth}, 1)
        for figure, title in figures.items():
            spent = [run.get(figure, math.nan) for run in runs.values()]
            found[title] = {
                "seconds": dict(zip(runs, spent, strict=True)),
                "exponent": exponent(sizes.growth, spent),
            }
    return found


def _asked(function: str, n: int) -> dict[str, Any]:
    return {"n": n, "dense": n // 10, "cover": True} if function == "keepers" else {"n": n}


def exponent(sizes: tuple[int, ...], seconds: list[float]) -> float:
    """Return the slope of log(seconds) over log(size), by least squares."""
    x = [math.log(size) for size in sizes]
    y = [math.log(second) for second in seconds]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    return sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / sum(
        (a - mean_x) ** 2 for a in x
    )


SECTIONS: dict[str, Callable[[Sizes, Path, Path | None], dict[str, Any]]] = {
    section.__name__: section
    for section in (
        embedding,
        embedding_memory,
        clustering,
        limits,
        keeping,
        click,
        index,
        fiftyone,
        growth,
        million,
        ray,
    )
}
