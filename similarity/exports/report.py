"""The report of a run: its figures as plain values, and the files that hold them."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import fiftyone as fo

from ..data import runs
from ..data import samples as sm
from ..data.files import files, sizes
from ..data.splits import find_leaks
from ..data.splits import read as read_splits
from ..engine.clusters import NOISE
from ..engine.neighbors import reach
from ..handover_options import ReportOptions
from ..progress import Progress
from ..workflow import CLUSTER, KEEP
from . import manifest, report_page
from .manifest import BY_HAND, DROPPED, KEPT, RESEMBLES, SKIPPED, Cluster, Row

LARGEST, WORST = 8, 12  # clusters, and pairs of a kind, that the page shows as pictures
_EXAMPLES = 5
_NO_SPLIT = "in no split"


def write_report(
    samples: sm.Samples, rows: Sequence[Row], options: ReportOptions, folder: Path, progress: Progress
) -> None:
    """Write ``report.html``, ``report.json``, ``manifest.csv``, ``clusters.csv`` and ``clusters.json`` into a folder.

    Args:
        samples: the flat collection that the rows are of; its run's keep step is done
        rows: the fate of each sample
    """
    progress("Writing the report", 0, 1)
    clusters = manifest.clusters(rows)
    found = _figures(samples, rows, clusters, options)
    manifest.write(rows, folder / "manifest.csv")
    shared = ("dataset", "run_key", "eps", "metric", "options", "versions")
    manifest.write_clusters(rows, {name: found[name] for name in shared}, folder)
    manifest.write_json(found, folder / "report.json")
    pictured = {
        cluster.number: sorted(cluster.members, key=lambda row: (row.status != KEPT, row.similarity))
        for cluster in clusters[:LARGEST]
    }
    page = report_page.page(sm.dataset_of(samples), found, rows, pictured)
    (folder / "report.html").write_text(page, encoding="utf-8")


def _figures(
    samples: sm.Samples, rows: Sequence[Row], clusters: Sequence[Cluster], options: ReportOptions
) -> dict[str, Any]:
    """Return the report's content as plain JSON values; time stamps apart, the same for the same samples."""
    dataset, record = sm.dataset_of(samples), runs.load(sm.dataset_of(samples), options.run_key)
    clustering, keeping = record["steps"]["cluster"], record["steps"]["keep"]
    results = runs.load_results(dataset, options.run_key)
    metric = clustering["options"]["metric"]
    counts = manifest.counts(rows)
    noise = sum(row.cluster == NOISE for row in rows)
    return {
        "dataset": dataset.name,
        "run_key": options.run_key,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "counts": {
            **{name: counts[name] for name in ("samples", KEPT, DROPPED, SKIPPED)},
            "clusters": len(clusters),
            "noise": noise,
            "by_hand": sum(row.reason == BY_HAND for row in rows),
            "percent_to_annotate": round(100 * counts[KEPT] / counts["samples"], 2),
        },
        "reference": {
            "samples": results["cluster"]["reference"],
            "resembling": sum(row.reason == RESEMBLES for row in rows),
        },
        "cost": _cost(counts, options),
        "disk": _disk(rows),
        "notes": [*results["keep"].get("warnings", []), *results["keep"].get("notes", [])],
        "eps": clustering["eps"],
        "eps_reason": results["cluster"].get("eps_reason", ""),
        "metric": metric,
        **_certificate(dataset, rows, results["keep"]["distances"], reach(clustering["eps"], metric)),
        "labelled": _labelled(dataset, rows, results["keep"]),
        "splits": _splits(samples, rows, clustering["options"].get("splits")),
        "leaks": _leaks(dataset, options.run_key, clustering["options"]),
        "cluster_sizes": _sizes(clusters, noise),
        "largest": [_large(cluster) for cluster in clusters[:LARGEST]],
        "skipped": _skipped(rows),
        "embeddings": sm.provenance(samples, clustering["options"]["embeddings_field"]),
        "options": {
            runs.operator(record, CLUSTER): clustering["options"],
            runs.operator(record, KEEP): keeping["options"],
        },
        "versions": keeping["versions"],
    }


def _cost(counts: Mapping[str, Any], options: ReportOptions) -> dict[str, Any] | None:
    """Return the cost of annotation without and with the run; None without a price."""
    if options.price is None:
        return None
    before, after = (round(options.price * counts[name], 2) for name in ("samples", KEPT))
    return {
        "price": options.price,
        "currency": options.currency,
        "before": before,
        "after": after,
        "saved": round(before - after, 2),
    }


def _disk(rows: Sequence[Row]) -> dict[str, int]:
    """Return the bytes of the picture files, of all samples and of the kept ones, each file counted once."""
    every = {row.filepath for row in rows}
    kept = {row.filepath for row in rows if row.status == KEPT}
    found = sizes(every)
    return {
        "before": sum(found.values()),
        "after": sum(found.get(path, 0) for path in kept),
        "missing_files": len(every) - len(found),
    }


def _certificate(
    dataset: fo.Dataset, rows: Sequence[Row], distances: Mapping[str, float], eps: float
) -> dict[str, Any]:
    """Return the distances of dropped samples to the samples kept for them; the worst first, one for each kept sample."""
    dropped = sorted((row for row in rows if row.status == DROPPED), key=lambda row: -distances[row.id])
    by_kept: dict[str, Row] = {}
    for row in dropped:
        by_kept.setdefault(row.kept_id, row)
    return {
        "worst_similarity": min((row.similarity for row in dropped), default=None),
        "beyond_eps": sum(distances[row.id] > eps for row in dropped),
        "worst_pairs": _pairs(dataset, by_kept.values(), distances),
    }


def _pairs(
    dataset: fo.Dataset, dropped: Iterable[Row], distances: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Return the first dropped samples, each with the sample kept for it."""
    first = list(islice(dropped, WORST))
    paths = files(dataset, [row.kept_id for row in first])
    return [
        {
            "id": row.id,
            "kept_id": row.kept_id,
            "cluster": row.cluster,
            "similarity": row.similarity,
            "distance": distances[row.id],
            "filepath": row.filepath,
            "kept_filepath": paths[row.kept_id],
        }
        for row in first
    ]


def _labelled(dataset: fo.Dataset, rows: Sequence[Row], keeping: Mapping[str, Any]) -> dict[str, Any]:
    """Return the labelled samples that are dropped, the least similar to their kept one first."""
    by_id = {row.id: row for row in rows}
    dropped = [by_id[pair["id"]] for pair in keeping["labelled_pairs"] if pair["id"] in by_id]
    return {
        "fields": keeping["label_fields"],
        "samples": keeping["labelled"],
        "dropped": keeping["labelled_dropped"],
        "pairs": _pairs(dataset, dropped, keeping["distances"]),
    }


def _splits(samples: sm.Samples, rows: Sequence[Row], field: str | None) -> list[dict[str, Any]]:
    """Return how many samples of each split are kept and left out; empty where no sample is in a split."""
    of_each = read_splits(samples, field)
    if not of_each:
        return []
    found = Counter((of_each.get(row.id, _NO_SPLIT), row.status) for row in rows)
    return [
        {
            "split": split,
            "samples": sum(found[split, status] for status in (KEPT, DROPPED, SKIPPED)),
            **{status: found[split, status] for status in (KEPT, DROPPED, SKIPPED)},
        }
        for split in sorted({split for split, _ in found}, key=lambda split: (split == _NO_SPLIT, split))
    ]


def _leaks(dataset: fo.Dataset, run_key: str, clustering: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the clusters that straddle the splits, by the samples' present values; None where they have none."""
    leaks = find_leaks(dataset, run_key, clustering)
    return leaks and dataclasses.asdict(leaks) | {"words": leaks.sentence(), "rows": leaks.rows()}


def _sizes(clusters: Sequence[Cluster], noise: int) -> list[dict[str, int]]:
    """Return how many clusters there are of each size, and how many of their samples are kept; size 1 is the noise."""
    sizes = {1: {"size": 1, "clusters": noise, "kept": noise}} if noise else {}
    for cluster in clusters:
        size = len(cluster.members)
        entry = sizes.setdefault(size, {"size": size, "clusters": 0, "kept": 0})
        entry["clusters"] += 1
        entry["kept"] += len(cluster.kept)
    return [sizes[size] for size in sorted(sizes)]


def _large(cluster: Cluster) -> dict[str, Any]:
    return {
        "cluster": cluster.number,
        "size": len(cluster.members),
        "kept": [row.id for row in cluster.kept],
        "worst_similarity": min(row.similarity for row in cluster.members),
    }


def _skipped(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the reasons of skipped samples, the most common first, with a few of their files."""
    skipped: dict[str, list[str]] = {}
    for row in rows:
        if row.status == SKIPPED:
            skipped.setdefault(row.reason, []).append(row.filepath)
    ordered = sorted(skipped.items(), key=lambda item: (-len(item[1]), item[0]))
    return [{"reason": why, "samples": len(paths), "examples": paths[:_EXAMPLES]} for why, paths in ordered]
