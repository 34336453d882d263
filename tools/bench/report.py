"""The figures as a page that people read."""

from typing import Any

UNITS = {
    "seconds": ("seconds", "{:.3g}"),
    "per_second": ("pictures/s", "{:.1f}"),
    "peak_mb": ("peak memory, MB", "{:,.0f}"),
    "load_ms": ("load, ms", "{:.1f}"),
    "file_mb": ("files, MB", "{:,.0f}"),
    "kept": ("kept", "{:,.0f}"),
    "clusters": ("clusters", "{:,.0f}"),
    "percentage_points": ("largest change, percentage points", "{:.4f}"),
    "ours_ms": ("OnlyOne, ms", "{:.1f}"),
    "ours_first_ms": ("OnlyOne, first click, ms", "{:,.0f}"),
    "builtin_ms": ("built-in, ms", "{:,.0f}"),
    "builtin_first_ms": ("built-in, first click, ms", "{:,.0f}"),
    "cluster_seconds": ("cluster, seconds", "{:.2f}"),
    "cluster_commands": ("cluster, database commands", "{:,.0f}"),
    "keep_seconds": ("keep, seconds", "{:.2f}"),
    "keep_commands": ("keep, database commands", "{:,.0f}"),
}
TITLES = {
    "embedding": "Embedding",
    "clustering": "Clustering (512 values a vector)",
    "keeping": "Keepers, cover and certificate",
    "click": "A click on the similarity button, over HTTP",
    "index": "Annoy index",
    "fiftyone": "FiftyOne reads and writes",
}


def page(found: dict[str, Any]) -> str:
    """The whole page."""
    machine = found["machine"]
    lines = [
        "# Benchmarks",
        "",
        f"Measured by `make bench` ({found['mode']}) on {machine['cores']} cores ({machine['cpu']}), GPU: {machine['gpu']}, "
        f"Python {machine['python']}, in {found['minutes']:.0f} minutes. Each figure is the median over processes of their "
        "own that took turns; ratios compare figures of the same run. Data and weights are generated.",
        "",
    ]
    for name, section in found["sections"].items():
        lines += _growth(section) if name == "growth" else _table(TITLES.get(name, name), section)
    return "\n".join([*lines, "## Ratios", "", *ratios(found["sections"]), ""])


def _table(title: str, section: dict[str, Any]) -> list[str]:
    columns = [key for key in UNITS if any(key in run for run in section.values())]
    lines = [
        f"## {title}",
        "",
        "| | " + " | ".join(UNITS[key][0] for key in columns) + " |",
        "|---|" + "--:|" * len(columns),
    ]
    for name, run in section.items():
        if "failed" in run:
            lines.append(f"| {name} | {run['failed']} |" + " |" * (len(columns) - 1))
            continue
        cells = [UNITS[key][1].format(run[key]) if key in run else "" for key in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _growth(section: dict[str, Any]) -> list[str]:
    lines = ["## How cost grows", "", "| step | seconds at each size | exponent |", "|---|---|--:|"]
    for name, run in section.items():
        spent = ", ".join(f"{size}: {seconds:.3g}" for size, seconds in run["seconds"].items())
        lines.append(f"| {name} | {spent} | {run['exponent']:.2f} |")
    return [*lines, ""]


def ratios(sections: dict[str, Any]) -> list[str]:
    """What the figures say, one line each, where both sides were measured."""
    lines = []
    embedding, clustering = sections.get("embedding", {}), sections.get("clustering", {})
    for title, over, under in (
        (
            "files to field (2 megapixels, auto) / model alone",
            "files to field, 2 megapixels, auto",
            "model alone, auto precision",
        ),
        (
            "files to field (2 megapixels, auto) / FiftyOne compute_embeddings",
            "files to field, 2 megapixels, auto",
            "FiftyOne compute_embeddings, plain Keras VGG16",
        ),
        (
            "files to field (2 megapixels, float32) / FiftyOne compute_embeddings",
            "files to field, 2 megapixels, float32",
            "FiftyOne compute_embeddings, plain Keras VGG16",
        ),
        (
            "files to field (2 megapixels, auto) / PyTorch",
            "files to field, 2 megapixels, auto",
            "VGG16 in PyTorch eager",
        ),
    ):
        lines += _ratio(title, embedding, over, under, "per_second")
    own = [name for name in clustering if f"{name}, scikit-learn" in clustering]
    for name in own:
        lines += _ratio(
            f"scikit-learn / OnlyOne, {name}", clustering, f"{name}, scikit-learn", name, "seconds"
        )
    click = sections.get("click", {}).get("click", {})
    if "ours_ms" in click:
        lines.append(f"- a click, built-in / OnlyOne: **{click['builtin_ms'] / click['ours_ms']:.0f}**")
    return lines


def _ratio(title: str, section: dict[str, Any], over: str, under: str, key: str) -> list[str]:
    if key not in section.get(over, {}) or key not in section.get(under, {}):
        return []
    return [f"- {title}: **{section[over][key] / section[under][key]:.2f}**"]
