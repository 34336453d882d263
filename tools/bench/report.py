"""The figures as a page that people read."""

from collections.abc import Iterator
from typing import Any

UNITS = {
    "seconds": ("seconds", "{}"),
    "per_second": ("pictures/s", "{:.1f}"),
    "peak_mb": ("peak memory, MB", "{:,.0f}"),
    "load_ms": ("load and first search, ms", "{:,.0f}"),
    "file_mb": ("files, MB", "{:,.0f}"),
    "pairs": ("pairs compared, millions", "{:,.0f}"),
    "kept": ("kept", "{:,.0f}"),
    "clusters": ("clusters", "{:,.0f}"),
    "percentage_points": ("largest change, percentage points", "{:.4f}"),
    "ours_ms": ("OnlyOne, ms", "{:.1f}"),
    "ours_first_ms": ("OnlyOne, first click, ms", "{:,.0f}"),
    "builtin_ms": ("built-in, ms", "{:,.0f}"),
    "builtin_first_ms": ("built-in, first click, ms", "{:,.0f}"),
    "page_kb": ("a page of 20 samples, kB", "{:,.0f}"),
    "read_seconds": ("read vectors, s", "{}"),
    "read_commands": ("commands", "{:,.0f}"),
    "cluster_seconds": ("cluster_duplicates, s", "{}"),
    "cluster_commands": ("commands", "{:,.0f}"),
    "keep_seconds": ("keep_first_per_cluster, s", "{}"),
    "keep_commands": ("commands", "{:,.0f}"),
    "set_values_seconds": ("FiftyOne's set_values of one number, s", "{}"),
    "set_values_commands": ("commands", "{:,.0f}"),
    "engine_cpu_s": ("engine here, CPU s", "{:.1f}"),
    "tiles_cpu_s": ("workers, CPU s", "{:.1f}"),
    "driver_cpu_s": ("driver, CPU s", "{:.1f}"),
    "wire_mb": ("through the network, MB", "{:,.0f}"),
    "driver_mb": ("memory of the process that asks, MB", "{:,.0f}"),
    "equal": ("labels equal", "{:.0f}"),
}
TITLES = {
    "embedding": "Embedding",
    "embedding_memory": "Embedding: memory, copies, precision",
    "clustering": "Clustering (512 values a vector)",
    "limits": "Clustering where groups, or a reference, rule pairs out",
    "keeping": "Keepers, cover and certificate",
    "click": "A click on the similarity button, over HTTP",
    "index": "Annoy index",
    "fiftyone": "FiftyOne reads and writes",
    "growth": "How cost grows",
    "million": "A million ready vectors",
    "ray": "On a Ray cluster of nodes with one CPU, on this machine",
}

Figures = dict[str, dict[str, Any]]


def page(found: dict[str, Any]) -> str:
    """Return the whole page."""
    machine, minutes = found["machine"], sum(found["seconds"].values()) / 60
    lines = [
        "# Benchmarks",
        "",
        f"Measured by `make bench` on {machine['cores']} cores, {machine['memory_gb']} GB of memory, {machine['gpus']} "
        f"GPUs, Python {machine['python']}, in {minutes:.0f} minutes. Each figure is of a process of its own, so that its "
        "peak memory is its own; what is compared took turns, and the median counts. Absolute figures are those of the "
        "processor named with them, ratios carry over. Pictures, vectors and weights are generated, except where it says "
        "real.",
        "",
        "## Side by side",
        "",
        *ratios(found["sections"], machine["cores"]),
        "",
    ]
    for name in (title for title in TITLES if found["sections"].get(title)):
        section, measured = found["sections"][name], "{date}, {cpu}.".format(**found["measured"][name])
        rows = _growth(section) if name == "growth" else _table(section)
        lines += [f"## {TITLES[name]}", "", measured, "", *rows, ""]
    return "\n".join(lines)


def _table(section: Figures) -> list[str]:
    columns = [key for key in UNITS if any(key in run for run in section.values())]
    lines = ["| | " + " | ".join(UNITS[key][0] for key in columns) + " |", "|---|" + "--:|" * len(columns)]
    for name, run in section.items():
        if "failed" in run:
            lines.append(f"| {name} | {run['failed']} |")
            continue
        cells = [_cell(key, run[key]) if key in run else "" for key in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def _cell(key: str, value: float) -> str:
    return UNITS[key][1].format(_digits(value) if key.endswith("seconds") else value)


def _digits(value: float) -> str:
    """Return a number with three digits that count, or without a fraction."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _growth(section: Figures) -> list[str]:
    sizes = list(next(iter(section.values()))["seconds"])
    lines = ["| seconds at | " + " | ".join(sizes) + " | exponent |", "|---|" + "--:|" * (len(sizes) + 1)]
    for name, run in section.items():
        spent = " | ".join(_digits(run["seconds"][size]) for size in sizes)
        lines.append(f"| {name} | {spent} | {run['exponent']:.2f} |")
    return lines


def ratios(sections: dict[str, Figures], cores: int) -> list[str]:
    """Return the findings, a row each, where both sides were measured."""
    rows = [
        *_embedding(sections.get("embedding", {}), cores),
        *_memory(list(sections.get("embedding_memory", {}).items())),
        *_clustering(sections.get("clustering", {})),
        *_limits(sections.get("limits", {})),
        *_click(sections.get("click", {})),
        *_auto(sections.get("fiftyone", {})),
    ]
    lines = [f"| {title} | {ratio:.2f} | {aim} |" for title, ratio, aim in rows]
    return ["| | ratio | aim |", "|---|--:|---|", *lines]


Row = tuple[str, float, str]


def _embedding(found: Figures, cores: int) -> Iterator[Row]:
    speed = {name: run["per_second"] for name, run in found.items() if "per_second" in run}
    alone = "model alone, auto precision"
    files = "files to field, 2 megapixels, auto"
    predict, called = (f"FiftyOne compute_embeddings, Keras VGG16 {how}" for how in ("by predict", "called"))
    for title, over, under, aim in (
        ("files to field, 2 megapixels / model alone", files, alone, "0.9"),
        (
            "the same in float32",
            "files to field, 2 megapixels, float32",
            "model alone, float32",
            "0.9",
        ),
        ("files to field / FiftyOne's compute_embeddings, Keras by predict", files, predict, "2.5"),
        (
            "the most that this model allows there: model alone / FiftyOne's compute_embeddings",
            alone,
            predict,
            "",
        ),
        (
            "files to field / FiftyOne's compute_embeddings, Keras by predict, both in float32",
            "files to field, 2 megapixels, float32",
            predict,
            "above 1",
        ),
        ("files to field / FiftyOne's compute_embeddings, Keras called", files, called, ""),
        (
            "files to field / FiftyOne's compute_embeddings, Keras called, both in float32",
            "files to field, 2 megapixels, float32",
            called,
            "above 1",
        ),
        ("files to field / PyTorch eager, ready arrays", files, "VGG16 in PyTorch eager", "2"),
        (
            "the same in float32",
            "files to field, 2 megapixels, float32",
            "VGG16 in PyTorch eager",
            "above 1",
        ),
        (
            "real pictures, files to field / FiftyOne's compute_embeddings",
            "files to field, real pictures, auto",
            "real pictures, FiftyOne compute_embeddings",
            "",
        ),
    ):
        if over in speed and under in speed:
            yield title, speed[over] / speed[under], aim
    large, decoding = "files to field, 12 megapixels, auto", "decoding 12 megapixels, one core"
    if {large, decoding, alone} <= set(speed):
        allowed = 1 / (1 / speed[alone] + 1 / (cores * speed[decoding]))
        yield (
            "files to field, 12 megapixels / what model and decoding together allow",
            speed[large] / allowed,
            "0.9",
        )


def _memory(runs: list[tuple[str, dict[str, Any]]]) -> Iterator[Row]:
    if len(runs) > 1 and all("peak_mb" in run for _, run in runs[:2]):
        (few, small), (many, large) = runs[:2]
        yield f"peak memory of {many} / of {few}", large["peak_mb"] / small["peak_mb"], "at most 1.2"


def _clustering(found: Figures) -> Iterator[Row]:
    for name, run in found.items():
        other = found.get(f"{name}, scikit-learn", {})
        if "seconds" in run and "seconds" in other:
            aim = "" if "cluster of" in name else "3"
            yield f"DBSCAN, {name}: scikit-learn's seconds / ours", other["seconds"] / run["seconds"], aim
            yield f"DBSCAN, {name}: scikit-learn's memory / ours", other["peak_mb"] / run["peak_mb"], ""


def _limits(found: Figures) -> Iterator[Row]:
    for name, run in found.items():
        if name.endswith("in 1 group"):
            other = found.get(name.replace("1 group", "100 groups"), {})
            for figure in ("pairs", "seconds"):
                if figure in run and figure in other:
                    yield f"DBSCAN, {name}: {figure} / in 100 groups", run[figure] / other[figure], ""


def _click(found: Figures) -> Iterator[Row]:
    for name, run in found.items():
        if "ours_ms" in run and "builtin_ms" in run:
            yield f"a click among {name}: built-in / ours", run["builtin_ms"] / run["ours_ms"], "20"


def _auto(found: Figures) -> Iterator[Row]:
    for name, run in found.items():
        other = found.get(name.replace("eps auto", "eps as a number"), {})
        if name.endswith("eps auto") and "seconds" in run and "seconds" in other:
            yield f"{name} / as a number", run["seconds"] / other["seconds"], "at most 1.05"
